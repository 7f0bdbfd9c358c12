/**
 * Users whose judgements contradict what the feedback of the others predicts: they praise what others blame, and blame
 * what others praise. In training they count less: a fifth of the users answering the opposite of the truth spoils a
 * small log more than their absence would. Estimates and the gate never look at this; they weigh by authority alone.
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

/** Users who miss by less than twice the usual squared error are left alone. */
export const DISCOUNT_BELOW = 0.5;
/** Episodes of usual error that every user is given in advance, so that a single surprising answer convicts nobody. */
const PRIOR_EPISODES = 5;
/**
 * Student's t of the correlation with what was predicted, below which it is negative beyond chance (1% of those who
 * judge at random). Somebody who uses more of the scale than others misses by much too, but in the same direction.
 */
const OPPOSED = -2.5;

/**
 * Multiplies the weight of each user whose rewards run against the predictions, and miss them by far, by `s^2 / s_u^2`: the usual squared error over the user's own, both
 * measured by values that have not seen the row. These are the weights of feasible generalised least squares where the
 * variance differs by group (Greene, Econometric Analysis, chapter on heteroscedasticity).
 *
 * @param rows the training rows; others keep their weight
 * @param valuesNE [N, E] cross-fitted values of the rows
 */
export function discountContradictions(episodes: EpisodeSet, rows: Uint32Array, valuesNE: Float32Array): Discounted {
  const { rewards, sampleWeights, userIds } = episodes;
  const users = new Map<string, UserSums>();
  let [weighted, mass] = [0, 0];
  for (const row of rows) {
    const [reward, predicted] = [rewards[row]!, mixtureValue(episodes, row, valuesNE)];
    weighted += sampleWeights[row]! * (reward - predicted) ** 2;
    mass += sampleWeights[row]!;
    const user = userIds[row]!;
    if (user === null) continue;
    let own = users.get(user);
    if (own === undefined) users.set(user, own = new UserSums());
    own.add(reward, predicted);
  }
  const usual = mass > 0 ? weighted / mass : 0;
  const factors = new Map<string, number>();
  const contradictions: Contradiction[] = [];
  for (const [userId, own] of users) {
    const variance = (own.squaredErrors + PRIOR_EPISODES * usual) / (own.episodes + PRIOR_EPISODES);
    const factor = variance > 0 ? usual / variance : 1;
    if (factor >= DISCOUNT_BELOW || own.opposition() > OPPOSED) continue;
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

/** What one user's rewards and their predictions add up to. */
class UserSums {
  episodes = 0;
  squaredErrors = 0;
  #rewards = { mean: 0, squares: 0 };
  #predictions = { mean: 0, squares: 0 };
  #products = 0;

  /** Welford (1962), for two columns and their products. */
  add(reward: number, predicted: number): void {
    this.episodes++;
    this.squaredErrors += (reward - predicted) ** 2;
    const [dr, dp] = [reward - this.#rewards.mean, predicted - this.#predictions.mean];
    this.#rewards.mean += dr / this.episodes;
    this.#predictions.mean += dp / this.episodes;
    this.#rewards.squares += dr * (reward - this.#rewards.mean);
    this.#predictions.squares += dp * (predicted - this.#predictions.mean);
    this.#products += dr * (predicted - this.#predictions.mean);
  }

  /** Student's t of the correlation of rewards and predictions; 0 where it cannot be told. */
  opposition(): number {
    const scale = Math.sqrt(this.#rewards.squares * this.#predictions.squares);
    if (this.episodes < 3 || !(scale > 0)) return 0;
    const correlation = Math.max(-1, Math.min(1, this.#products / scale));
    return correlation * Math.sqrt((this.episodes - 2) / Math.max(1e-12, 1 - correlation ** 2));
  }
}
