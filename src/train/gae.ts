/**
 * Generalised advantage estimation: how much better each step of an episode went than the critic had expected.
 *
 * @module
 */

/** One episode as columns of its T steps; arrays may be views of longer ones. */
export interface EpisodeSteps {
  /** [T] reward of each step. */
  readonly rewards: ArrayLike<number>;
  /** [T] the critic's value of the state before each step. */
  readonly values: ArrayLike<number>;
  /** [T] other than 0 where the episode ends with the step. */
  readonly dones: ArrayLike<number>;
}

/** How far an estimate looks ahead. */
export interface AdvantageSettings {
  /** Discount of a reward one step later, in [0, 1]. */
  readonly gamma: number;
  /** 0 trusts the critic after one step (low variance, biased by it), 1 uses the rewards alone; in [0, 1]. */
  readonly gaeLambda: number;
  /** The critic's value of the state after the last step; 0, an episode's end, by default. */
  readonly lastValue?: number;
}

/**
 * Writes `A_t = d_t + gamma lambda (1 - done_t) A_{t+1}` with `d_t = r_t + gamma (1 - done_t) V_{t+1} - V_t` (Schulman et
 * al., 2016, "High-dimensional continuous control using generalized advantage estimation", eq. 16), and the returns
 * `A_t + V_t`, the targets of the critic.
 *
 * @param advantages [T] written
 * @param returns [T] written
 */
export function writeAdvantages(
  { rewards, values, dones }: EpisodeSteps,
  { gamma, gaeLambda, lastValue = 0 }: AdvantageSettings,
  advantages: Float64Array,
  returns: Float64Array,
): void {
  let [nextValue, nextAdvantage] = [lastValue, 0];
  for (let t = rewards.length - 1; t >= 0; t--) {
    const goesOn = dones[t] === 0 ? 1 : 0;
    const value = values[t]!;
    const surprise = rewards[t]! + gamma * goesOn * nextValue - value;
    nextAdvantage = surprise + gamma * gaeLambda * goesOn * nextAdvantage;
    nextValue = value;
    advantages[t] = nextAdvantage;
    returns[t] = nextAdvantage + value;
  }
}
