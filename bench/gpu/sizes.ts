/**
 * What is measured: the network, the batches, how long. A dry run goes through everything with tiny sizes.
 *
 * @module
 */
import type { Random } from "../../src/base/random.ts";
import { randomSegment as segmentOf } from "../../src/bench/workload.ts";
import type { NetworkShape, TrainingSegment } from "../../src/engine/engine.ts";

/** The sizes of a run. */
export interface Sizes {
  /** The network. */
  readonly shape: NetworkShape;
  /** Rows of the uploaded set. */
  readonly rows: number;
  /** Rows of a training step. */
  readonly batchSizes: readonly number[];
  /** Rounds of fresh processes; every other round runs in reverse order. */
  readonly rounds: number;
  /** Samples of each batch size in a round. */
  readonly samples: number;
  /** Aim for the length of a sample, in ms: one call of `train`, with its read-back of about 10 ms. */
  readonly sampleMs: number;
  /** Most steps of a sample. */
  readonly maxSteps: number;
  /** Batch sizes and steps at which results are compared with those of float64 and of the CPU engine. */
  readonly checks: readonly { readonly batchSize: number; readonly steps: number }[];
  /** Rows of the set that is uploaded for a comparison, which may have to be made several times. */
  readonly checkedRows: number;
  /** Arguments for the PyTorch peer. */
  readonly torch: readonly string[];
}

/** A real run: the original's network. */
const FULL: Sizes = {
  shape: { inputDim: 768, hiddenDim: 256, outputs: 4, inputScale: 32 },
  rows: 16_384,
  batchSizes: [1, 32, 256, 1024],
  rounds: 2,
  samples: 7,
  sampleMs: 400,
  maxSteps: 4096,
  checks: [{ batchSize: 1, steps: 20 }, { batchSize: 32, steps: 20 }, { batchSize: 300, steps: 3 }],
  checkedRows: 2048,
  torch: ["--no-cpu", "--batches", "1,32,256,1024"],
};

/** A run that only shows that everything works. */
const DRY: Sizes = {
  shape: { inputDim: 24, hiddenDim: 10, outputs: 4, inputScale: 4 },
  rows: 64,
  batchSizes: [1, 5],
  rounds: 2,
  samples: 2,
  sampleMs: 1,
  maxSteps: 4,
  checks: [{ batchSize: 5, steps: 4 }, { batchSize: 260, steps: 2 }],
  checkedRows: 64,
  torch: ["--no-cpu", "--batches", "1", "--steps", "2"],
};

/** The sizes of a real or a dry run. */
export function sizesOf(dryRun: boolean): Sizes {
  return dryRun ? DRY : FULL;
}

/** Steps of random visits with normal random columns. */
export function randomSegment(
  random: Random,
  { shape, rows }: Sizes,
  steps: number,
  batchSize: number,
): TrainingSegment {
  return segmentOf(random, { shape, rows, steps, batchSize });
}
