import assert from "node:assert/strict";
import fc from "fast-check";
import { barChart } from "../../src/report/charts/bar_chart.ts";
import { changeChart } from "../../src/report/charts/change_chart.ts";
import { intervalChart } from "../../src/report/charts/interval_chart.ts";
import { lineChart } from "../../src/report/charts/line_chart.ts";
import { linearScale } from "../../src/report/charts/scale.ts";
import { readMarkup } from "./well_formed.ts";

const caption = { id: "c", title: "A <title>", description: "What there is & more" };

Deno.test("a scale holds all values between its first and last tick, on few round ticks", () => {
  const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 20 }), (values) => {
      const scale = linearScale(values, [0, 100]);
      assert.ok(scale.ticks.length >= 2 && scale.ticks.length <= 8, String(scale.ticks.length));
      for (const place of values.map(scale.at)) assert.ok(place >= -1e-4 && place <= 100 + 1e-4, String(place));
      assert.ok(Math.abs(scale.at(scale.ticks[0]!)) < 1e-6 && Math.abs(scale.at(scale.ticks.at(-1)!) - 100) < 1e-6);
    }),
    { seed: 11 },
  );
});

Deno.test("ticks are labelled with the decimals that their step needs", () => {
  const labels = (values: number[]): string[] => {
    const scale = linearScale(values, [0, 1]);
    return scale.ticks.map(scale.label);
  };
  assert.deepEqual(labels([0.51, 0.88]), ["0.5", "0.6", "0.7", "0.8", "0.9"]);
  assert.deepEqual(labels([0, 28_105]), ["0", "10,000", "20,000", "30,000"]);
  assert.deepEqual(labels([-0.02, 0.02]), ["−0.02", "−0.01", "0.00", "0.01", "0.02"]);
});

Deno.test("a larger value is drawn higher in a curve and further right on an axis of intervals", () => {
  const path = /d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"/.exec(lineChart(caption, [[10, 1], [20, 2]], "steps").text)!;
  const [x1, y1, x2, y2] = path.slice(1).map(Number) as [number, number, number, number];
  assert.ok(x2 > x1 && y2 < y1);
  const row = { role: "logged" as const, name: "a", interval: null, text: "" };
  const circles = [
    ...intervalChart(caption, [{ ...row, value: 0.2 }, { ...row, value: 0.7 }]).text.matchAll(/cx="([\d.]+)"/g),
  ]
    .map(([, x]) => Number(x));
  assert.ok(circles[1]! > circles[0]!);
});

Deno.test("bars are as long as their shares, and what is above nothing can be seen", () => {
  const chart = barChart(caption, ["a", "b", "c"], [{
    role: "version",
    shares: [0.4, 0.2, 0.0001],
    texts: ["", "", ""],
  }]);
  const widths = [...chart.text.matchAll(/class="bar version"[^>]* width="([\d.]+)"/g)].map(([, width]) =>
    Number(width)
  );
  assert.ok(Math.abs(widths[0]! - 2 * widths[1]!) < 0.2);
  assert.ok(widths[2]! > 1);
});

Deno.test("every drawing has a title and a description, is well formed, and escapes the names in it", () => {
  const name = `<script>"x"</script>`;
  const drawings = [
    lineChart(caption, [[10, 0.5]], name),
    intervalChart(caption, [{ role: "previous", name, value: 0.5, interval: [0.4, 0.6], text: name }]),
    barChart(caption, [name], [{ role: "previous", shares: [0.5], texts: [name] }]),
    changeChart(caption, [{ name, before: null, after: 1, text: name }, { name, before: 0, after: 0, text: name }]),
  ];
  for (const { text } of drawings) {
    const { elements } = readMarkup(text);
    assert.deepEqual(elements.slice(0, 3), ["svg", "title", "desc"]);
    assert.ok(!elements.includes("script"));
    assert.match(text, /role="img" aria-labelledby="c-title c-text"/);
    assert.doesNotMatch(text, /NaN|Infinity|undefined/);
  }
});
