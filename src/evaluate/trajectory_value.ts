/**
 * All that a log of episodes says about the value of one policy that acts step by step, and whether to believe it.
 *
 * Index letters: n episodes that are evaluated, M steps of them, A actions.
 *
 * @module
 */
import type { TrajectorySet } from "../episodes/trajectory_set.ts";
import { bootstrapIntervals, type Interval, userClusters } from "./bootstrap.ts";
import { effectiveSampleSize, EXTREME_WEIGHT } from "./diagnostics.ts";
import { type Terms, valueOf } from "./estimators.ts";
import {
  doublyRobustTrajectoryTerms,
  type EvaluatedTrajectories,
  perDecisionTerms,
  trajectoryIsTerms,
  weightedIsTerms,
  weightedPerDecisionTerms,
  wholeWeights,
} from "./trajectory_terms.ts";

/** The estimators, in the order in which they are shown. */
export const TRAJECTORY_ESTIMATORS = [
  "trajectory_is",
  "weighted_is",
  "per_decision_is",
  "weighted_per_decision_is",
  "doubly_robust",
] as const;

/** Name of an estimator in JSON. */
export type TrajectoryEstimatorName = (typeof TRAJECTORY_ESTIMATORS)[number];

/** How one action fares in the log and under the policy; shares of the steps, in [0, 1]. */
export interface ActionOverlap {
  /** Share of the logged steps that took it. */
  readonly logged_share: number;
  /** Mean probability with which the policy would take it in the states of the log. */
  readonly policy_share: number;
}

/** How far the weights of whole episodes are from equal; field names are those of `--json`. */
export interface TrajectoryDiagnostics {
  /** Of how many episodes of equal weight the weighted ones say as much; see `effectiveSampleSize`. */
  readonly effective_sample_size: number;
  /** Mean weight of an episode; 1 in expectation where the log has everything that the policy does. */
  readonly mean_weight: number;
  /** Largest weight of an episode. */
  readonly max_weight: number;
  /** Share of the episodes whose weight is above 10. */
  readonly extreme_weight_share: number;
  /** Mean number of steps of an episode. */
  readonly mean_steps: number;
  /** By action. */
  readonly overlap: Readonly<Record<string, ActionOverlap>>;
}

/** The value of a policy, estimated from logged episodes. Null stands for what cannot be had from them. */
export interface TrajectoryValue extends Readonly<Record<TrajectoryEstimatorName, number | null>> {
  /** 95% intervals over users; null where the estimate is, or where there are too few users. */
  readonly intervals: Readonly<Record<TrajectoryEstimatorName, Interval | null>>;
  /** `(sum rho)^2 / sum rho^2` over whole episodes; null without episodes. */
  readonly effective_sample_size: number | null;
  /** Episodes evaluated. */
  readonly episodes: number;
  /** How far the weights can be relied on; null without episodes. */
  readonly diagnostics: TrajectoryDiagnostics | null;
  /** Why the log says nothing about this policy; empty if it does. */
  readonly not_identified: readonly string[];
}

/** A taken action's probability from here on is certainty: nothing else could have been done. */
const CERTAIN_LOG_PROB = Math.log(1 - 1e-6);
/** Share of a policy's behaviour that may lie where the log has nothing before no number is printed. */
const TOLERATED = 0.01;
/** Episodes from which on weights that do not average 1 are evidence. */
const EPISODES_FOR_MASS_TEST = 100;

/** A policy's behaviour in the states of some episodes. */
export interface ActedTrajectories {
  /** Indices of the episodes. */
  readonly trajectories: Uint32Array;
  /** [M, A] its probabilities, episode after episode in the given order. */
  readonly probsMA: Float32Array;
}

/**
 * The columns that estimators see.
 *
 * @param stepPenalty added to the reward of every step but an episode's last, as in training
 */
export function evaluatedTrajectories(
  set: TrajectorySet,
  { trajectories, probsMA }: ActedTrajectories,
  stepPenalty: number,
): EvaluatedTrajectories {
  const offsets = new Uint32Array(trajectories.length + 1);
  for (const [i, n] of trajectories.entries()) offsets[i + 1] = offsets[i]! + set.offsets[n + 1]! - set.offsets[n]!;
  const steps = offsets.at(-1)!;
  const [rho, rewards, values] = [new Float64Array(steps), new Float64Array(steps), new Float64Array(steps)];
  const actions = set.actionNames.length;
  for (const [i, n] of trajectories.entries()) {
    let product = 1;
    for (let m = offsets[i]!, s = set.offsets[n]!; m < offsets[i + 1]!; m++, s++) {
      product *= probsMA[m * actions + set.actions[s]!]! / Math.exp(set.oldLogProbs[s]!);
      rho[m] = product;
      rewards[m] = set.rewards[s]! + (m + 1 < offsets[i + 1]! ? stepPenalty : 0);
      values[m] = set.values[s]!;
    }
  }
  const sampleWeights = Float64Array.from(trajectories, (n) => set.sampleWeights[n]!);
  return { offsets, rho, rewards, values, sampleWeights };
}

/** Every estimate of a policy on the given episodes. `seed` is that of the bootstrap. */
export function estimateTrajectories(
  set: TrajectorySet,
  acted: ActedTrajectories,
  { stepPenalty, seed }: { readonly stepPenalty: number; readonly seed: number },
): TrajectoryValue {
  const { trajectories } = acted;
  const columns = evaluatedTrajectories(set, acted, stepPenalty);
  const refused = unidentifiedTrajectories(set, acted, columns);
  const terms: Record<TrajectoryEstimatorName, readonly Terms[]> = {
    trajectory_is: [trajectoryIsTerms(columns)],
    weighted_is: [weightedIsTerms(columns)],
    per_decision_is: [perDecisionTerms(columns)],
    weighted_per_decision_is: weightedPerDecisionTerms(columns),
    doubly_robust: [doublyRobustTrajectoryTerms(columns)],
  };
  const known = (name: TrajectoryEstimatorName): readonly Terms[] | null => refused.length === 0 ? terms[name] : null;
  const values = TRAJECTORY_ESTIMATORS.map((name) => sumOfValues(known(name), columns.sampleWeights));
  const { clusters } = userClusters(set, trajectories);
  const intervals = bootstrapIntervals(TRAJECTORY_ESTIMATORS.map(known), columns.sampleWeights, clusters, { seed });
  const byName = <T>(value: (k: number) => T): Record<TrajectoryEstimatorName, T> =>
    Object.fromEntries(TRAJECTORY_ESTIMATORS.map((name, k) => [name, value(k)])) as Record<TrajectoryEstimatorName, T>;
  const diagnostics = trajectories.length === 0 ? null : diagnosticsOf(set, acted, columns);
  return {
    ...byName((k) => values[k]!),
    intervals: byName((k) => values[k] === null ? null : intervals[k]!),
    effective_sample_size: diagnostics?.effective_sample_size ?? null,
    episodes: trajectories.length,
    diagnostics,
    not_identified: refused,
  };
}

function sumOfValues(parts: readonly Terms[] | null, sampleWeights: Float64Array): number | null {
  if (parts === null) return null;
  const values = parts.map((terms) => valueOf(terms, sampleWeights));
  return values.reduce((sum, value) => sum === null || value === null ? null : sum + value, 0);
}

/** Why the value of a policy cannot be had from these episodes; empty if it can. Each reason names what the log lacks. */
export function unidentifiedTrajectories(
  set: TrajectorySet,
  { trajectories, probsMA }: ActedTrajectories,
  columns: EvaluatedTrajectories,
): string[] {
  if (trajectories.length === 0) return ["there are no episodes"];
  const reasons: string[] = [];
  const actions = set.actionNames.length;
  const shares = sharesOf(probsMA, actions);
  const used = new Set(set.actions);
  for (const [a, action] of set.actionNames.entries()) {
    if (used.has(a) || shares[a]! <= TOLERATED) continue;
    reasons.push(
      `${action} was never taken in the log, and the policy takes it in ${percent(shares[a]!)} of the steps`,
    );
  }
  let [certain, left] = [0, 0];
  for (const [i, n] of trajectories.entries()) {
    let staying = 1;
    for (let m = columns.offsets[i]!, s = set.offsets[n]!; m < columns.offsets[i + 1]!; m++, s++) {
      if (set.oldLogProbs[s]! < CERTAIN_LOG_PROB) continue;
      certain++;
      staying *= probsMA[m * actions + set.actions[s]!]!;
    }
    left += (1 - staying) / trajectories.length;
  }
  if (left > TOLERATED) {
    reasons.push(
      `${percent(certain / columns.rho.length)} of the logged steps had no alternative, and in ${
        percent(left)
      } of the ` +
        "episodes the policy would act otherwise at one of them",
    );
  }
  if (reasons.length > 0) return reasons;
  const rho = wholeWeights(columns);
  const mean = rho.reduce((sum, weight) => sum + weight, 0) / rho.length;
  const error = Math.sqrt(rho.reduce((sum, weight) => sum + (weight - mean) ** 2, 0)) / rho.length;
  if (rho.length >= EPISODES_FOR_MASS_TEST && mean < 0.9 && mean + 5 * error < 1) {
    reasons.push(
      `the weights of episodes average ${mean.toFixed(2)} instead of 1: the log hardly has what the policy does`,
    );
  }
  return reasons;
}

function diagnosticsOf(
  set: TrajectorySet,
  { trajectories, probsMA }: ActedTrajectories,
  columns: EvaluatedTrajectories,
): TrajectoryDiagnostics {
  const rho = wholeWeights(columns);
  const actions = set.actionNames.length;
  const logged = new Float64Array(actions);
  const steps = columns.rho.length;
  for (const n of trajectories) {
    for (let s = set.offsets[n]!; s < set.offsets[n + 1]!; s++) logged[set.actions[s]!]! += 1 / steps;
  }
  const shares = sharesOf(probsMA, actions);
  return {
    effective_sample_size: effectiveSampleSize(rho),
    mean_weight: rho.reduce((sum, weight) => sum + weight, 0) / rho.length,
    max_weight: rho.reduce((max, weight) => Math.max(max, weight), -Infinity),
    extreme_weight_share: rho.filter((weight) => weight > EXTREME_WEIGHT).length / rho.length,
    mean_steps: steps / rho.length,
    overlap: Object.fromEntries(
      set.actionNames.map((action, a) => [action, { logged_share: logged[a]!, policy_share: shares[a]! }]),
    ),
  };
}

/** [A] mean probability of each action over the steps. */
function sharesOf(probsMA: Float32Array, actions: number): Float64Array {
  const shares = new Float64Array(actions);
  const steps = probsMA.length / actions;
  for (let k = 0; k < probsMA.length; k++) shares[k % actions]! += probsMA[k]! / steps;
  return shares;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;
}
