/**
 * What may be wrong with a policy that is in itself no failure: named, so that a monitor can look for it.
 *
 * @module
 */
import { loggedValue } from "../evaluate/policy_value.ts";
import type { BaselineState } from "../train/baseline.ts";
import type { Contradiction } from "../train/contradictions.ts";
import type { TrainingLog } from "./training_log.ts";

/** The names of the warnings. */
export type WarningName =
  /** The routing is all but certain: what it logs when it is drawn from will teach nothing new. */
  | "entropy_collapse"
  /** The rewards have moved since the parent was trained. */
  | "baseline_drift"
  /** Nearly every query goes to the same expert. */
  | "single_expert_routing"
  /** The files of the active version, or of the newest saved state, are broken: training started from an older one. */
  | "checkpoint_fallback"
  /** The feedback of some users contradicts that of the others: theirs counts less. */
  | "contradicting_users";

/** A warning; field names are those of `train --json`. */
export interface TrainingWarning {
  /** What a monitor looks for. */
  readonly name: WarningName;
  /** One sentence with the numbers. */
  readonly message: string;
}

/** Mean entropy, as a share of the largest possible, below which routing counts as certain. */
const COLLAPSED_ENTROPY = 0.02;
/** Share of the routing from which on one expert counts as the only one. */
const SINGLE_EXPERT = 0.95;
/** Standard deviations of the rewards between two baselines that count as a drift. */
const DRIFT = 0.5;

/**
 * The warnings about a trained policy.
 *
 * @param parts `routingNE`: [n, E] its routing of the held-out rows; `parent`: the baseline that training started from,
 * null for fresh weights, whose baseline is compared with the rewards trained on; `baseline`: the one it ended with;
 * `contradictions`: users who were discounted, the strongest discount first
 */
export function warningsOf(parts: {
  trainingLog: Pick<TrainingLog, "episodes" | "split">;
  routingNE: Float32Array;
  parent: BaselineState | null;
  baseline: BaselineState;
  contradictions: readonly Contradiction[];
}): TrainingWarning[] {
  const { trainingLog: { episodes, split }, routingNE, parent, baseline, contradictions } = parts;
  const warnings: TrainingWarning[] = [];
  const experts = episodes.experts;
  const rows = routingNE.length / experts.length;
  if (rows > 0) {
    const collapse = entropyWarning(routingNE, experts.length, "routing");
    if (collapse !== null) warnings.push(collapse);
    const shares = experts.map((_, e) => {
      let share = 0;
      for (let i = 0; i < rows; i++) share += routingNE[i * experts.length + e]! / rows;
      return share;
    });
    const top = shares.indexOf(Math.max(...shares));
    if (shares[top]! >= SINGLE_EXPERT) {
      warnings.push({
        name: "single_expert_routing",
        message: `${Math.floor(100 * shares[top]!)}% of the routing goes to ${experts[top]}`,
      });
    }
  }
  const before = parent?.baseline ?? loggedValue(episodes, split.training);
  if (before !== null && Math.abs(baseline.baseline - before) > DRIFT * baseline.rewardStd) {
    const since = parent === null ? "the mean reward trained on" : "the parent's";
    warnings.push({
      name: "baseline_drift",
      message: `the reward baseline is ${baseline.baseline.toFixed(3)}, ${since} was ${before.toFixed(3)}`,
    });
  }
  if (contradictions.length > 0) warnings.push(contradictionWarning(contradictions));
  return warnings;
}

/**
 * That a policy is all but certain of what it decides; null if it is not.
 *
 * @param probsNC [n, C] its probabilities; n at least 1
 * @param what what it decides, in words
 */
export function entropyWarning(probsNC: Float32Array, choices: number, what: string): TrainingWarning | null {
  const rows = probsNC.length / choices;
  const entropy = -probsNC.reduce((sum, p) => p > 0 ? sum + p * Math.log(p) : sum, 0) / rows;
  if (!(entropy < COLLAPSED_ENTROPY * Math.log(choices))) return null;
  const most = Math.log(choices).toFixed(2);
  return {
    name: "entropy_collapse",
    message: `the mean entropy of the ${what} is ${entropy.toFixed(4)} of at most ${most} nats; ` +
      "draw with epsilon or temperature, or raise training.entropy_coef",
  };
}

/** Names that are listed one by one. */
const LISTED_USERS = 5;

function contradictionWarning(contradictions: readonly Contradiction[]): TrainingWarning {
  const named = contradictions.slice(0, LISTED_USERS)
    .map(({ userId, factor }) => `${userId} x${factor.toFixed(2)}`).join(", ");
  const more = contradictions.length > LISTED_USERS ? ` and ${contradictions.length - LISTED_USERS} more` : "";
  return {
    name: "contradicting_users",
    message: `${named}${more}: their feedback contradicts what the others' predicts, so it counted less in training; ` +
      "training.discount_contradictions: false counts it in full",
  };
}
