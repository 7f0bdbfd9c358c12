/**
 * A set of trajectories as the columns that PPO's two losses read.
 *
 * @module
 */
import type { TrajectorySet } from "../episodes/trajectory_set.ts";
import { type AdvantageSettings, writeAdvantages } from "./gae.ts";

/** The steps of all chosen trajectories; index s runs over the steps of the whole set. */
export interface PpoColumns {
  /** [S] returns, the critic's targets. */
  readonly returns: Float64Array;
  /** [S] advantages, normalised over the chosen steps. */
  readonly advantages: Float64Array;
  /** [S] weight of each step, of mean 1 over the chosen steps. */
  readonly weights: Float64Array;
  /** The chosen steps, ascending. */
  readonly steps: Uint32Array;
}

/**
 * Advantages and returns of the chosen trajectories. The advantages are normalised to mean 0 and standard deviation 1
 * over all chosen steps, each counted by its trajectory's weight.
 *
 * @param trajectories indices of the chosen trajectories
 * @param stepPenalty added to the reward of every step but a trajectory's last
 */
export function ppoColumns(
  set: TrajectorySet,
  trajectories: Uint32Array,
  { stepPenalty, ...settings }: AdvantageSettings & { readonly stepPenalty: number },
): PpoColumns {
  const { offsets, sampleWeights } = set;
  const column = (): Float64Array => new Float64Array(set.steps);
  const [returns, advantages, weights, rewards] = [column(), column(), column(), set.rewards.slice()];
  const steps: number[] = [];
  let mass = 0;
  for (const n of trajectories) {
    const [start, end] = [offsets[n]!, offsets[n + 1]!];
    for (let s = start; s < end; s++) {
      if (s < end - 1) rewards[s]! += stepPenalty;
      weights[s] = sampleWeights[n]!;
      mass += sampleWeights[n]!;
      steps.push(s);
    }
    const [values, dones] = [set.values.subarray(start, end), set.dones.subarray(start, end)];
    const episode = { rewards: rewards.subarray(start, end), values, dones };
    writeAdvantages(episode, settings, advantages.subarray(start, end), returns.subarray(start, end));
  }
  for (const s of steps) weights[s]! *= steps.length / mass;
  normalise(advantages, weights, steps);
  return { returns, advantages, weights, steps: Uint32Array.from(steps).sort() };
}

/** To mean 0 and standard deviation 1 (n - 1, as torch's), with 1e-8 beside it; one step alone is left as it is. */
function normalise(values: Float64Array, weights: Float64Array, steps: readonly number[]): void {
  const n = steps.length;
  if (n < 2) return;
  const mean = steps.reduce((sum, s) => sum + weights[s]! * values[s]!, 0) / n;
  const squares = steps.reduce((sum, s) => sum + weights[s]! * (values[s]! - mean) ** 2, 0);
  const deviation = Math.sqrt(squares / (n - 1)) + 1e-8;
  for (const s of steps) values[s] = (values[s]! - mean) / deviation;
}

/** `1 - var(returns - values) / (var(returns) + 1e-8)` over the chosen steps; 0 for one step. 1 is a perfect critic. */
export function explainedVariance({ returns, steps }: PpoColumns, values: ArrayLike<number>): number {
  if (steps.length < 2) return 0;
  const variance = (of: (s: number) => number): number => {
    const mean = steps.reduce((sum, s) => sum + of(s), 0) / steps.length;
    return steps.reduce((sum, s) => sum + (of(s) - mean) ** 2, 0) / (steps.length - 1);
  };
  return 1 - variance((s) => returns[s]! - values[s]!) / (variance((s) => returns[s]!) + 1e-8);
}
