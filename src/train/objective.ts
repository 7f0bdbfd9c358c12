/**
 * What training maximises, chosen by what the log can teach.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { logMixOf } from "../episodes/episode_set.ts";
import { directGain, doublyRobustGain, mixtureGain, reinforceGain, softTargetGain } from "../loss/gains.ts";
import type { LossHeadName } from "../loss/heads.ts";

/** What is maximised; `loss/gains.ts` has the formula of each. */
export type Objective = "reinforce" | "direct" | "doubly_robust" | "soft";

/** What a user can ask for; `auto` decides by the log. */
export type ObjectiveChoice = Objective | "auto";

/** Everything that can be asked for. */
export const OBJECTIVES: readonly ObjectiveChoice[] = ["auto", "reinforce", "direct", "doubly_robust", "soft"];

/** An objective and why it was taken. */
export interface ChosenObjective {
  readonly objective: Objective;
  /** In words, for the report. */
  readonly reason: string;
}

/**
 * `auto` takes `doubly_robust` where experts were drawn (most of the log), `direct` where they were mixed. Plain
 * REINFORCE learns the same from a large log and less from a small one.
 */
export function chooseObjective(choice: ObjectiveChoice, episodes: EpisodeSet): ChosenObjective {
  if (choice !== "auto") return { objective: choice, reason: "asked for" };
  const mix = logMixOf(episodes);
  if (mix === "soft") return { objective: "direct", reason: "the log is soft: experts were mixed, none was drawn" };
  if (mix !== "mixed") {
    return { objective: "doubly_robust", reason: "the log is sampled: one expert was drawn per query" };
  }
  const share = episodes.sampled.reduce((count, flag) => count + flag, 0) / episodes.size;
  const words = `${Math.round(100 * share)}% of the episodes are sampled, the rest are soft`;
  return { objective: share >= 0.5 ? "doubly_robust" : "direct", reason: words };
}

/** The loss head that an objective is minimised through. */
export function headOf(objective: Objective): LossHeadName {
  return objective === "soft" ? "soft_target" : "policy_gain";
}

/** Whether an objective learns through a reward model. */
export function needsValues(objective: Objective): boolean {
  return objective === "direct" || objective === "doubly_robust";
}

/** What the gain of one episode is made of. */
export interface GainInputs {
  readonly objective: Objective;
  readonly advantage: number;
  /** The moving mean of the rewards before this batch. */
  readonly baseline: number;
  /** Largest importance weight. */
  readonly importanceClip: number;
  /** Largest importance weight of the reward model's error. */
  readonly residualClip: number;
  /** [N, E] the reward model's values; `direct` and `doubly_robust` need them. */
  readonly valuesNE: Float32Array | undefined;
}

/** Writes the head's coefficients [E] of one episode. */
export function writeGain(episodes: EpisodeSet, row: number, inputs: GainInputs, gainE: Float32Array): void {
  const experts = episodes.experts.length;
  const mixtureE = episodes.mixtures.subarray(row * experts, (row + 1) * experts);
  if (inputs.objective === "soft") return softTargetGain(mixtureE, inputs.advantage, gainE);
  if (needsValues(inputs.objective)) {
    const valueE = inputs.valuesNE!.subarray(row * experts, (row + 1) * experts);
    if (inputs.objective === "direct") return directGain(valueE, inputs.baseline, gainE);
    const weight = Math.min(1 / episodes.propensities[row]!, inputs.residualClip);
    return doublyRobustGain(valueE, inputs.baseline, mixtureE, episodes.rewards[row]!, weight, gainE);
  }
  if (episodes.sampled[row] === 0) return mixtureGain(mixtureE, inputs.advantage, gainE);
  return reinforceGain(mixtureE, episodes.propensities[row]!, inputs.advantage, inputs.importanceClip, gainE);
}
