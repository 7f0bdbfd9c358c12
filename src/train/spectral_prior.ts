/**
 * What the embeddings themselves say about where the signal lies: directions in which queries differ much are more
 * likely to matter than directions in which they hardly differ.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { SymmetricMatrix } from "./symmetric_matrix.ts";

/** Rows that the covariance is estimated from; more would not change it noticeably. */
const MAX_ROWS = 2048;

/**
 * The covariance C of the embeddings, scaled to mean variance 1. A linear model whose coefficients are `C phi`, with a
 * ridge on phi, has the prior `theta ~ N(0, C^2)`: a smooth form of principal component regression (Hastie,
 * Tibshirani, Friedman, 2009, section 3.5) that needs no number of components.
 */
export class SpectralPrior {
  /** [I] mean of the embeddings. */
  readonly mean: Float64Array;
  /** [I, I] covariance, divided by the mean variance. */
  readonly #covariance: SymmetricMatrix;
  /** Mean squared distance from the mean. */
  readonly totalVariance: number;

  /** Estimates mean and covariance from the given rows, or an even selection of them. */
  constructor(episodes: EpisodeSet, rows: Uint32Array) {
    const { inputDim, embeddings } = episodes;
    const stride = Math.ceil(rows.length / MAX_ROWS);
    const chosen = rows.filter((_, i) => i % stride === 0);
    const mean = new Float64Array(inputDim);
    for (const row of chosen) {
      for (let i = 0; i < inputDim; i++) mean[i]! += embeddings[row * inputDim + i]! / chosen.length;
    }
    this.mean = mean;
    this.#covariance = SymmetricMatrix.ofRows(inputDim, chosen.length, (n, centred) => {
      const start = chosen[n]! * inputDim;
      for (let i = 0; i < inputDim; i++) centred[i] = embeddings[start + i]! - mean[i]!;
    });
    const trace = this.#covariance.trace;
    this.totalVariance = trace / Math.max(1, chosen.length);
    this.#covariance.scale(trace > 0 ? inputDim / trace : 0);
  }

  /** `C v` for each of several vectors [.., I + 1]; the last entry of each, an intercept, is kept as it is. */
  multiply(vectors: Float64Array): Float64Array {
    return this.#covariance.multiply(vectors, this.mean.length + 1);
  }
}
