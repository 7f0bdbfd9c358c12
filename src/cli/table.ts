/**
 * Tables for people, on stderr, no wider than the terminal.
 *
 * @module
 */
import Table from "cli-table3";
import { bold, columns, say, visibleLine } from "./terminal.ts";

/** A cell; null shows as `-`. */
export type Cell = string | number | null;

/** No lines but one under the head: what is copied from the terminal stays text. */
const PLAIN = {
  ...{ "top": "", "top-mid": "", "top-left": "", "top-right": "" },
  ...{ "bottom": "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" },
  ...{ "left": "", "left-mid": "", "mid": "", "mid-mid": "", "right": "", "right-mid": "", "middle": "" },
};
/** Blanks between columns: the padding of one cell to the right and of the next to the left. */
const GAP = 2;
/** Columns that are narrower are never cut. */
const NARROW = 14;

/** A table under a head; columns of numbers are aligned to the right. */
export function sayTable(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const texts = rows.map((row) => row.map(textOf));
  const numeric = head.map((_, column) => texts.length > 0 && texts.every((row) => looksNumeric(row[column]!)));
  const natural = head.map((name, column) => Math.max(widthOf(name), widest(texts, column)));
  const widths = fitted(natural, columns());
  const [names, ...lines] = draw([head, widths.map((width) => "─".repeat(width)), ...texts], widths, numeric);
  const rule = lines.findIndex((line) => line.startsWith("─"));
  for (const line of [names!, ...lines.slice(0, rule)]) say(bold(line));
  for (const line of lines.slice(rule)) say(line);
}

/** Names and what they are, one a line, without a head. */
export function sayFacts(facts: readonly (readonly [name: string, value: Cell])[]): void {
  const texts = facts.map(([name, value]) => [name, textOf(value)]);
  const natural = [0, 1].map((column) => widest(texts, column));
  for (const line of draw(texts, fitted(natural, columns()), [false, false])) say(line);
}

/** The lines of a table, without colours: the library counts those as letters when it aligns. */
function draw(
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  right: readonly boolean[],
): string[] {
  const table = new Table({
    chars: PLAIN,
    colWidths: widths.map((width) => width + GAP),
    colAligns: right.map((isRight) => isRight ? "right" : "left"),
    style: { head: [], border: [], "padding-left": 0, "padding-right": GAP, compact: true },
  });
  for (const row of rows) table.push(row.map((text, column) => wrapped(text, widths[column]!)));
  return table.toString().split("\n").map((line) => line.trimEnd());
}

/** The widths of the columns, the widest ones made smaller until the table fits; the first, which names, comes last. */
function fitted(natural: readonly number[], available: number): number[] {
  const widths = natural.map((width) => Math.max(1, width));
  let excess = widths.reduce((sum, width) => sum + width + GAP, -GAP) - available;
  for (const candidates of [widths.slice(1), widths]) {
    const first = widths.length - candidates.length;
    for (; excess > 0; excess--) {
      const widest = Math.max(...widths.slice(first));
      if (widest <= NARROW) break;
      widths[widths.indexOf(widest, first)]!--;
    }
  }
  return widths;
}

/** The text in lines of at most `width`, broken at blanks where there are any; nothing is cut off. */
function wrapped(text: string, width: number): string {
  const lines: string[] = [];
  for (let rest = [...text]; rest.length > 0;) {
    if (rest.length <= width) {
      lines.push(rest.join(""));
      break;
    }
    const blank = rest.lastIndexOf(" ", width);
    const end = blank > width / 2 ? blank : width;
    lines.push(rest.slice(0, end).join(""));
    rest = rest.slice(blank === end ? end + 1 : end);
  }
  return lines.join("\n");
}

/** Of any number of rows: a call takes no more than some hundred thousand arguments. */
function widest(rows: readonly (readonly string[])[], column: number): number {
  return rows.reduce((widest, row) => Math.max(widest, widthOf(row[column]!)), 0);
}

function widthOf(text: string): number {
  return [...text].length;
}

function textOf(cell: Cell): string {
  return cell === null ? "-" : typeof cell === "number" ? count(cell) : visibleLine(cell);
}

function looksNumeric(text: string): boolean {
  return /^[+-]?[\d.,]+(?:%| s)?$/.test(text) || text === "-";
}

/** A whole number with its thousands apart, e.g. `14,567`; any other number as it is. */
export function count(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en-US") : String(value);
}

/** A number with the given decimals, `-` for none. */
export function decimals(value: number | null | undefined, digits = 3): string {
  return value === null || value === undefined ? "-" : value.toFixed(digits);
}

/** A timestamp to the second, e.g. `2025-12-30 09:00:00`, in UTC; `-` for none. */
export function shortTime(timestamp: string | null): string {
  return timestamp === null ? "-" : timestamp.slice(0, 19).replace("T", " ");
}
