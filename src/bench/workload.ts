/**
 * What the engines are given to chew: rows of length 1 and columns of random numbers. The numbers do not matter to the
 * time; that no row is special does.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import type { NetworkShape, TrainingSegment } from "../engine/engine.ts";
import type { LossHeadName } from "../loss/heads.ts";

/** [rows, width] normal random rows of length 1, as embeddings are. */
export function unitRows(random: Random, rows: number, width: number): Float32Array {
  const values = Float32Array.from({ length: rows * width }, () => random.normal());
  for (let row = 0; row < rows; row++) {
    const rowI = values.subarray(row * width, (row + 1) * width);
    const length = Math.sqrt(rowI.reduce((sum, entry) => sum + entry * entry, 0));
    for (let i = 0; i < width; i++) rowI[i]! /= length;
  }
  return values;
}

/** What {@link randomSegment} makes. */
export interface SegmentOptions {
  /** The network, for its number of outputs. */
  readonly shape: NetworkShape;
  /** Rows of the uploaded set. */
  readonly rows: number;
  /** Steps of the segment. */
  readonly steps: number;
  /** Rows of a step. */
  readonly batchSize: number;
  /** Which loss; `policy_gain` by default. */
  readonly head?: LossHeadName | undefined;
}

/** Steps of random visits with normal random columns. */
export function randomSegment(random: Random, options: SegmentOptions): TrainingSegment {
  const { shape, rows, steps, batchSize, head = "policy_gain" } = options;
  const visits = steps * batchSize;
  const normals = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.normal());
  const { outputs } = shape;
  return {
    head,
    rows: Uint32Array.from({ length: visits }, () => random.below(rows)),
    coefficients: head === "ppo_actor" ? randomActions(random, visits, outputs) : normals(visits * outputs),
    targets: normals(visits),
    sampleWeights: normals(visits).map(Math.abs),
    batchSize,
    entropyCoef: 0.01,
    ...(head === "ppo_actor" ? { clipRatio: 0.2 } : {}),
    optimizer: { learningRate: 1e-4, weightDecay: 0.01, clipGradNorm: 1 },
  };
}

/** [visits, outputs] random actions as `ppo_actor` takes them: 1 over their logged probability, which is near 1/outputs. */
export function randomActions(random: Random, visits: number, outputs: number): Float32Array {
  const inverseME = new Float32Array(visits * outputs);
  for (let visit = 0; visit < visits; visit++) {
    inverseME[visit * outputs + random.below(outputs)] = Math.max(1, outputs * Math.exp(0.3 * random.normal()));
  }
  return inverseME;
}
