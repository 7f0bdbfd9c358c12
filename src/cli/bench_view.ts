/**
 * A benchmark's result as a person reads it.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { Agreement } from "../bench/agreement.ts";
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
  const { checkpoint } = result;
  sayFacts(
    settingFacts(result, [
      "weights",
      checkpoint === null ? "fresh" : `${checkpoint.policy_type} ${checkpoint.version}, the active one`,
    ]),
  );
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

/** A stored result as facts for `policy show`: all of it, as far as the version that stored it measured it. */
export function benchFacts(bench: JsonObject | null): [string, Cell][] {
  const result = (bench ?? {}) as Partial<BenchResult>;
  const { measured_at, deno, backends = [], rows, agreement = [], data } = result;
  if (!Array.isArray(rows)) return [];
  const when = `${shortTime(measured_at ?? null)} UTC${deno === undefined ? "" : `, deno ${deno}`}`;
  return [
    ...settingFacts(result, ["when", when]),
    ...backends.map(({ backend, device }): [string, Cell] => [`${backend} on`, device]),
    ...rows.map((row: BenchRow): [string, Cell] => [
      `${row.backend}, ${
        stageName(row.op, data?.objective) ?? `${row.op.replace("_", " ")} of ${count(row.batch_size)}`
      }`,
      `${ms(row.ms_median)} ms, p10 ${ms(row.ms_p10)}, ${count(Math.round(row.per_second))}/s, n ${count(row.samples)}`,
    ]),
    ...agreement.map((one): [string, Cell] => [
      `${one.backend} to ${one.against}`,
      `relative error ${errorOf(one)}${one.not_compared === undefined ? "" : `; not compared: ${one.not_compared}`}`,
    ]),
  ];
}

/** On what it was measured, with another fact in the second place. */
function settingFacts(
  { device, network, data, skipped = [] }: Partial<BenchResult>,
  second: [string, Cell],
): [string, Cell][] {
  const facts: [string, Cell][] = [["machine", device ?? null], second];
  if (network !== undefined) {
    const { input_dim, hidden_dim, outputs } = network;
    facts.push(["network", `${input_dim} inputs, hidden ${hidden_dim}, ${outputs} outputs`]);
  }
  if (data !== undefined) {
    const { episodes, location, source, objective } = data;
    const simulated = source === "simulated" ? ", simulated" : "";
    facts.push(["log", `${count(episodes)} episodes from ${location}${simulated}; objective ${objective}`]);
  }
  return [...facts, ...skipped.map(({ backend, reason }): [string, Cell] => [`no ${backend}`, reason])];
}

/** A stage from the log to a checkpoint as it is called for a person; undefined for what is none. */
function stageName(op: string, objective = ""): string | undefined {
  return op === "prepare" ? PREPARATIONS[objective] ?? STAGES.prepare : STAGES[op];
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

/** A line for each stage and a column for each backend: there are few of these, and the stages have long names. */
function stages({ rows, data }: BenchResult): void {
  const found = rows.filter(({ op }) => op in STAGES);
  if (found.length === 0) return;
  const backends = [...new Set(found.map(({ backend }) => backend))];
  const line = (name: string, op: string, text: (row: BenchRow) => string): Cell[] => [
    name,
    ...backends.map((one) => {
      const row = found.find(({ backend, op: stage }) => backend === one && stage === op);
      return row === undefined ? null : text(row);
    }),
  ];
  say();
  sayTable(["from the log to a checkpoint, ms", ...backends], [
    ...Object.keys(STAGES).map((op) => line(stageName(op, data.objective)!, op, (row) => ms(row.ms_median))),
    line("episodes per second", "end_to_end", (row) => count(Math.round(row.per_second))),
  ]);
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
        return one === undefined ? null : `${errorOf(one)}${one.not_compared === undefined ? "" : ", answers only"}`;
      }),
    ]),
  );
  const reasons = new Set(found.map(({ not_compared }) => not_compared).filter((reason) => reason !== undefined));
  for (const reason of reasons) say(dim(`not compared: ${reason}`));
}

function errorOf({ max_rel_error, agrees }: Agreement): string {
  return `${max_rel_error.toExponential(1)}${agrees ? "" : " DIFFERS"}`;
}

function rate({ per_second }: BenchRow): string {
  return `${count(Math.round(per_second))} episodes/s`;
}

/** Milliseconds with three digits that count. */
function ms(value: number): string {
  return value >= 100 ? count(Math.round(value)) : value.toPrecision(3);
}
