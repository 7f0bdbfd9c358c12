/**
 * Values with their intervals, one under the other on the same axis.
 *
 * @module
 */
import type { Markup } from "../markup.ts";
import type { Role } from "../report_data.ts";
import { type Caption, drawing, fitting, label, line, WIDTH } from "./drawing.ts";
import { mark } from "./marks.ts";
import { linearScale } from "./scale.ts";

/** A value. */
export interface IntervalRow {
  /** Decides its mark. */
  readonly role: Role;
  /** Its name. */
  readonly name: string;
  /** The value. */
  readonly value: number;
  /** From and to; null if it has none. */
  readonly interval: readonly [low: number, high: number] | null;
  /** Value and interval in words. */
  readonly text: string;
}

const [ROW, EDGE, TOP, BOTTOM] = [48, 14, 6, 30];

/** The rows in the given order, at least one. */
export function intervalChart(caption: Caption, rows: readonly IntervalRow[]): Markup {
  const scale = linearScale(
    rows.flatMap(({ value, interval }) => [value, ...interval ?? []]),
    [EDGE, WIDTH - EDGE],
  );
  const height = TOP + rows.length * ROW + BOTTOM;
  const axis = height - BOTTOM;
  return drawing(caption, height, [
    scale.ticks.map((tick) => [
      line("grid", scale.at(tick), TOP, scale.at(tick), axis),
      label("tick", scale.at(tick), axis + 17, scale.label(tick), "middle"),
    ]),
    rows.map(({ role, name, value, interval, text }, i) => {
      const top = TOP + i * ROW;
      const y = top + 33;
      return [
        label("name", EDGE, top + 15, fitting(name, 34)),
        label("number", WIDTH - EDGE, top + 15, text, "end"),
        interval !== null && [
          line("interval", scale.at(interval[0]), y, scale.at(interval[1]), y),
          interval.map((end) => line("interval", scale.at(end), y - 6, scale.at(end), y + 6)),
        ],
        mark(role, scale.at(value), y),
      ];
    }),
  ]);
}
