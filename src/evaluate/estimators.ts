/**
 * Off-policy estimators: what a policy would have earned on logged rows, as pure functions of columns.
 *
 * Every estimator is a ratio of weighted sums, `sum w numerator / sum w denominator`, so that a bootstrap can
 * re-normalise each one inside every draw and a paired comparison can subtract row by row. Notation: n rows, reward r,
 * feedback weight w, importance weight rho, reward model q, candidate routing pi, logged routing u. Vocabulary and
 * defaults follow Open Bandit Pipeline (Saito et al., 2021).
 *
 * @module
 */

/** What an estimator sees of n logged rows and one policy. */
export interface EvaluatedRows {
  /** [n] r, in [0, 1]. */
  readonly rewards: Float64Array;
  /** [n] w, positive. */
  readonly sampleWeights: Float64Array;
  /** [n] rho; may be negative for mixtures. */
  readonly rho: Float64Array;
  /** [n] `sum_e pi_e q_e`: what the reward model expects of the policy; undefined without a model. */
  readonly routed?: Float64Array | undefined;
  /** [n] `sum_e u_e q_e`: what the reward model expected of the logged decision; undefined without a model. */
  readonly logged?: Float64Array | undefined;
}

/** An estimator's two columns; the denominator is 1 everywhere but for SNIPS. */
export interface Terms {
  /** [n] what a row contributes. */
  readonly numerator: Float64Array;
  /** [n] how much of a row counts. */
  readonly denominator: Float64Array;
}

/** Smallest and largest importance weight; what lies outside is moved to the border. */
export type ClipRange = readonly [min: number, max: number];

/** No row stands for more than a hundred; the weights of mixtures may be negative. */
export const DEFAULT_CLIP: ClipRange = [-100, 100];

/** The original's range. Its lower end lends weight to what the policy would not do. */
export const ORIGINAL_CLIP: ClipRange = [0.01, 100];

/**
 * IPS, `mean rho r` (Horvitz and Thompson, 1952; Dudik, Langford and Li, 2011).
 *
 * Unbiased if propensities are true and every expert that the policy uses could have been drawn. Variance grows with
 * `E[rho^2]`: it explodes where the policy insists on what was hardly ever drawn. Leaves the range of the rewards.
 */
export function ipsTerms({ rho, rewards }: EvaluatedRows): Terms {
  return overRows(rewards.map((r, i) => rho[i]! * r));
}

/**
 * Clipped IPS, `mean clip(rho) r` (Ionides, 2008; Bottou et al., 2013).
 *
 * Never explodes: rewards weigh at most `max`. Biased towards 0 by the clipped mass of rare draws; {@link ORIGINAL_CLIP}
 * adds an upward bias of its own.
 */
export function clippedIpsTerms(rows: EvaluatedRows, range: ClipRange = DEFAULT_CLIP): Terms {
  return ipsTerms({ ...rows, rho: clipped(rows.rho, range) });
}

/**
 * SNIPS, `sum rho r / sum rho` (Swaminathan and Joachims, 2015, "The self-normalized estimator for counterfactual
 * learning"); the original's weighted importance sampling.
 *
 * Consistent, biased by order 1/n, within the range of the rewards where no weight is negative, and unmoved by a
 * constant error in the propensities. Says nothing (null) where no row has weight.
 */
export function snipsTerms({ rho, rewards }: EvaluatedRows): Terms {
  return { numerator: rewards.map((r, i) => rho[i]! * r), denominator: rho };
}

/**
 * The direct method, `mean sum_e pi_e q_e` (Dudik, Langford and Li, 2011).
 *
 * Lowest variance and needs no propensities. Unbiased only if the model is right, and nothing in the rows would show
 * that it is not: the bias does not shrink with n. Null without a model.
 */
export function directTerms({ routed }: EvaluatedRows): Terms | null {
  return routed === undefined ? null : overRows(routed);
}

/**
 * Doubly robust, `mean sum_e pi_e q_e + rho (r - sum_e u_e q_e)` (Dudik, Langford and Li, 2011).
 *
 * Unbiased if either the propensities or the model are right, as long as the model was fitted on other rows. Variance
 * grows with `E[rho^2]` times the model's squared error: it explodes as IPS does, later. Null without a model.
 *
 * @param range of rho in the correction; unbounded by default
 */
export function doublyRobustTerms(rows: EvaluatedRows, range: ClipRange = [-Infinity, Infinity]): Terms | null {
  const { routed, logged, rewards, rho } = rows;
  if (routed === undefined || logged === undefined) return null;
  const weights = clipped(rho, range);
  return overRows(routed.map((value, i) => value + weights[i]! * (rewards[i]! - logged[i]!)));
}

/** Importance weight beyond which {@link switchTerms} trusts the model: from there on a row stands for more than ten. */
export const SWITCH_THRESHOLD = 10;

/**
 * SWITCH-DR: doubly robust where `rho <= threshold`, the model alone beyond (Wang, Agarwal and Dudik, 2017, section 4).
 *
 * The bias is the model's error on the mass beyond the threshold; no single draw weighs more than the threshold. A
 * trace logs the propensity of the drawn expert alone, so the switch asks that weight, as Open Bandit Pipeline does,
 * and not those of the experts that were not drawn. Null without a model.
 */
export function switchTerms(rows: EvaluatedRows, threshold = SWITCH_THRESHOLD): Terms | null {
  const within = rows.rho.map((rho) => Math.abs(rho) <= threshold ? rho : 0);
  return doublyRobustTerms({ ...rows, rho: within });
}

/** The estimate of an estimator's columns: `sum w numerator / sum w denominator`; null where nothing has weight. */
export function valueOf(terms: Terms | null, sampleWeights: Float64Array): number | null {
  if (terms === null) return null;
  let [gained, mass] = [0, 0];
  for (const [i, w] of sampleWeights.entries()) {
    gained += w * terms.numerator[i]!;
    mass += w * terms.denominator[i]!;
  }
  return mass > 0 ? gained / mass : null;
}

/** The weights with what lies outside the range moved to its border. */
export function clipped(rho: Float64Array, [min, max]: ClipRange): Float64Array {
  return rho.map((weight) => Math.min(max, Math.max(min, weight)));
}

function overRows(numerator: Float64Array): Terms {
  return { numerator, denominator: new Float64Array(numerator.length).fill(1) };
}
