/**
 * Does PyTorch compute what rlcf computes? Exports a policy, loads the file in Python, and compares the routing of
 * random queries with that of `rlcf route`.
 *
 *     deno task bench:torch-outputs [--queries 200] [--input-dim 768] [--hidden-dim 256]
 *
 * Ends with 1 if any weight differs by more than 1e-6. `apt-get install python3-torch` brings the peer.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a benchmark prints what it measured
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../../src/base/random.ts";
import { registerPolicy } from "../../src/session/register_policy.ts";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import { loadConfig } from "../../src/config/load.ts";
import { createPersistence } from "../../src/store/create.ts";
import { measureProcess } from "./process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** Debian's Python has Debian's torch; another one in front of it on the PATH has none. */
const PYTHON = "/usr/bin/python3";
const TOLERANCE = 1e-6;
const SCRIPT = join(ROOT, "bench/peers/load_in_torch.py");

const { values } = parseArgs({
  options: {
    queries: { type: "string", default: "200" },
    "input-dim": { type: "string", default: "768" },
    "hidden-dim": { type: "string", default: "256" },
  },
});
const [inputDim, hiddenDim] = [Number(values["input-dim"]), Number(values["hidden-dim"])];
const folder = await Deno.makeTempDir({ prefix: "rlcf-torch-" });
try {
  await prepare();
  const ours = await routeHere();
  const theirs = await routeInTorch();
  let largest = 0;
  for (const [id, weights] of theirs) {
    for (const [e, weight] of weights.entries()) largest = Math.max(largest, Math.abs(weight - ours.get(id)![e]!));
  }
  console.log(
    `${theirs.size} queries, ${inputDim}-${hiddenDim}: the largest difference of a weight between PyTorch and rlcf is ` +
      `${largest.toExponential(2)}`,
  );
  if (theirs.size !== ours.size || !(largest <= TOLERANCE)) Deno.exit(1);
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** Seeded weights as the active version of a database of its own, exported, and queries to route. */
async function prepare(): Promise<void> {
  await Deno.writeTextFile(
    join(folder, "config.yaml"),
    `gating_policy: { input_dim: ${inputDim}, hidden_dim: ${hiddenDim} }\ndatabase: { url: "sqlite:///${folder}/log.db" }\n` +
      `checkpoint: { directory: "${folder}/policies" }\ncompute: { backend: simd }\n`,
  );
  const { config } = await loadConfig({ path: join(folder, "config.yaml"), flags: {}, env: () => undefined });
  await using store = await createPersistence(config.database.url!);
  await using policy = await GatingPolicy.create({ inputDim, hiddenDim, seed: 1, backend: "simd" });
  const state = await policy.stateDict();
  const { version } = await registerPolicy(store, config, {
    state,
    version: null,
    config: {},
    metrics: {},
    episodes: 0,
  });
  await store.activatePolicy(version, "gating", { by: "bench" });
  const random = new Random(2);
  const lines = Array.from({ length: Number(values.queries) }, (_, i) => {
    // Of unit length on average, as embeddings are.
    const scale = Math.sqrt(3 / inputDim);
    const embedding = Array.from({ length: inputDim }, () => scale * (2 * random.uniform() - 1));
    return `${JSON.stringify({ query_id: `q${i}`, query_embedding: embedding })}\n`;
  });
  await Deno.writeTextFile(join(folder, "queries.jsonl"), lines.join(""));
  await rlcf(["export", "--output", join(folder, "policy.safetensors")]);
}

async function routeHere(): Promise<Map<string, number[]>> {
  const lines = (await rlcf(["route", join(folder, "queries.jsonl")])).trimEnd().split("\n");
  return new Map(lines.map((line) => {
    const { query_id, weights } = JSON.parse(line) as { query_id: string; weights: Record<string, number> };
    return [query_id, Object.values(weights)];
  }));
}

async function routeInTorch(): Promise<Map<string, number[]>> {
  const python = `${PYTHON} ${SCRIPT} ${folder}/policy.safetensors < ${folder}/queries.jsonl`;
  const { stdout } = await measureProcess(["sh", "-c", python], { cwd: ROOT });
  return new Map(
    stdout.trimEnd().split("\n").map((line) => {
      const { query_id, weights } = JSON.parse(line) as { query_id: string; weights: number[] };
      return [query_id, weights];
    }),
  );
}

async function rlcf(args: readonly string[]): Promise<string> {
  const command = [
    Deno.execPath(),
    "run",
    "-A",
    join(ROOT, "src/main.ts"),
    ...args,
    "--config",
    join(folder, "config.yaml"),
  ];
  return (await measureProcess(command, { cwd: ROOT })).stdout;
}
