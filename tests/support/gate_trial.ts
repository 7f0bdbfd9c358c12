/**
 * One question to the gate in a {@link LoggedWorld}: both policies, a training log for the reward model, a holdout.
 *
 * @module
 */
import type { EpisodeSet } from "../../src/episodes/episode_set.ts";
import { type GateReport } from "../../src/evaluate/gate.ts";
import { evaluateOnHoldout } from "../../src/session/holdout_evaluation.ts";
import { fitRewardModel } from "../../src/train/reward_model.ts";
import type { LoggedWorld } from "./logged_world.ts";

/** Asks the gate about a candidate [KINDS, E] that would replace an active policy [KINDS, E]. */
export async function askAbout(
  world: LoggedWorld,
  episodes: EpisodeSet,
  policies: { readonly active: Float64Array | null; readonly candidate: Float64Array },
  options: { readonly trainingRows: number; readonly question?: number; readonly levelMargin?: number },
): Promise<GateReport> {
  const { trainingRows, question = 1, levelMargin = 0.05 } = options;
  const all = Uint32Array.from({ length: episodes.size }, (_, i) => i);
  const [training, holdout] = [all.subarray(0, trainingRows), all.subarray(trainingRows)];
  const { active, candidate } = policies;
  const { gate } = await evaluateOnHoldout({
    trainingLog: { episodes, split: { training, holdout } },
    candidateNE: world.route(episodes, holdout, candidate),
    active: active === null ? null : { version: "v1.0.0", weightsNE: world.route(episodes, holdout, active) },
    activeVersion: active === null ? null : "v1.0.0",
    rewardModel: await fitRewardModel(episodes, training, 10),
    question,
    levelMargin,
    seed: 0,
  });
  return gate;
}
