/**
 * A curve over episodes.
 *
 * @module
 */
import type { Markup } from "../markup.ts";
import { markup } from "../markup.ts";
import { type Caption, drawing, label, line, places, WIDTH } from "./drawing.ts";
import { linearScale } from "./scale.ts";

const HEIGHT = 190;
const EDGE = { left: 56, right: 22, top: 12, bottom: 40 } as const;

/** A curve through points whose x ascend; a single one is drawn as a dot. `across` names the x axis. */
export function lineChart(
  caption: Caption,
  points: readonly (readonly [x: number, y: number])[],
  across: string,
): Markup {
  const x = linearScale([0, ...points.map(([at]) => at)], [EDGE.left, WIDTH - EDGE.right]);
  const y = linearScale(points.map(([, value]) => value), [HEIGHT - EDGE.bottom, EDGE.top], 3);
  const path = points.map(([at, value], i) => `${i === 0 ? "M" : "L"}${places(x.at(at))} ${places(y.at(value))}`);
  const [lastX, lastY] = points.at(-1)!;
  return drawing(caption, HEIGHT, [
    y.ticks.map((tick) => [
      line("grid", EDGE.left, y.at(tick), WIDTH - EDGE.right, y.at(tick)),
      label("tick", EDGE.left - 7, y.at(tick) + 4, y.label(tick), "end"),
    ]),
    x.ticks.map((tick) => label("tick", x.at(tick), HEIGHT - EDGE.bottom + 16, x.label(tick), "middle")),
    label("tick", (EDGE.left + WIDTH - EDGE.right) / 2, HEIGHT - 7, across, "middle"),
    markup`<path class="curve" d="${path.join("")}"/>`,
    markup`<circle class="last" cx="${places(x.at(lastX))}" cy="${places(y.at(lastY))}" r="3.5"/>`,
  ]);
}
