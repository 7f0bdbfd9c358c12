/**
 * A benchmark's result as a person reads it.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { BenchResult, BenchRow } from "../bench/run.ts";
import { barLines } from "./bar_chart.ts";
import { type Cell, count, sayFacts, sayTable, shortTime } from "./table.ts";
import { columns, dim, isWatched, say } from "./terminal.ts";

/** The stages from the database to a checkpoint, as they are called for a person. */
const STAGES: Readonly<Record<string, string>> = {
  load: "read the log",
  prepare: "upload, fit the reward model",
  train_pass: "train, one pass",
  checkpoint: "write a checkpoint",
  end_to_end: "all of it",
};

/** What there is to prepare, for objectives without a reward model. */
const PREPARATIONS: Readonly<Record<string, string>> = { reinforce: "upload", ppo: "upload, estimate the advantages" };

/** Tells a whole result on stderr. */
export function showBench(result: BenchResult): void {
  const { checkpoint, network, data } = result;
  sayFacts([
    ["machine", result.device],
    ["weights", checkpoint === null ? "fresh" : `${checkpoint.policy_type} ${checkpoint.version}, the active one`],
    ["network", `${network.input_dim} inputs, hidden ${network.hidden_dim}, ${network.outputs} outputs`],
    [
      "log",
      `${count(data.episodes)} episodes from ${data.location}${data.source === "simulated" ? ", simulated" : ""}`,
    ],
    ...result.skipped.map(({ backend, reason }) => [`no ${backend}`, reason] as const),
  ]);
  const steps = result.rows.filter(({ op }) => op === "train_step");
  pivot("training step, ms", steps, (batchSize) => `batch ${batchSize}`);
  if (isWatched() && steps.length > 1) chart(steps);
  pivot(
    "forward, ms",
    result.rows.filter(({ op }) => op === "forward"),
    (rows) => rows === 1 ? "1 query" : `${count(rows)} queries`,
  );
  stages(result);
  agreement(result);
}

/** The best rate of training that a stored result holds, in a line; undefined where there is none to be read. */
export function bestRate(bench: JsonObject | null): string | undefined {
  const rows = (bench as Partial<BenchResult> | null)?.rows;
  if (!Array.isArray(rows)) return undefined;
  const steps = (rows as BenchRow[]).filter(({ op }) => op === "train_step");
  if (steps.length === 0) return undefined;
  const best = steps.reduce((a, b) => a.per_second >= b.per_second ? a : b);
  const when = (bench as Partial<BenchResult>).measured_at ?? null;
  return `${rate(best)} on ${best.backend} at batch ${best.batch_size}, ${shortTime(when)} UTC`;
}

/** Rows as facts for `policy show`: every operation of every variant. */
export function benchFacts(bench: JsonObject | null): [string, Cell][] {
  const { device, measured_at, rows } = (bench ?? {}) as Partial<BenchResult>;
  if (!Array.isArray(rows)) return [];
  return [
    ["machine", device ?? null],
    ["when", `${shortTime(measured_at ?? null)} UTC`],
    ...rows.map((row: BenchRow): [string, Cell] => [
      `${row.backend}, ${STAGES[row.op] ?? `${row.op.replace("_", " ")} of ${count(row.batch_size)}`}`,
      `${ms(row.ms_median)} ms, ${count(Math.round(row.per_second))}/s`,
    ]),
  ];
}

/** A table with a line for each variant and a column for each number of rows. */
function pivot(title: string, rows: readonly BenchRow[], columnName: (rows: number) => string): void {
  if (rows.length === 0) return;
  const sizes = [...new Set(rows.map((row) => row.batch_size))];
  const variants = [...new Set(rows.map((row) => row.backend))];
  say();
  sayTable(
    [title, ...sizes.map(columnName)],
    variants.map((variant) => [
      variant,
      ...sizes.map((size) => {
        const row = rows.find(({ backend, batch_size }) => backend === variant && batch_size === size);
        return row === undefined ? null : `${ms(row.ms_median)} (${ms(row.ms_p10)})`;
      }),
    ]),
  );
  say(dim("median (tenth percentile)"));
}

/** Bars of episodes per second, to scale within each batch size. */
function chart(steps: readonly BenchRow[]): void {
  for (const size of new Set(steps.map(({ batch_size }) => batch_size))) {
    const rows = steps.filter(({ batch_size }) => batch_size === size);
    say();
    say(dim(`episodes per second, batch ${size}`));
    const bars = rows.map((row) => ({
      label: row.backend,
      value: row.per_second,
      text: count(Math.round(row.per_second)),
    }));
    for (const line of barLines(bars, columns())) say(line);
  }
}

function stages({ rows, data }: BenchResult): void {
  const found = rows.filter(({ op }) => op in STAGES);
  if (found.length === 0) return;
  say();
  sayTable(
    [`from the log to a checkpoint, ${found[0]!.backend}`, "ms", "per second"],
    found.map((row) => [
      row.op === "prepare" ? PREPARATIONS[data.objective] ?? STAGES.prepare! : STAGES[row.op]!,
      ms(row.ms_median),
      count(Math.round(row.per_second)),
    ]),
  );
}

/** A line for each variant: how far it is from float64, and from the variant that the others are compared with. */
function agreement({ agreement: found }: BenchResult): void {
  const against = [...new Set(found.map((one) => one.against))];
  const variants = [...new Set(found.map((one) => one.backend))];
  say();
  sayTable(
    ["relative error", ...against.map((other) => `to ${other}`)],
    variants.map((variant) => [
      variant,
      ...against.map((other) => {
        const one = found.find((candidate) => candidate.backend === variant && candidate.against === other);
        return one === undefined ? null : `${one.max_rel_error.toExponential(1)}${one.agrees ? "" : " DIFFERS"}`;
      }),
    ]),
  );
}

function rate({ per_second }: BenchRow): string {
  return `${count(Math.round(per_second))} episodes/s`;
}

/** Milliseconds with three digits that count. */
function ms(value: number): string {
  return value >= 100 ? count(Math.round(value)) : value.toPrecision(3);
}
