/** Bars: to scale, visible, and no wider than the terminal. */
import assert from "node:assert/strict";
import { barLines } from "../../src/cli/bar_chart.ts";

Deno.test("bars are to scale, to an eighth of a column", () => {
  const bars = [
    { label: "simd", value: 16, text: "16" },
    { label: "cpu", value: 1, text: "1" },
    { label: "none", value: 0, text: "0" },
  ];
  assert.deepEqual(barLines(bars, 4 + 2 + 3 + 8), ["simd  ████████ 16", "cpu   ▌ 1", "none   0"]);
});

Deno.test("what is more than nothing can be seen, and no line is wider than the terminal", () => {
  const bars = [{ label: "webgpu fused", value: 1e6, text: "1,000,000" }, { label: "cpu", value: 1, text: "1" }];
  for (const width of [40, 80, Infinity]) {
    const lines = barLines(bars, width);
    assert.match(lines[1]!, /▏/);
    for (const line of lines) assert.ok([...line].length <= Math.min(width, 80), line);
  }
});
