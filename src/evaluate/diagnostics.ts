/**
 * Whether importance weights can be relied on.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";

/** How one expert fares in the log and under the policy. Shares are in [0, 1] (importance: may leave it for mixtures). */
export interface ExpertOverlap {
  /** Share of the rows that used it. */
  readonly logged_share: number;
  /** Share of the policy's routing. */
  readonly policy_share: number;
  /** Share of the importance mass; near `policy_share` where the log has what the policy does. */
  readonly importance_share: number | null;
}

/** How far importance weights are from equal; field names are those of `--json`. */
export interface WeightDiagnostics {
  /** See {@link effectiveSampleSize}. */
  readonly effective_sample_size: number;
  /** Mean importance weight; 1 in expectation where the log has everything that the policy does. */
  readonly mean_weight: number;
  /** Largest importance weight. */
  readonly max_weight: number;
  /** Share of the rows whose importance weight is above {@link EXTREME_WEIGHT}. */
  readonly extreme_weight_share: number;
  /** By expert. */
  readonly overlap: Readonly<Record<string, ExpertOverlap>>;
}

/** From here on a weight is called extreme: one row stands for ten. */
export const EXTREME_WEIGHT = 10;

/** `(sum rho)^2 / sum rho^2` (Kong, 1992): how many rows of equal weight would say as much; 0 without weight. */
export function effectiveSampleSize(rho: Float64Array): number {
  let [total, squares] = [0, 0];
  for (const weight of rho) {
    total += weight;
    squares += weight ** 2;
  }
  return squares > 0 ? total ** 2 / squares : 0;
}

/**
 * The diagnostics of a policy on n rows.
 *
 * @param weightsNE [n, E] the policy's routing
 * @param rho [n] importance weights
 */
export function weightDiagnostics(
  episodes: EpisodeSet,
  rows: Uint32Array,
  weightsNE: Float32Array,
  rho: Float64Array,
): WeightDiagnostics {
  const experts = episodes.experts.length;
  const mass = rho.reduce((total, weight) => total + weight, 0);
  const overlap = episodes.experts.map((expert, e): [string, ExpertOverlap] => {
    let [logged, routed, importance] = [0, 0, 0];
    for (const [i, row] of rows.entries()) {
      const share = episodes.mixtures[row * experts + e]!;
      logged += share;
      routed += weightsNE[i * experts + e]!;
      importance += rho[i]! * share;
    }
    return [expert, {
      logged_share: logged / rows.length,
      policy_share: routed / rows.length,
      importance_share: mass > 0 ? importance / mass : null,
    }];
  });
  return {
    effective_sample_size: effectiveSampleSize(rho),
    mean_weight: mass / rho.length,
    max_weight: rho.reduce((max, weight) => Math.max(max, weight), -Infinity),
    extreme_weight_share: rho.filter((weight) => weight > EXTREME_WEIGHT).length / rho.length,
    overlap: Object.fromEntries(overlap),
  };
}
