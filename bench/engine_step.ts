/**
 * Milliseconds per training step of one engine, for the network 768-256-128-4 and several batch sizes.
 *
 * `deno run --ignore-env bench/engine_step.ts [--backend simd] [--threads N] [--batches 1,32,256,1024] [--seconds 2] [--json]`
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a benchmark prints what it measured
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { measureSteps } from "../src/bench/measure.ts";
import type { Timing } from "../src/bench/timing.ts";
import { unitRows } from "../src/bench/workload.ts";
import { createEngine } from "../src/engine/create.ts";
import type { BackendName, NetworkShape } from "../src/engine/engine.ts";
import { initialState } from "../src/engine/network.ts";
import { createSimdEngine } from "../src/engine/simd/engine.ts";

/** The network of the benchmarks: the original's sizes. */
const SHAPE: NetworkShape = { inputDim: 768, hiddenDim: 256, outputs: 4, inputScale: 32 };
/** Rows of the uploaded set. */
const ROWS = 4096;

const { values } = parseArgs({
  options: {
    backend: { type: "string", default: "simd" },
    threads: { type: "string" },
    batches: { type: "string", default: "1,32,256,1024" },
    seconds: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
  },
});
await using engine = values.threads === undefined
  ? (await createEngine(SHAPE, { backend: values.backend as BackendName })).engine
  : await createSimdEngine(SHAPE, { threads: Number(values.threads) });
await engine.upload(unitRows(new Random(1), ROWS, SHAPE.inputDim));
const rows: Timing[] = [];
for (const batchSize of values.batches.split(",").map(Number)) {
  await engine.load(initialState(SHAPE, 1));
  rows.push(await measureSteps(engine, ROWS, batchSize, 1000 * Number(values.seconds)));
}
if (values.json) {
  console.log(JSON.stringify({ backend: engine.backend, device: engine.device, rows }));
} else {
  console.log(`${engine.backend} on ${engine.device}`);
  for (const { batch_size, ms_median, ms_p10, per_second } of rows) {
    console.log(
      `B=${batch_size}: median ${ms_median.toFixed(4)} ms, p10 ${ms_p10.toFixed(4)} ms, ` +
        `${Math.round(per_second)} episodes/s`,
    );
  }
}
