/**
 * A linear reward model `q(x, e) = theta_e . x + c_e`, fitted to rewards of drawn experts or of mixtures:
 * `r ~ sum_e u_e q(x, e)`, by ridge regression.
 *
 * @module
 */
import { hashToUnit } from "../episodes/holdout.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";

/** A fitted reward model. */
export interface RewardModel {
  /** [E, I + 1] coefficients of each expert, its intercept last. */
  readonly theta: Float64Array;
  /** The ridge it was fitted with, in units of the embeddings' mean squared length. */
  readonly ridge: number;
}

/** The ridges tried, each ten times the one before. */
const RIDGES: readonly number[] = [0.1, 1, 10, 100];
/** Folds of the cross-fit. */
const FOLDS = 4;
/** Conjugate gradients stop at this reduction of the residual: far below the noise of any log. */
const TOLERANCE = 1e-4;
const MAX_ITERATIONS = 200;

/**
 * Values [N, E] of the given rows, each from a model that has not seen its query (Chernozhukov et al., 2018, section
 * 3.1): without this the model's own errors would look like rewards to the policy. The ridge is the one with the smallest
 * squared error on the rows left out. Other rows stay 0.
 */
export function crossFitValues(episodes: EpisodeSet, rows: Uint32Array): { valuesNE: Float32Array; ridge: number } {
  // A digit of the hash that the holdout split does not look at.
  const foldOf = (row: number): number => Math.floor(hashToUnit(`fold ${episodes.queryIds[row]}`) * FOLDS);
  const folds = Uint8Array.from(rows, foldOf);
  const experts = episodes.experts.length;
  let best = { valuesNE: new Float32Array(0), ridge: 0, error: Infinity };
  for (const ridge of RIDGES) {
    const valuesNE = new Float32Array(episodes.size * experts);
    let error = 0;
    for (let fold = 0; fold < FOLDS; fold++) {
      const model = fitRewardModel(episodes, rows.filter((_, i) => folds[i] !== fold), ridge);
      const left = rows.filter((_, i) => folds[i] === fold);
      predictRows(model, episodes, left, valuesNE);
      for (const row of left) {
        const expected = mixtureValue(episodes, row, valuesNE);
        error += episodes.sampleWeights[row]! * (episodes.rewards[row]! - expected) ** 2;
      }
    }
    if (error < best.error) best = { valuesNE, ridge, error };
  }
  return best;
}

/** Fits `sum_i w_i (r_i - sum_e u_ie q(x_i, e))^2 + ridge |x|^2 |theta|^2`; intercepts are hardly penalised. */
export function fitRewardModel(episodes: EpisodeSet, rows: Uint32Array, ridge: number): RewardModel {
  const { inputDim, experts, embeddings } = episodes;
  const width = inputDim + 1;
  let [squares, mass] = [0, 0];
  for (const row of rows) {
    for (let i = row * inputDim; i < (row + 1) * inputDim; i++) squares += embeddings[i]! * embeddings[i]!;
    mass += episodes.sampleWeights[row]!;
  }
  const meanWeight = mass / Math.max(1, rows.length);
  const penalty = ridge * meanWeight * (squares / Math.max(1, rows.length)) || 1;
  const penalties = new Float64Array(experts.length * width).fill(penalty);
  for (let e = 0; e < experts.length; e++) penalties[e * width + inputDim] = 1e-6 * penalty;

  const gradientOf = (residualOf: (row: number) => number): Float64Array => {
    const sum = new Float64Array(penalties.length);
    for (const row of rows) addRow(episodes, row, episodes.sampleWeights[row]! * residualOf(row), sum);
    return sum;
  };
  const right = gradientOf((row) => episodes.rewards[row]!);
  const multiply = (theta: Float64Array): Float64Array => {
    const product = gradientOf((row) => dotRow(episodes, row, theta));
    for (let i = 0; i < product.length; i++) product[i]! += penalties[i]! * theta[i]!;
    return product;
  };
  return { theta: conjugateGradients(multiply, right), ridge };
}

/** Writes q(x, e) of the given rows into values [N, E]. */
export function predictRows(model: RewardModel, episodes: EpisodeSet, rows: Uint32Array, valuesNE: Float32Array): void {
  const { inputDim, embeddings } = episodes;
  const experts = episodes.experts.length;
  for (const row of rows) {
    for (let e = 0; e < experts; e++) {
      const start = e * (inputDim + 1);
      let value = model.theta[start + inputDim]!;
      for (let i = 0; i < inputDim; i++) value += model.theta[start + i]! * embeddings[row * inputDim + i]!;
      valuesNE[row * experts + e] = value;
    }
  }
}

/** The value that a row's logged mixture has under values [N, E]. */
function mixtureValue(episodes: EpisodeSet, row: number, valuesNE: Float32Array): number {
  const experts = episodes.experts.length;
  let value = 0;
  for (let k = row * experts; k < (row + 1) * experts; k++) value += episodes.mixtures[k]! * valuesNE[k]!;
  return value;
}

/** sum_e u_ie (theta_e . x_i + c_e); experts that the row did not use cost nothing. */
function dotRow(episodes: EpisodeSet, row: number, theta: Float64Array): number {
  const { inputDim, embeddings, mixtures, experts } = episodes;
  let sum = 0;
  for (let e = 0; e < experts.length; e++) {
    const share = mixtures[row * experts.length + e]!;
    if (share === 0) continue;
    const start = e * (inputDim + 1);
    let value = theta[start + inputDim]!;
    for (let i = 0; i < inputDim; i++) value += theta[start + i]! * embeddings[row * inputDim + i]!;
    sum += share * value;
  }
  return sum;
}

/** sum[e] += scale u_ie [x_i, 1] */
function addRow(episodes: EpisodeSet, row: number, scale: number, sum: Float64Array): void {
  const { inputDim, embeddings, mixtures, experts } = episodes;
  for (let e = 0; e < experts.length; e++) {
    const share = scale * mixtures[row * experts.length + e]!;
    if (share === 0) continue;
    const start = e * (inputDim + 1);
    for (let i = 0; i < inputDim; i++) sum[start + i]! += share * embeddings[row * inputDim + i]!;
    sum[start + inputDim]! += share;
  }
}

/** Solves `A x = b` for a positive definite A given as a product (Hestenes and Stiefel, 1952), from x = 0. */
function conjugateGradients(multiply: (x: Float64Array) => Float64Array, b: Float64Array): Float64Array {
  const x = new Float64Array(b.length);
  const residual = b.slice();
  const direction = b.slice();
  let square = dot(residual, residual);
  const goal = TOLERANCE ** 2 * square;
  for (let iteration = 0; iteration < MAX_ITERATIONS && square > goal; iteration++) {
    const product = multiply(direction);
    const step = square / dot(direction, product);
    for (let i = 0; i < x.length; i++) {
      x[i]! += step * direction[i]!;
      residual[i]! -= step * product[i]!;
    }
    const next = dot(residual, residual);
    for (let i = 0; i < x.length; i++) direction[i] = residual[i]! + (next / square) * direction[i]!;
    square = next;
  }
  return x;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
