/**
 * What a reward is compared with: a moving mean, and the spread of the latest rewards.
 *
 * @module
 */

/** How the baseline moves. */
export interface BaselineSettings {
  /** Share of the old baseline kept at each update, in [0, 1). */
  readonly baselineDecay: number;
  /** Whether advantages are divided by the rewards' standard deviation. */
  readonly normalizeAdvantage: boolean;
  /** Smallest standard deviation divided by. The name is the original's, though it is no variance. */
  readonly minVariance: number;
}

/** All that the baseline remembers; goes into the checkpoint. */
export interface BaselineState {
  /** Exponential moving mean of the rewards. */
  readonly baseline: number;
  /** Standard deviation that the latest advantages were divided by. */
  readonly rewardStd: number;
  /** The latest rewards, oldest first, at most 100. */
  readonly rewardWindow: readonly number[];
}

/** Rewards in the window. */
const WINDOW = 100;

/** Where every baseline starts, as in the original. */
export const INITIAL_BASELINE: BaselineState = { baseline: 0.5, rewardStd: 0.1, rewardWindow: [] };

/** Turns rewards into advantages. The order is the original's: spread with, baseline without the new rewards. */
export class RewardBaseline {
  readonly #settings: BaselineSettings;
  #baseline: number;
  #rewardStd: number;
  #window: number[];

  /** Goes on from `state`. */
  constructor(settings: BaselineSettings, state: BaselineState = INITIAL_BASELINE) {
    this.#settings = settings;
    this.#baseline = state.baseline;
    this.#rewardStd = state.rewardStd;
    this.#window = [...state.rewardWindow];
  }

  /** What must be remembered. */
  get state(): BaselineState {
    return { baseline: this.#baseline, rewardStd: this.#rewardStd, rewardWindow: [...this.#window] };
  }

  /** The moving mean of the rewards. */
  get baseline(): number {
    return this.#baseline;
  }

  /** The standard deviation of the window, at least minVariance. */
  get rewardStd(): number {
    return this.#rewardStd;
  }

  /**
   * The advantages `(r - b) / s` of one batch, or `r - b` without normalisation, and then moves b towards the batch's
   * mean reward.
   */
  advantagesOf(rewards: ArrayLike<number>): Float64Array {
    for (let i = 0; i < rewards.length; i++) this.#window.push(rewards[i]!);
    if (this.#window.length > WINDOW) this.#window.splice(0, this.#window.length - WINDOW);
    if (this.#window.length > 1) {
      this.#rewardStd = Math.max(standardDeviation(this.#window), this.#settings.minVariance);
    }
    const scale = this.#settings.normalizeAdvantage ? 1 / this.#rewardStd : 1;
    const advantages = Float64Array.from(rewards, (reward) => (reward - this.#baseline) * scale);
    const decay = this.#settings.baselineDecay;
    this.#baseline = decay * this.#baseline + (1 - decay) * mean(rewards);
    return advantages;
  }
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Population standard deviation. */
function standardDeviation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / values.length);
}
