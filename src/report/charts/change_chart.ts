/**
 * The routing of one query before and after: a line for each expert, from a hollow mark to a filled one.
 *
 * @module
 */
import { type Markup } from "../markup.ts";
import { type Caption, drawing, fitting, label, line } from "./drawing.ts";
import { mark } from "./marks.ts";

/** One expert's weights. */
export interface WeightChange {
  /** The expert. */
  readonly name: string;
  /** Weight before, from 0 to 1; null if it is not known. */
  readonly before: number | null;
  /** Weight after. */
  readonly after: number;
  /** Both in words. */
  readonly text: string;
}

const [WIDTH, ROW, FROM, TO] = [330, 22, 100, 226];

/** The experts in the given order. */
export function changeChart(caption: Caption, rows: readonly WeightChange[]): Markup {
  const at = (weight: number): number => FROM + Math.max(0, Math.min(1, weight)) * (TO - FROM);
  return drawing(
    caption,
    rows.length * ROW + 2,
    rows.map(({ name, before, after, text }, i) => {
      const y = i * ROW + 12;
      return [
        label("name small", 0, y + 4, fitting(name, 14)),
        line("grid", FROM, y, TO, y),
        before !== null && [line("moved", at(before), y, at(after), y), mark("logged", at(before), y)],
        mark("version", at(after), y),
        label("number", WIDTH - 2, y + 4, text, "end"),
      ];
    }),
    WIDTH,
  );
}
