/**
 * The agent's episodes that a session trains on.
 *
 * @module
 */
import type { Config } from "../config/schema.ts";
import { splitHoldout } from "../episodes/holdout.ts";
import { loadTrajectories } from "../episodes/load_trajectories.ts";
import type { TrajectorySet } from "../episodes/trajectory_set.ts";
import { outsideOf } from "../episodes/window.ts";
import type { RLCFPersistence, TrainingWindow } from "../store/persistence.ts";
import type { SessionLog } from "./training_log.ts";

/** A log of episodes of several steps. */
export interface TrajectoryLog extends SessionLog {
  /** The episodes. */
  readonly episodes: TrajectorySet;
}

/** Reads and splits the episodes of a window, however few they are. */
export async function readTrajectoryLog(
  store: RLCFPersistence,
  config: Config,
  window: TrainingWindow,
): Promise<TrajectoryLog> {
  const started = performance.now();
  const { stateDim, actions: actionNames, numEpochs } = config.reactPolicy;
  const { feedbackWeighting, scoring } = config.training;
  const episodes = await loadTrajectories(store, window, { stateDim, actionNames, feedbackWeighting, scoring });
  const seconds = (performance.now() - started) / 1000;
  const skipped = Object.values(episodes.skipped).reduce((sum, count) => sum + count, 0);
  const available = episodes.feedbackRows + skipped;
  const { enabled, holdoutRatio, minHoldout } = config.evaluation;
  return {
    window,
    episodes,
    skipped: episodes.skipped,
    available,
    outside: await outsideOf(store, window),
    split: splitHoldout(episodes, enabled ? holdoutRatio : 0, minHoldout),
    mix: episodes.size === 0 ? "empty" : "sampled",
    objective: {
      objective: "ppo",
      reason: `clipped PPO of actor and critic, one update of at most ${numEpochs} passes`,
    },
    rowsPerSecond: available / Math.max(seconds, 1e-3),
  };
}
