/**
 * The graph traversals that a session trains on.
 *
 * @module
 */
import type { Config } from "../config/schema.ts";
import { logMixOf } from "../episodes/episode_set.ts";
import { splitHoldout } from "../episodes/holdout.ts";
import { traversalSet } from "../episodes/traversal_set.ts";
import { outsideOf } from "../episodes/window.ts";
import { defaultInputScale } from "../engine/network.ts";
import { TraversalEncoder } from "../policy/traversal_policy.ts";
import type { RLCFPersistence, TrainingWindow } from "../store/persistence.ts";
import { chooseObjective } from "../train/objective.ts";
import type { TrainingLog } from "./training_log.ts";

/** Traversals of judged traces, read and split. */
export interface TraversalLog extends TrainingLog {
  /** Traversals whose relation the policy does not know; weighed as its relation for unknown ones. */
  readonly unknownRelations: number;
}

/** Reads and splits the traversals of a window, however few they are. Whole traces are read, and held at once. */
export async function readTraversalLog(
  store: RLCFPersistence,
  config: Config,
  window: TrainingWindow,
): Promise<TraversalLog> {
  const started = performance.now();
  const { feedbackWeighting, objective, scoring } = config.training;
  const pairs = await store.getTrainingData({
    minDate: window.since ?? undefined,
    maxDate: window.until,
    limit: window.maxFeedback,
    policyVersion: window.policyVersion,
  });
  const { episodes, skipped, unknownRelations } = traversalSet(pairs, encoderOf(config), feedbackWeighting, scoring);
  const seconds = (performance.now() - started) / 1000;
  const { enabled, holdoutRatio, minHoldout } = config.evaluation;
  return {
    window,
    episodes,
    skipped,
    available: pairs.length,
    outside: await outsideOf(store, window),
    split: splitHoldout(episodes, enabled ? holdoutRatio : 0, minHoldout),
    mix: logMixOf(episodes),
    objective: chooseObjective(objective, episodes),
    rowsPerSecond: pairs.length / Math.max(seconds, 1e-3),
    unknownRelations,
  };
}

/** Makes the inputs of the configured traversal policy. */
function encoderOf(config: Config): TraversalEncoder {
  return new TraversalEncoder({
    inputDim: config.gatingPolicy.inputDim,
    relations: config.traversalPolicy.relations,
    inputScale: traversalScale(config),
  });
}

/** Factor on the embeddings of traversals. */
export function traversalScale({ traversalPolicy, gatingPolicy }: Config): number {
  return traversalPolicy.inputScale === "auto" ? defaultInputScale(gatingPolicy.inputDim) : traversalPolicy.inputScale;
}
