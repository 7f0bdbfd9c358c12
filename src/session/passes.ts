/**
 * The passes of a session: steps in portions, progress, periodic versions, and an orderly stop.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { periodicVersion } from "../checkpoint/version.ts";
import type { Config } from "../config/schema.ts";
import { type Disagreement, disagreementOf } from "../episodes/disagreement.ts";
import type { Contradiction } from "../train/contradictions.ts";
import type { RewardModel } from "../train/reward_model.ts";
import type { SingleStepTrainer } from "../train/single_step_trainer.ts";
import { epochsFor, type RunCursor, TrainingRun, visitedAt } from "../train/training_run.ts";
import { fallbackReports } from "./fallbacks.ts";
import type { Lessons, Trained } from "./kinds/apprenticeship.ts";
import { runToJson } from "./resume.ts";
import type { TrainingLog } from "./training_log.ts";
import { LearningCurve } from "./learning_curve.ts";
import { PeriodicSaver } from "./periodic_saver.ts";
import { snapshotOf } from "./versions.ts";

/** Steps are sent to the engine in portions of about this long, so that progress and signals get their turn. */
const PORTION_MS = 400;

/** Where a new run begins. */
const FIRST_STEP: RunCursor = { epoch: 0, position: 0 };

/** What the passes left behind. */
export interface PassesResult extends Trained {
  /** Episodes visited before the passes began: those of the run that was taken up. */
  readonly visitedBefore: number;
  /** Users who counted less than their authority says. */
  readonly contradictions: readonly Contradiction[];
  /** The reward model of the training rows, for the evaluation; undefined where the objective needs none. */
  readonly rewardModel: RewardModel | undefined;
}

/** The passes over the training rows, with a periodic version for every `save_frequency` episodes of the log. */
export async function trainPasses(
  parts: Lessons & {
    readonly config: Config;
    readonly trainingLog: TrainingLog;
    readonly trainer: SingleStepTrainer;
    /** Fingerprint of the log. */
    readonly digest: string;
    /** Width of the hidden layer. */
    readonly hiddenDim: number;
    /** Relations of a traversal policy. */
    readonly relations: readonly string[] | undefined;
    /** Where to go on; at the beginning by default. */
    readonly cursor: RunCursor | undefined;
  },
): Promise<PassesResult> {
  const { context, config, trainingLog, trainer, version, digest, cursor, signal, onProgress, onFit } = parts;
  const { batchSize, seed } = config.training;
  const trainingRows = trainingLog.split.training;
  const epochs = epochsFor(config.training.epochs, trainingRows.length, { batchSize, hiddenDim: parts.hiddenDim });
  const { objective } = trainingLog.objective;
  const begun = { cursor: cursor ?? FIRST_STEP, visited: visitedAt(cursor ?? FIRST_STEP, trainingRows.length) };

  // Counted in episodes of the log: more passes over them do not make more saves, only longer ways between.
  const saveEvery = config.checkpoint.saveFrequency * epochs;
  const pace = new Pace(batchSize);
  const updatesBefore = trainer.getStats().numUpdates;
  const curve = new LearningCurve({ rows: trainingRows.length, batchSize, epochs, cursor });
  const visitedBefore = begun.visited;
  let latest: JsonObject = {};
  await using saver = new PeriodicSaver(context, config.checkpoint.keepLastN, cursor && visitedBefore);
  const save = async (at: Pick<TrainingRun, "cursor" | "visited">): Promise<void> => {
    await saver.save({
      version: periodicVersion(version, at.visited),
      snapshot: await snapshotOf(trainer, parts.relations, saver.takeWorn()),
      metrics: {
        ...latest,
        ...trainerMetrics(trainer),
        fallbacks: fallbackReports(trainer.policy, visitedBefore),
      },
      episodes: at.visited,
      run: runToJson({ cursor: at.cursor, window: trainingLog.window, version, digest }),
    });
  };

  let run: TrainingRun;
  try {
    run = await TrainingRun.start({
      trainer,
      episodes: trainingLog.episodes,
      trainingRows,
      objective,
      epochs,
      batchSize,
      seed,
      discountContradictions: config.training.discountContradictions,
      cursor,
      onFit: (done) => {
        signal?.throwIfAborted();
        onFit?.({ version, done });
      },
    });
  } catch (thrown) {
    if (signal?.aborted !== true || thrown !== signal.reason) throw thrown;
    await save(begun);
    await saver.settle();
    throw interruption(version, begun.visited, epochs * trainingRows.length);
  }

  while (!run.done) {
    const untilSave = saveEvery - (run.visited % saveEvery);
    const before = run.visited;
    const metrics = await pace.measure(
      () => run.advance(Math.min(pace.portion, untilSave)),
      () => run.visited - before,
    );
    latest = lastStep(metrics);
    curve.add(metrics);
    onProgress?.({
      version,
      episodes: run.visited,
      total: run.total,
      reward: trainer.getStats().baseline,
      entropy: metrics.entropy.at(-1)!,
      loss: metrics.loss.at(-1)!,
      episodesPerSecond: pace.episodesPerSecond,
    });
    // Engines on the CPU never wait for anything: without this no timer and no signal would get its turn.
    await new Promise((resolve) => setTimeout(resolve));
    if (signal?.aborted === true && !run.done) {
      await save(run);
      await saver.settle();
      throw interruption(version, run.visited, run.total);
    }
    const crossed = Math.floor(run.visited / saveEvery) > Math.floor(before / saveEvery);
    if (crossed && !run.done) await save(run);
  }
  await saver.settle();
  return {
    metrics: {
      objective,
      epochs,
      ...latest,
      ...trainerMetrics(trainer),
      contradicting_users: run.contradictions.map(({ userId, episodes, factor }) => ({
        user_id: userId,
        episodes,
        factor,
      })),
      disagreement: disagreementJson(disagreementOf(trainingLog.episodes)),
      curve: curve.toJSON(),
    },
    contradictions: run.contradictions,
    visited: run.visited,
    visitedBefore,
    updates: trainer.getStats().numUpdates - updatesBefore,
    rewardModel: run.rewardModel,
    episodesPerSecond: pace.episodesPerSecond,
  };
}

function disagreementJson(found: Disagreement | null): JsonObject | null {
  return found === null ? null : { ...found };
}

/** That training was stopped, with the state saved after so many of all episodes. */
export function interruption(version: string, visited: number, total: number): RlcfError {
  return new RlcfError("interrupted", `training of ${version} was interrupted after ${visited} of ${total} episodes`, {
    hint: `The state is saved as ${periodicVersion(version, visited)}; rlcf train --resume goes on from there.`,
  });
}

function lastStep(metrics: { loss: Float32Array; entropy: Float32Array; gradNorm: Float32Array }): JsonObject {
  return { loss: metrics.loss.at(-1)!, entropy: metrics.entropy.at(-1)!, grad_norm: metrics.gradNorm.at(-1)! };
}

function trainerMetrics(trainer: SingleStepTrainer): JsonObject {
  const { baseline, rewardStd, numUpdates } = trainer.getStats();
  return { baseline, reward_std: rewardStd, num_updates: numUpdates };
}

/** How many episodes to send at a time, learned from how long the last ones took. */
class Pace {
  readonly #batchSize: number;
  #episodes = 0;
  #milliseconds = 0;
  /** Episodes of the next portion. */
  portion: number;

  constructor(batchSize: number) {
    this.#batchSize = batchSize;
    this.portion = batchSize;
  }

  get episodesPerSecond(): number {
    return this.#milliseconds === 0 ? 0 : 1000 * this.#episodes / this.#milliseconds;
  }

  async measure<T>(work: () => Promise<T>, visited: () => number): Promise<T> {
    const started = performance.now();
    const result = await work();
    const elapsed = performance.now() - started;
    this.#milliseconds += elapsed;
    this.#episodes += visited();
    const fitting = visited() * PORTION_MS / Math.max(elapsed, 0.1);
    // At most doubled, so that one lucky measurement does not block the process for long.
    this.portion = Math.max(this.#batchSize, Math.min(2 * this.portion, fitting));
    return result;
  }
}
