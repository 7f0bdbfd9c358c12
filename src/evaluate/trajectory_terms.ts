/**
 * Off-policy estimators for whole episodes of several steps: what a policy would have earned on logged trajectories.
 *
 * An episode happened under the logging policy; under another one every one of its steps would have been more or less
 * likely. With the ratio `pi(a_t|s_t) / mu(a_t|s_t)` of a step, the weight of an episode up to step t is the product
 * `rho_t = prod_{k<=t} pi(a_k|s_k) / mu(a_k|s_k)`. A product of T ratios has a variance that grows exponentially with T:
 * no estimator here escapes that. They differ in how much of an episode they multiply by the whole product.
 *
 * Notation: n episodes, M steps of all of them, reward r_t, logged value of the critic v_t, feedback weight w. Returns
 * are not discounted: an answer is worth as much whenever it comes, and what a step costs is in its reward.
 *
 * @module
 */
import { clipped, type ClipRange, DEFAULT_CLIP, type Terms } from "./estimators.ts";

/** What an estimator sees of n logged episodes and one policy. */
export interface EvaluatedTrajectories {
  /** [n + 1] where each episode's steps begin; the last entry is M. */
  readonly offsets: Uint32Array;
  /** [M] rho: product of the ratios of the episode's steps up to and with this one. */
  readonly rho: Float64Array;
  /** [M] r, step penalties included. */
  readonly rewards: Float64Array;
  /** [M] v, the critic's value of the state as it was logged. */
  readonly values: Float64Array;
  /** [n] w, positive. */
  readonly sampleWeights: Float64Array;
}

/** [n] what each episode earned: the sum of its rewards. */
export function returnsOf({ offsets, rewards }: Pick<EvaluatedTrajectories, "offsets" | "rewards">): Float64Array {
  return overEpisodes(offsets, (start, end) => sumOf(start, end, (s) => rewards[s]!));
}

/** [n] rho of whole episodes. */
export function wholeWeights({ offsets, rho }: Pick<EvaluatedTrajectories, "offsets" | "rho">): Float64Array {
  return overEpisodes(offsets, (_, end) => rho[end - 1]!);
}

/**
 * Trajectory-wise importance sampling, `mean rho_T sum_t r_t` (Precup, Sutton and Singh, 2000, "Eligibility traces for
 * off-policy policy evaluation").
 *
 * Unbiased if the logged probabilities are true. The highest variance of all: every reward is multiplied by the whole
 * product, also by the ratios of steps that came after it.
 */
export function trajectoryIsTerms(episodes: EvaluatedTrajectories): Terms {
  const [weights, returns] = [wholeWeights(episodes), returnsOf(episodes)];
  return plain(returns.map((value, i) => weights[i]! * value));
}

/**
 * Weighted trajectory-wise importance sampling, `sum rho_T sum_t r_t / sum rho_T` (Precup et al., 2000).
 *
 * Consistent, biased by order 1/n towards what was logged, and within the range of the logged returns.
 */
export function weightedIsTerms(episodes: EvaluatedTrajectories): Terms {
  const weights = wholeWeights(episodes);
  return { numerator: trajectoryIsTerms(episodes).numerator, denominator: weights };
}

/**
 * Per-decision importance sampling, `mean sum_t rho_t r_t` (Precup et al., 2000): a reward is not multiplied by the
 * ratios of later steps, which cannot have caused it.
 *
 * Unbiased. Where all is earned at the end, as by feedback, it is hardly better than trajectory-wise.
 */
export function perDecisionTerms({ offsets, rho, rewards }: EvaluatedTrajectories): Terms {
  return plain(overEpisodes(offsets, (start, end) => sumOf(start, end, (s) => rho[s]! * rewards[s]!)));
}

/**
 * Weighted per-decision importance sampling, `sum_t (sum_i rho_it r_it / sum_i rho_it)` (Thomas, 2015, "Safe
 * reinforcement learning", section 3.9): the rewards of each step are averaged with the weights of that step.
 * An episode that has ended stays with its last weight and earns nothing.
 *
 * Consistent, biased by order 1/n, of lower variance. Its estimate is the sum of the estimates of the terms.
 */
export function weightedPerDecisionTerms({ offsets, rho, rewards }: EvaluatedTrajectories): Terms[] {
  let longest = 0;
  for (let i = 0; i + 1 < offsets.length; i++) longest = Math.max(longest, offsets[i + 1]! - offsets[i]!);
  return Array.from({ length: longest }, (_, t) => {
    const weights = overEpisodes(offsets, (start, end) => rho[Math.min(start + t, end - 1)]!);
    const earned = overEpisodes(offsets, (start, end) => start + t < end ? rewards[start + t]! : 0);
    return { numerator: earned.map((reward, i) => weights[i]! * reward), denominator: weights };
  });
}

/**
 * Doubly robust, per decision, with the logged values of the critic: `mean v_0 + sum_t rho_t (r_t + v_{t+1} - v_t)`, with 0
 * for v after the end. It is the recursion `V_t = v_t + ratio_t (r_t + V_{t+1} - q(s_t, a_t))` of Jiang and Li (2016, "Doubly
 * robust off-policy value evaluation", eq. 10) for a model that expects the same of every action, `q(s, a) = v(s)`: the only
 * one that a log of state values allows.
 *
 * Unbiased whatever the critic says, as long as it said so before the episode went on, because `E[ratio_t v_t] = E[v_t]`.
 * With the policy that logged it is the mean return itself. Variance grows with the critic's errors instead of with
 * the returns; it still grows exponentially with the length.
 *
 * @param range of rho; a step that would stand for more than a hundred does not, which biases towards the critic
 */
export function doublyRobustTrajectoryTerms(
  { offsets, rho, rewards, values }: EvaluatedTrajectories,
  range: ClipRange = DEFAULT_CLIP,
): Terms {
  const weights = clipped(rho, range);
  return plain(overEpisodes(offsets, (start, end) => {
    const next = (s: number): number => s + 1 < end ? values[s + 1]! : 0;
    return values[start]! + sumOf(start, end, (s) => weights[s]! * (rewards[s]! + next(s) - values[s]!));
  }));
}

function overEpisodes(offsets: Uint32Array, of: (start: number, end: number) => number): Float64Array {
  return Float64Array.from({ length: offsets.length - 1 }, (_, i) => of(offsets[i]!, offsets[i + 1]!));
}

function sumOf(start: number, end: number, of: (s: number) => number): number {
  let sum = 0;
  for (let s = start; s < end; s++) sum += of(s);
  return sum;
}

function plain(numerator: Float64Array): Terms {
  return { numerator, denominator: new Float64Array(numerator.length).fill(1) };
}
