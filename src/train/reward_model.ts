/**
 * A linear reward model `q(x, e) = theta_e . x + c_e`, fitted to rewards of drawn experts or of mixtures:
 * `r ~ sum_e u_e q(x, e)`, by ridge regression under a {@link SpectralPrior}.
 *
 * Linear on purpose: it has to be right from a few hundred episodes, and the policy that learns from it is not linear.
 *
 * @module
 */
import { hashToUnit } from "../episodes/holdout.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { solveShifted } from "./conjugate_gradients.ts";
import { SpectralPrior } from "./spectral_prior.ts";

/** A fitted reward model. */
export interface RewardModel {
  /** [E, I + 1] coefficients of each expert, its intercept last. */
  readonly theta: Float64Array;
}

/** Values of a training set that no row's own reward has touched. */
export interface CrossFit {
  /** [N, E] value of each expert on each row; 0 on rows that were not asked for. */
  readonly valuesNE: Float32Array;
  /** The ridge with the smallest squared error on rows left out. */
  readonly ridge: number;
  /** That error: weighted mean of `(r - sum_e u_e q_e)^2`. */
  readonly meanSquaredError: number;
}

/** The ridges tried, in units of the embeddings' variance per training row. */
export const RIDGES: readonly number[] = [3, 10, 30, 100, 300];
/** Folds of the cross-fit. */
const FOLDS = 4;
/** Far below the noise of any log. */
const STOPPING = { tolerance: 1e-4, maxIterations: 150 };
/** The intercept's feature: so large that the ridge hardly touches its coefficient. */
const INTERCEPT = 30;

/**
 * Values [N, E] of the given rows, each from a model that has not seen its query (Chernozhukov et al., 2018, section
 * 3.1): without this the model's own errors would look like rewards to the policy.
 */
export function crossFitValues(episodes: EpisodeSet, rows: Uint32Array, ridges = RIDGES): CrossFit {
  const prior = new SpectralPrior(episodes, rows);
  // A digit of the hash that the holdout split does not look at.
  const folds = Uint8Array.from(rows, (row) => Math.floor(hashToUnit(`fold ${episodes.queryIds[row]}`) * FOLDS));
  const tries = ridges.map((ridge) => ({
    ridge,
    valuesNE: new Float32Array(episodes.size * episodes.experts.length),
    error: 0,
  }));
  let mass = 0;
  for (let fold = 0; fold < FOLDS; fold++) {
    const models = fitRidges(episodes, rows.filter((_, i) => folds[i] !== fold), ridges, prior);
    const leftOut = rows.filter((_, i) => folds[i] === fold);
    for (const [k, attempt] of tries.entries()) {
      predictRows(models[k]!, episodes, leftOut, attempt.valuesNE);
      for (const row of leftOut) {
        const error = episodes.rewards[row]! - mixtureValue(episodes, row, attempt.valuesNE);
        attempt.error += episodes.sampleWeights[row]! * error ** 2;
      }
    }
    for (const row of leftOut) mass += episodes.sampleWeights[row]!;
  }
  const best = tries.reduce((a, b) => b.error < a.error ? b : a);
  return { valuesNE: best.valuesNE, ridge: best.ridge, meanSquaredError: best.error / mass };
}

/** Fits one model to the given rows. */
export function fitRewardModel(episodes: EpisodeSet, rows: Uint32Array, ridge: number): RewardModel {
  return fitRidges(episodes, rows, [ridge], new SpectralPrior(episodes, rows))[0]!;
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

/**
 * Minimises `sum_i w_i (r_i - sum_e u_ie (theta_e . x_i + c_e))^2 + ridge |phi|^2` with `theta = C phi` for each
 * ridge, through the normal equations in phi.
 */
function fitRidges(
  episodes: EpisodeSet,
  rows: Uint32Array,
  ridges: readonly number[],
  prior: SpectralPrior,
): RewardModel[] {
  const { inputDim, experts, rewards, sampleWeights } = episodes;
  const width = inputDim + 1;
  const design = new CentredDesign(episodes, prior.mean);
  const gradient = (residualOf: (row: number) => number): Float64Array => {
    const sum = new Float64Array(experts.length * width);
    for (const row of rows) design.add(row, sampleWeights[row]! * residualOf(row), sum);
    return prior.multiply(sum);
  };
  let [mass, earned] = [0, 0];
  for (const row of rows) {
    mass += sampleWeights[row]!;
    earned += sampleWeights[row]! * rewards[row]!;
  }
  const meanWeight = mass / Math.max(1, rows.length);
  // Fitted to what is left of the rewards without their mean, so that the solver's tolerance is spent on what tells
  // experts and queries apart. Mixtures sum to 1, so the mean belongs to every intercept.
  const meanReward = mass > 0 ? earned / mass : 0;
  const unit = meanWeight * prior.totalVariance || 1;
  const solutions = solveShifted(
    (phi) => {
      const theta = prior.multiply(phi);
      return gradient((row) => design.dot(row, theta));
    },
    gradient((row) => rewards[row]! - meanReward),
    ridges.map((ridge) => ridge * unit),
    STOPPING,
  );
  return solutions.map((phi) => {
    const theta = prior.multiply(phi);
    for (let start = 0; start < theta.length; start += width) {
      let shift = 0;
      for (let i = 0; i < inputDim; i++) shift += theta[start + i]! * prior.mean[i]!;
      theta[start + inputDim] = meanReward + INTERCEPT * theta[start + inputDim]! - shift;
    }
    return { theta };
  });
}

/** The regression's rows: u_ie [x_i - mean, INTERCEPT] for every expert e. Experts that a row did not use cost nothing. */
class CentredDesign {
  readonly #episodes: EpisodeSet;
  readonly #mean: Float64Array;

  constructor(episodes: EpisodeSet, mean: Float64Array) {
    this.#episodes = episodes;
    this.#mean = mean;
  }

  /** The row's product with coefficients [E, I + 1]. */
  dot(row: number, coefficients: Float64Array): number {
    const { inputDim, embeddings, mixtures, experts } = this.#episodes;
    const mean = this.#mean;
    let sum = 0;
    for (let e = 0; e < experts.length; e++) {
      const share = mixtures[row * experts.length + e]!;
      if (share === 0) continue;
      const [start, offset] = [e * (inputDim + 1), row * inputDim];
      let value = INTERCEPT * coefficients[start + inputDim]!;
      for (let i = 0; i < inputDim; i++) value += coefficients[start + i]! * (embeddings[offset + i]! - mean[i]!);
      sum += share * value;
    }
    return sum;
  }

  /** Adds the row, times a factor, to sums [E, I + 1]. */
  add(row: number, factor: number, sums: Float64Array): void {
    const { inputDim, embeddings, mixtures, experts } = this.#episodes;
    const mean = this.#mean;
    for (let e = 0; e < experts.length; e++) {
      const share = factor * mixtures[row * experts.length + e]!;
      if (share === 0) continue;
      const [start, offset] = [e * (inputDim + 1), row * inputDim];
      for (let i = 0; i < inputDim; i++) sums[start + i]! += share * (embeddings[offset + i]! - mean[i]!);
      sums[start + inputDim]! += share * INTERCEPT;
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
