/**
 * The comparison with PyTorch as tables for a terminal of 80 columns.
 *
 * @module
 */
import { percentile } from "../../src/bench/timing.ts";
import type { Comparison } from "./ratios.ts";

/** One run of the whole program. */
export interface WholeRun {
  /** Round, from 1. */
  readonly round: number;
  /** What was run; `nothing` is Deno with an empty program, which tells how fast the machine starts anything. */
  readonly command: "train" | "stats" | "nothing";
  /** Wall time of the process. */
  readonly seconds: number;
  /** Its largest resident set; null where nobody told. */
  readonly megabytes: number | null;
}

/** What issue 3 asks of the whole program. */
const WHOLE = { trainSeconds: 2.5, trainMegabytes: 250, statsSeconds: 0.25 } as const;

/**
 * A line for each of our variants at each batch size. A target has two verdicts: against PyTorch as it comes, whose times
 * the targets were taken from, and against PyTorch with whichever AdamW is fastest.
 *
 * @param toDefault ratios to PyTorch as it comes
 * @param toFastest ratios to PyTorch with its fastest AdamW
 */
export function stepTable(toDefault: readonly Comparison[], toFastest: readonly Comparison[]): string[] {
  const same = (a: Comparison) => (b: Comparison): boolean => a.variant === b.variant && a.batch_size === b.batch_size;
  const rows = toFastest.map((fastest) => {
    const usual = toDefault.find(same(fastest));
    return [
      ...[fastest.variant, String(fastest.batch_size), fastest.ms.toFixed(3)],
      ...[usual?.peer_ms.toFixed(3) ?? "-", usual?.ratio.toFixed(2) ?? "-", fastest.target?.toFixed(2) ?? "-"],
      ...[verdictOf(usual?.met), fastest.ratio.toFixed(2), verdictOf(fastest.met)],
    ];
  });
  if (rows.length === 0) return [];
  const columns = ["variant", "batch", "ours ms", "torch ms", "ratio", "target", "verdict", "ratio", "verdict"];
  const [head, ...lines] = aligned([columns, ...rows], "lrrrrrlrl");
  return [
    `${" ".repeat(head!.lastIndexOf("ratio"))}to its fastest`,
    ...[head!, ...lines],
    "torch: PyTorch as it comes (AdamW in a loop), which the targets were taken from",
    "its fastest: PyTorch with whichever AdamW is fastest at that batch size",
  ];
}

/** A line for everything that is asked of the whole program; none for what was not measured. */
export function wholeTable(whole: readonly WholeRun[], episodes: number): string[] {
  const line = (
    what: string,
    command: WholeRun["command"],
    field: "seconds" | "megabytes",
    most?: number,
  ): string[][] => {
    const found = whole.filter((run) => run.command === command).map((run) => run[field]).filter((one) => one !== null);
    if (found.length === 0) return [];
    const [median, digits] = [percentile(found, 0.5), field === "seconds" ? 2 : 0];
    const rounds = found.map((one) => one.toFixed(digits)).join(" ");
    const [target, verdict] = most === undefined ? ["-", ""] : [most.toFixed(digits), verdictOf(median <= most)];
    return [[what, median.toFixed(digits), target, verdict, rounds]];
  };
  const rows = [
    ...line("train, one pass, s", "train", "seconds", WHOLE.trainSeconds),
    ...line("train, peak MB", "train", "megabytes", WHOLE.trainMegabytes),
    ...line("stats, s", "stats", "seconds", WHOLE.statsSeconds),
    ...line("Deno doing nothing, s", "nothing", "seconds"),
  ];
  if (rows.length === 0) return [];
  return aligned([
    [`${episodes.toLocaleString("en-US")} stored traces`, "median", "target", "verdict", "rounds"],
    ...rows,
  ], "lrrll");
}

function verdictOf(met: boolean | undefined): string {
  return met === undefined ? "" : met ? "met" : "MISSED";
}

/** Rows of equally many cells, two blanks between columns; `r` in `sides` sets a column to the right. */
function aligned(rows: readonly (readonly string[])[], sides: string): string[] {
  const widths = [...sides].map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) => sides[column] === "r" ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))
      .join("  ").trimEnd()
  );
}
