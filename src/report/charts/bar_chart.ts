/**
 * Shares of the experts, the routings side by side.
 *
 * @module
 */
import { type Markup, markup } from "../markup.ts";
import type { Role } from "../report_data.ts";
import { type Caption, drawing, fitting, label, places, WIDTH } from "./drawing.ts";
import { hatching } from "./marks.ts";

/** One routing's shares. */
export interface BarSeries {
  /** Decides its fill: outlined, hatched or filled. */
  readonly role: Role;
  /** [groups] shares from 0 to 1. */
  readonly shares: readonly number[];
  /** [groups] the shares in words. */
  readonly texts: readonly string[];
}

const [BAR, GAP, HEAD, EDGE, RIGHT] = [13, 3, 19, 1, 50];

/** A group of bars for each name, a bar for each series; full length is a share of 1. */
export function barChart(caption: Caption, names: readonly string[], series: readonly BarSeries[]): Markup {
  const group = HEAD + series.length * (BAR + GAP) + 8;
  const hatch = `${caption.id}-hatch`;
  const room = WIDTH - EDGE - RIGHT;
  return drawing(caption, names.length * group, [
    hatching(hatch),
    names.map((name, g) => [
      label("name", EDGE, g * group + 13, fitting(name, 48)),
      series.map(({ role, shares, texts }, s) => {
        const y = g * group + HEAD + s * (BAR + GAP);
        const width = Math.max(1.5, room * Math.min(1, shares[g]!));
        const fill = role === "previous" ? markup` fill="url(#${hatch})"` : "";
        return [
          markup`<rect class="bar ${role}" x="${EDGE}" y="${places(y)}" width="${
            places(width)
          }" height="${BAR}"${fill}/>`,
          label("number", EDGE + width + 6, y + 11, texts[g]!),
        ];
      }),
    ]),
  ]);
}
