/**
 * Milliseconds per training step of one engine, for the network 768-256-128-4 and several batch sizes.
 *
 * `deno run --ignore-env bench/engine_step.ts [--backend simd] [--threads N] [--batches 1,32,256,1024] [--json]`
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a benchmark prints what it measured
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { createEngine } from "../src/engine/create.ts";
import type { BackendName, NetworkShape, PolicyEngine, TrainingSegment } from "../src/engine/engine.ts";
import { initialState } from "../src/engine/network.ts";
import { createSimdEngine } from "../src/engine/simd/engine.ts";

/** What one batch size took. */
export interface StepTime {
  readonly batchSize: number;
  /** Median of the samples; a sample is the mean over one segment of steps. */
  readonly msMedian: number;
  /** The tenth percentile: what the machine does when nothing else runs. */
  readonly msP10: number;
  /** Steps measured in all. */
  readonly steps: number;
}

/** The network of the benchmarks: the original's sizes. */
export const BENCH_SHAPE: NetworkShape = { inputDim: 768, hiddenDim: 256, outputs: 4, inputScale: 32 };

/** Rows of the uploaded set. */
const ROWS = 4096;
/** Samples for each batch size. */
const SAMPLES = 21;
/** Aim for the length of a sample, in ms: long beside the clock and the checks of a segment, short beside a disturbance. */
const SAMPLE_MS = 40;

/** Measures training steps of an engine. Replaces its weights and its uploaded set. */
export async function measureSteps(engine: PolicyEngine, batchSizes: readonly number[]): Promise<StepTime[]> {
  const random = new Random(1);
  await engine.load(initialState(engine.shape, 1));
  await engine.upload(unitRows(random, ROWS, engine.shape.inputDim));
  const measured: StepTime[] = [];
  for (const batchSize of batchSizes) {
    const timed = async (steps: number): Promise<number> => {
      const segment = randomSegment(random, engine.shape, steps, batchSize);
      const startedAt = performance.now();
      await engine.train(segment);
      return (performance.now() - startedAt) / steps;
    };
    // The first segments also compile, start threads and choose their number.
    await timed(8);
    const warm = Math.min(await timed(16), await timed(8));
    const steps = Math.max(1, Math.round(SAMPLE_MS / warm));
    await timed(steps);
    const samples: number[] = [];
    for (let sample = 0; sample < SAMPLES; sample++) samples.push(await timed(steps));
    samples.sort((a, b) => a - b);
    measured.push({
      batchSize,
      msMedian: samples[SAMPLES >> 1]!,
      msP10: samples[Math.floor(SAMPLES / 10)]!,
      steps: steps * SAMPLES,
    });
  }
  return measured;
}

/** [rows, width] normal random rows of length 1, as embeddings are. */
function unitRows(random: Random, rows: number, width: number): Float32Array {
  const values = Float32Array.from({ length: rows * width }, () => random.normal());
  for (let row = 0; row < rows; row++) {
    const rowI = values.subarray(row * width, (row + 1) * width);
    const length = Math.hypot(...rowI);
    for (let i = 0; i < width; i++) rowI[i]! /= length;
  }
  return values;
}

function randomSegment(random: Random, shape: NetworkShape, steps: number, batchSize: number): TrainingSegment {
  const visits = steps * batchSize;
  const normals = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.normal());
  return {
    head: "policy_gain",
    rows: Uint32Array.from({ length: visits }, () => random.below(ROWS)),
    coefficients: normals(visits * shape.outputs),
    targets: new Float32Array(visits),
    sampleWeights: new Float32Array(visits).fill(1),
    batchSize,
    entropyCoef: 0.01,
    optimizer: { learningRate: 1e-4, weightDecay: 0.01, clipGradNorm: 1 },
  };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      backend: { type: "string", default: "simd" },
      threads: { type: "string" },
      batches: { type: "string", default: "1,32,256,1024" },
      json: { type: "boolean", default: false },
    },
  });
  const batchSizes = values.batches.split(",").map(Number);
  await using engine = values.threads === undefined
    ? (await createEngine(BENCH_SHAPE, { backend: values.backend as BackendName })).engine
    : await createSimdEngine(BENCH_SHAPE, { threads: Number(values.threads) });
  const rows = await measureSteps(engine, batchSizes);
  if (values.json) {
    console.log(JSON.stringify({ backend: engine.backend, device: engine.device, rows }));
  } else {
    console.log(`${engine.backend} on ${engine.device}`);
    for (const { batchSize, msMedian, msP10 } of rows) {
      const perSecond = Math.round(1e3 * batchSize / msMedian);
      console.log(
        `B=${batchSize}: median ${msMedian.toFixed(4)} ms, p10 ${msP10.toFixed(4)} ms, ${perSecond} episodes/s`,
      );
    }
  }
}
