/**
 * What the embeddings themselves say about where the signal lies: directions in which queries differ much are more
 * likely to matter than directions in which they hardly differ.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";

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
  readonly #covariance: Float64Array;
  /** Mean squared distance from the mean. */
  readonly totalVariance: number;

  /** Estimates mean and covariance from the given rows, or an even selection of them. */
  constructor(episodes: EpisodeSet, rows: Uint32Array) {
    const { inputDim, embeddings } = episodes;
    const stride = Math.ceil(rows.length / MAX_ROWS);
    const chosen = rows.filter((_, i) => i % stride === 0);
    this.mean = new Float64Array(inputDim);
    for (const row of chosen) {
      for (let i = 0; i < inputDim; i++) this.mean[i]! += embeddings[row * inputDim + i]! / chosen.length;
    }
    const covariance = new Float64Array(inputDim * inputDim);
    const centred = new Float64Array(inputDim);
    for (const row of chosen) {
      for (let i = 0; i < inputDim; i++) centred[i] = embeddings[row * inputDim + i]! - this.mean[i]!;
      for (let i = 0; i < inputDim; i++) {
        const [entry, start] = [centred[i]!, i * inputDim];
        // The lower triangle only: the matrix is symmetric.
        for (let j = 0; j <= i; j++) covariance[start + j]! += entry * centred[j]!;
      }
    }
    let trace = 0;
    for (let i = 0; i < inputDim; i++) trace += covariance[i * inputDim + i]!;
    this.totalVariance = trace / Math.max(1, chosen.length);
    const scale = trace > 0 ? inputDim / trace : 0;
    for (let i = 0; i < inputDim; i++) {
      for (let j = 0; j <= i; j++) {
        covariance[j * inputDim + i] = covariance[i * inputDim + j] = scale * covariance[i * inputDim + j]!;
      }
    }
    this.#covariance = covariance;
  }

  /** `C v` for each of several vectors [.., I + 1]; the last entry of each, an intercept, is kept as it is. */
  multiply(vectors: Float64Array): Float64Array {
    const inputDim = this.mean.length;
    const product = vectors.slice();
    for (let start = 0; start < vectors.length; start += inputDim + 1) {
      for (let i = 0; i < inputDim; i++) {
        let sum = 0;
        for (let j = 0; j < inputDim; j++) sum += this.#covariance[i * inputDim + j]! * vectors[start + j]!;
        product[start + i] = sum;
      }
    }
    return product;
  }
}
