// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * Trains on real texts with simulated feedback and scores the policy against the known truth: for each set
 * `rlcf ingest`, `rlcf train` and `rlcf route` run through their command lines, on a database that is thrown away.
 *
 *     deno task bench:data [--backend wasm] [--sets legal_it,alis] [--json] [-- flags for rlcf train]
 *
 * The sets lie in ../shared/data (SET/log.jsonl, eval.jsonl, truth.jsonl, embeddings.f32, meta.json).
 *
 * @module
 */
import { parseArgs } from "node:util";
import { join } from "node:path";

const DATA = new URL("../../shared/data/", import.meta.url).pathname;
const MAIN = new URL("../src/main.ts", import.meta.url).pathname;
const SETS = "legal_it,alis,alis_templates,clinc4";

/** One query's truth. */
interface Truth {
  readonly query_id: string;
  readonly split: string;
  readonly experts: readonly string[];
  /** Expected reward of each expert. */
  readonly reward: readonly number[];
  /** The routing of the policy that logged. */
  readonly logging_weights: readonly number[];
}

/** Values of the test queries under the truth. */
interface Score {
  readonly set: string;
  readonly queries: number;
  readonly uniform: number;
  readonly logger: number;
  /** A linear reward model fitted to the same log, by its arg-max. */
  readonly linear_reward_model: number;
  readonly trained_sampled: number;
  readonly trained_argmax: number;
  readonly oracle: number;
  readonly version: string;
  readonly activated: boolean;
  readonly seconds: number;
}

const { values: options, positionals } = parseArgs({
  args: Deno.args,
  options: {
    backend: { type: "string", default: "auto" },
    sets: { type: "string", default: SETS },
    json: { type: "boolean" },
  },
  allowPositionals: true,
});

const scores: Score[] = [];
for (const set of options.sets.split(",")) scores.push(await scoreSet(set));
if (options.json) {
  console.log(JSON.stringify({ backend: options.backend, scores }));
} else {
  const rounded = (value: unknown): unknown => typeof value === "number" ? Math.round(1000 * value) / 1000 : value;
  const columns = (score: object): object =>
    Object.fromEntries(Object.entries(score).map(([name, value]) => [name, rounded(value)]));
  console.table(Object.fromEntries(scores.map(({ set, ...score }) => [set, columns(score)])));
}

async function scoreSet(set: string): Promise<Score> {
  const home = await Deno.makeTempDir({ prefix: "rlcf-real-" });
  try {
    const meta = await readJson(join(DATA, set, "meta.json"));
    await inlineEmbeddings(set, meta.dim, "log.jsonl", join(home, "log.jsonl"));
    await inlineEmbeddings(set, meta.dim, "eval.jsonl", join(home, "eval.jsonl"));
    const common = ["--database", `sqlite:///${home}/rlcf.db`, "--log-level", "warning"];
    const environment = { RLCF_CHECKPOINT_DIR: join(home, "policies"), RLCF_BACKEND: options.backend };
    await rlcf(["ingest", join(home, "log.jsonl"), "--json", ...common], environment);
    const started = performance.now();
    // The timestamps of the sets are fixed, so the window must reach back to them.
    const flags = ["--lookback-days", "36500", ...positionals];
    const report = JSON.parse(await rlcf(["train", "--json", ...flags, ...common], environment));
    const seconds = (performance.now() - started) / 1000;
    const version = ["--policy-version", report.version];
    const routes = linesOf(await rlcf(["route", join(home, "eval.jsonl"), ...version, ...common], environment));
    return { set, ...score(set, meta, routes), version: report.version, activated: report.activated, seconds };
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

function score(
  set: string,
  meta: { reference: { test: { ridge_reward_model_on_log: { value: number } } } },
  routes: readonly { query_id: string; weights: Record<string, number> }[],
): Omit<Score, "set" | "version" | "activated" | "seconds"> {
  const weightsOf = new Map(routes.map((route) => [route.query_id, route.weights]));
  const truths = linesOf<Truth>(Deno.readTextFileSync(join(DATA, set, "truth.jsonl")))
    .filter((truth) => truth.split === "test");
  const mean = (value: (truth: Truth) => number): number =>
    truths.reduce((sum, truth) => sum + value(truth), 0) / truths.length;
  const routed = (truth: Truth): number[] => truth.experts.map((expert) => weightsOf.get(truth.query_id)![expert]!);
  return {
    queries: truths.length,
    uniform: mean((truth) => dot(truth.reward, truth.experts.map(() => 1 / truth.experts.length))),
    logger: mean((truth) => dot(truth.reward, truth.logging_weights)),
    linear_reward_model: meta.reference.test.ridge_reward_model_on_log.value,
    trained_sampled: mean((truth) => dot(truth.reward, routed(truth))),
    trained_argmax: mean((truth) => truth.reward[argmax(routed(truth))]!),
    oracle: mean((truth) => Math.max(...truth.reward)),
  };
}

/** Runs the real program and returns its stdout. */
async function rlcf(args: readonly string[], environment: Record<string, string>): Promise<string> {
  const permissions = ["--no-prompt", "--allow-read", "--allow-write", "--allow-env", "--allow-sys=hostname"];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...permissions, MAIN, ...args],
    env: environment,
    stderr: "inherit",
  }).output();
  if (code !== 0) throw new Error(`rlcf ${args[0]} ended with exit code ${code}`);
  return new TextDecoder().decode(stdout);
}

/** Writes a file of records with each embedding in place of its row number. */
async function inlineEmbeddings(set: string, dim: number, name: string, path: string): Promise<void> {
  const embeddings = new Float32Array((await Deno.readFile(join(DATA, set, "embeddings.f32"))).buffer);
  const vector = (row: number): number[] => Array.from(embeddings.subarray(row * dim, (row + 1) * dim));
  const lines = linesOf(await Deno.readTextFile(join(DATA, set, name))).map((record) => {
    if (record.trace === undefined) {
      return { query_id: record.query_id, query_embedding: vector(record.embedding_row) };
    }
    for (const { metadata } of record.trace.actions) {
      if (metadata.embedding_row !== undefined) metadata.query_embedding = vector(metadata.embedding_row);
      delete metadata.embedding_row;
    }
    return record;
  });
  await Deno.writeTextFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}

// deno-lint-ignore no-explicit-any -- records of several shapes, read once and written again
function linesOf<T = any>(text: string): T[] {
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

// deno-lint-ignore no-explicit-any -- a file of the data's own format, of which two fields are read
async function readJson(path: string): Promise<any> {
  return JSON.parse(await Deno.readTextFile(path));
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

function argmax(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}
