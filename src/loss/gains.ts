/**
 * Gains: what each expert is worth on each episode, the coefficients of the policy heads in `heads.ts`. Pure functions
 * of one episode's columns; each writes one row of [.., E].
 *
 * @module
 */
import type { Floats } from "./heads.ts";

/**
 * Off-policy REINFORCE: `G_e = 1{e = a} min(1/mu_a, clip) A`.
 *
 * On the policy that logged, the gradient of `sum_e pi_e G_e` is REINFORCE's (Williams, 1992, eq. 8); off it, the
 * importance weight (Horvitz and Thompson, 1952) keeps it unbiased as long as `clip` is not reached and every expert had a
 * positive propensity. Its variance grows with 1/mu: clipping trades it for a bias towards rarely logged experts'
 * gains being too small (Ionides, 2008).
 *
 * @param mixtureE [E] one-hot of the drawn expert
 * @param propensity mu_a in (0, 1]
 * @param clip largest importance weight, at least 1
 */
export function reinforceGain(
  mixtureE: Floats,
  propensity: number,
  advantage: number,
  clip: number,
  gainE: Floats,
): void {
  const weight = Math.min(1 / propensity, clip) * advantage;
  for (let e = 0; e < gainE.length; e++) gainE[e] = mixtureE[e]! * weight;
}

/**
 * Pseudo-inverse gain of a mixture: `G = A u / (u . u)`, the smallest values whose mixture `sum_e u_e G_e` explains the
 * advantage (Swaminathan et al., 2017, "Off-policy evaluation for slate recommendation", eq. 5 with one row). Credits
 * experts by their share; informative only where mixtures vary for reasons other than the query. For a one-hot u
 * it is REINFORCE's gain without the importance weight.
 */
export function mixtureGain(mixtureE: Floats, advantage: number, gainE: Floats): void {
  let square = 0;
  for (let e = 0; e < gainE.length; e++) square += mixtureE[e]! * mixtureE[e]!;
  for (let e = 0; e < gainE.length; e++) gainE[e] = advantage * mixtureE[e]! / square;
}

/**
 * Direct method: `G_e = q_e - b` (Dudik, Langford, Li, 2011, eq. 1). As good as the reward model q and no better: its
 * bias does not shrink with more episodes, but neither does a small propensity make it explode.
 */
export function directGain(valueE: Floats, baseline: number, gainE: Floats): void {
  for (let e = 0; e < gainE.length; e++) gainE[e] = valueE[e]! - baseline;
}

/**
 * Doubly robust: `G_e = q_e + 1{e = a} min(1/mu_a, clip) (r - q_a)` (Dudik, Langford, Li, 2011, eq. 2), less b; for a
 * mixture the pseudo-inverse takes the importance weight's place.
 *
 * Unbiased if either the propensities or q are right, as long as `clip` is not reached; its variance is that of REINFORCE
 * with the reward replaced by the reward model's error, so it explodes with 1/mu only as far as q is wrong.
 *
 * @param mixtureE [E] one-hot of the drawn expert, or the logged mixture
 * @param weight importance weight of the residual: min(1/mu_a, clip), or 1 for a mixture
 */
export function doublyRobustGain(
  valueE: Floats,
  baseline: number,
  mixtureE: Floats,
  reward: number,
  weight: number,
  gainE: Floats,
): void {
  let [expected, square] = [0, 0];
  for (let e = 0; e < gainE.length; e++) {
    expected += mixtureE[e]! * valueE[e]!;
    square += mixtureE[e]! * mixtureE[e]!;
  }
  const residual = weight * (reward - expected) / square;
  for (let e = 0; e < gainE.length; e++) gainE[e] = valueE[e]! - baseline + mixtureE[e]! * residual;
}

/** The original's soft target `T_e = A u_e`, for the head `soft_target`. */
export function softTargetGain(mixtureE: Floats, advantage: number, gainE: Floats): void {
  for (let e = 0; e < gainE.length; e++) gainE[e] = advantage * mixtureE[e]!;
}
