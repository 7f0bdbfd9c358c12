/**
 * Off-policy estimates: what a policy would have earned on the logged episodes.
 *
 * Index letters: N episodes of the set, n rows that are evaluated, E experts.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";

/** The value of a policy, estimated from a log. */
export interface ValueEstimate {
  /** Self-normalised importance sampling, `sum w rho r / sum w rho`; null where no evaluated row has any weight. */
  readonly snips: number | null;
  /** Importance sampling, `mean w rho r`. */
  readonly ips: number;
  /** Effective sample size, `(sum rho)^2 / sum rho^2` (Kong, 1992). */
  readonly effective_sample_size: number;
  /** Rows evaluated. */
  readonly episodes: number;
}

/**
 * Importance weights rho [n] of the given rows: `pi(a|x) / mu(a|x)` where an expert was drawn, and the pseudo-inverse
 * weight `pi . u / (u . u)` where experts were mixed (Swaminathan et al., 2017).
 *
 * @param weightsNE [n, E] the policy's routing of the given rows, in their order
 */
export function importanceWeights(episodes: EpisodeSet, rows: Uint32Array, weightsNE: Float32Array): Float64Array {
  const experts = episodes.experts.length;
  return Float64Array.from(rows, (row, i) => {
    let [overlap, square] = [0, 0];
    for (let e = 0; e < experts; e++) {
      const share = episodes.mixtures[row * experts + e]!;
      overlap += share * weightsNE[i * experts + e]!;
      square += share * share;
    }
    return overlap / square / episodes.propensities[row]!;
  });
}

/**
 * IPS (Horvitz and Thompson, 1952) and SNIPS (Swaminathan and Joachims, 2015, "The self-normalized estimator").
 *
 * IPS is unbiased if every expert that the policy uses had a positive propensity; its variance explodes with 1/mu.
 * SNIPS is consistent, stays within the range of the rewards, and is biased by order 1/n.
 */
export function estimateValue(episodes: EpisodeSet, rows: Uint32Array, weightsNE: Float32Array): ValueEstimate {
  const rho = importanceWeights(episodes, rows, weightsNE);
  let [mass, weighted, gained, rhoSum, rhoSquares] = [0, 0, 0, 0, 0];
  for (const [i, row] of rows.entries()) {
    const weight = episodes.sampleWeights[row]!;
    mass += weight;
    weighted += weight * rho[i]!;
    gained += weight * rho[i]! * episodes.rewards[row]!;
    rhoSum += rho[i]!;
    rhoSquares += rho[i]! ** 2;
  }
  return {
    snips: weighted > 0 ? gained / weighted : null,
    ips: mass > 0 ? gained / mass : 0,
    effective_sample_size: rhoSquares > 0 ? rhoSum ** 2 / rhoSquares : 0,
    episodes: rows.length,
  };
}

/** The mean reward of the given rows, weighted as in training: what the logging policies earned. */
export function loggedValue(episodes: EpisodeSet, rows: Uint32Array): number | null {
  let [mass, gained] = [0, 0];
  for (const row of rows) {
    mass += episodes.sampleWeights[row]!;
    gained += episodes.sampleWeights[row]! * episodes.rewards[row]!;
  }
  return mass > 0 ? gained / mass : null;
}
