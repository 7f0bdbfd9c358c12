/**
 * Users whose judgements contradict what the feedback of the others predicts. In training they count less: a fifth of
 * the users answering the opposite of the truth spoils a small log more than their absence would. Estimates and the
 * gate never look at this; they weigh by authority alone.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { mixtureValue } from "./reward_model.ts";

/** A user whose feedback is discounted. */
export interface Contradiction {
  readonly userId: string;
  /** Training episodes that the user speaks for. */
  readonly episodes: number;
  /** What the user's weight is multiplied by, below {@link DISCOUNT_BELOW}. */
  readonly factor: number;
}

/** A log with its contradictions discounted. */
export interface Discounted {
  /** The same episodes with other sample weights. */
  readonly episodes: EpisodeSet;
  /** The strongest discount first. */
  readonly contradictions: readonly Contradiction[];
}

/** Users who miss by less than twice the usual squared error are left alone: an honest log stays as it is. */
export const DISCOUNT_BELOW = 0.5;
/** Episodes of usual error that every user is given in advance, so that a single surprising answer convicts nobody. */
const PRIOR_EPISODES = 5;

/**
 * Multiplies the weight of each contradicting user by `s^2 / s_u^2`: the usual squared error over the user's own, both
 * measured by values that have not seen the row. These are the weights of feasible generalised least squares where the
 * variance differs by group (Greene, Econometric Analysis, chapter on heteroscedasticity).
 *
 * @param rows the training rows; others keep their weight
 * @param valuesNE [N, E] cross-fitted values of the rows
 */
export function discountContradictions(episodes: EpisodeSet, rows: Uint32Array, valuesNE: Float32Array): Discounted {
  const { rewards, sampleWeights, userIds } = episodes;
  const errors = new Map<string, { sum: number; episodes: number }>();
  let [weighted, mass] = [0, 0];
  for (const row of rows) {
    const squared = (rewards[row]! - mixtureValue(episodes, row, valuesNE)) ** 2;
    weighted += sampleWeights[row]! * squared;
    mass += sampleWeights[row]!;
    const user = userIds[row]!;
    if (user === null) continue;
    const own = errors.get(user) ?? { sum: 0, episodes: 0 };
    errors.set(user, { sum: own.sum + squared, episodes: own.episodes + 1 });
  }
  const usual = mass > 0 ? weighted / mass : 0;
  const factors = new Map<string, number>();
  const contradictions: Contradiction[] = [];
  for (const [userId, own] of errors) {
    const variance = (own.sum + PRIOR_EPISODES * usual) / (own.episodes + PRIOR_EPISODES);
    const factor = variance > 0 ? usual / variance : 1;
    if (factor >= DISCOUNT_BELOW) continue;
    factors.set(userId, factor);
    contradictions.push({ userId, episodes: own.episodes, factor });
  }
  if (contradictions.length === 0) return { episodes, contradictions };
  const factorOf = (user: string | null): number => user === null ? 1 : factors.get(user) ?? 1;
  const discounted = sampleWeights.slice();
  for (const row of rows) discounted[row]! *= factorOf(userIds[row]!);
  contradictions.sort((a, b) => a.factor - b.factor);
  return { episodes: { ...episodes, sampleWeights: discounted }, contradictions };
}
