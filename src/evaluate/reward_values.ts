/**
 * Rewards that a model expects on rows that it has not seen, for the estimators that need one.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { crossFitValues, predictRows, type RewardModel } from "../train/reward_model.ts";

/**
 * Values [N, E] of the held-out rows, by one model fitted to the training rows alone; 0 elsewhere. Undefined where there
 * is nothing to fit.
 *
 * @param model fitted to the training rows already; fitted now if absent
 */
export async function heldOutValues(
  episodes: EpisodeSet,
  training: Uint32Array,
  holdout: Uint32Array,
  model?: RewardModel,
): Promise<Float32Array | undefined> {
  if (training.length === 0 || holdout.length === 0) return undefined;
  const valuesNE = new Float32Array(episodes.size * episodes.experts.length);
  predictRows(model ?? (await crossFitValues(episodes, training)).model, episodes, holdout, valuesNE);
  return withinRewards(valuesNE);
}

/** Values [N, E] of all given rows, each by a model that has not seen its query. */
export async function crossFittedValues(
  episodes: EpisodeSet,
  rows: Uint32Array,
): Promise<Float32Array | undefined> {
  return rows.length === 0 ? undefined : withinRewards((await crossFitValues(episodes, rows)).valuesNE);
}

/** Rewards lie in [0, 1]; a linear model does not know. */
function withinRewards(valuesNE: Float32Array): Float32Array {
  return valuesNE.map((value) => Math.min(1, Math.max(0, value)));
}
