/**
 * Bars of block characters, for terminals.
 *
 * @module
 */

/** One bar. */
export interface Bar {
  /** In front of the bar. */
  readonly label: string;
  /** Its length, at least 0. */
  readonly value: number;
  /** Behind the bar. */
  readonly text: string;
}

/** Longest bar, in columns. */
const LONGEST = 48;
/** From an eighth of a column to a whole one. */
const EIGHTHS = "▏▎▍▌▋▊▉█";

/**
 * One line for each bar, the largest value at full length, none wider than the terminal.
 *
 * @param width columns there are
 */
export function barLines(bars: readonly Bar[], width: number): string[] {
  const largest = Math.max(...bars.map(({ value }) => value));
  const labels = Math.max(...bars.map(({ label }) => label.length));
  const texts = Math.max(...bars.map(({ text }) => text.length));
  const room = Math.max(1, Math.min(LONGEST, width - labels - texts - 3));
  return bars.map(({ label, value, text }) =>
    `${label.padEnd(labels)}  ${barOf(largest === 0 ? 0 : value / largest, room)} ${text}`
  );
}

/** A bar of a share of some columns, to an eighth of a column; anything above nothing is visible. */
function barOf(share: number, columns: number): string {
  const eighths = Math.max(share > 0 ? 1 : 0, Math.round(8 * share * columns));
  const rest = eighths % 8;
  return "█".repeat(Math.floor(eighths / 8)) + (rest === 0 ? "" : EIGHTHS[rest - 1]);
}
