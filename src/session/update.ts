/**
 * The one update of a session of the ReActPolicy: pass by pass, with progress, periodic versions, and an orderly stop.
 *
 * @module
 */
import { expectNumber, expectObject, type JsonObject, unwanted } from "../base/check.ts";
import { periodicVersion } from "../checkpoint/version.ts";
import type { Config } from "../config/schema.ts";
import { trajectoriesDigest } from "../episodes/digest.ts";
import type { TrajectorySet } from "../episodes/trajectory_set.ts";
import type { TrainingWindow } from "../store/persistence.ts";
import type { PpoTrainer } from "../train/ppo_trainer.ts";
import type { PpoCursor, PpoMetrics, PpoSums } from "../train/ppo_update.ts";
import type { FallbackReport } from "./fallbacks.ts";
import type { Lessons, Trained } from "./kinds/apprenticeship.ts";
import { interruption } from "./passes.ts";
import { PeriodicSaver } from "./periodic_saver.ts";
import { runToJson } from "./resume.ts";
import type { AgentSnapshot } from "./versions.ts";

/** Digits kept of a curve: it is looked at, not calculated with. */
const DIGITS = 5;

/** What the update left behind. */
export interface UpdateResult extends Trained {
  /** Changes of backend so far. */
  fallbacks(): FallbackReport[];
}

/** A copy of what the engines and the trainer hold now; training may go on while it is written. */
export async function agentSnapshot({ policy, state }: PpoTrainer): Promise<AgentSnapshot> {
  const { actor, critic, actions, shape } = policy;
  const { backend, device } = actor;
  return {
    agent: { shape, actions },
    engine: { backend, device },
    actor: await actor.read(),
    critic: await critic.read(),
    trainer: state,
  };
}

/**
 * Runs the update. A version can be saved, and training stopped, after every pass: within one, each step depends on
 * both networks.
 */
export async function trainUpdate(
  parts: Lessons & {
    readonly checkpoint: Pick<Config["checkpoint"], "saveFrequency" | "keepLastN">;
    readonly set: TrajectorySet;
    /** Indices of the episodes to learn from. */
    readonly training: Uint32Array;
    readonly window: TrainingWindow;
    readonly trainer: PpoTrainer;
    /** Where to go on; at the beginning by default. */
    readonly cursor: PpoCursor | undefined;
  },
): Promise<UpdateResult> {
  const { context, version, checkpoint, set, training, window, trainer, cursor, signal, onProgress } = parts;
  const { numEpochs } = trainer.config;
  const digest = trajectoriesDigest(set);
  const update = await trainer.begin(set, { trajectories: training, cursor });
  const batchesBefore = update.cursor.sums.batches;
  const visited = (): number => update.cursor.epoch * training.length;
  const [visitedBefore, total] = [visited(), numEpochs * training.length];
  const curve = new UpdateCurve();
  const watch = new FallbackWatch(trainer, set, training);
  const reward = meanScore(set, training);
  let milliseconds = 0;
  const episodesPerSecond = (): number => 1000 * (visited() - visitedBefore) / Math.max(milliseconds, 0.1);

  // Counted in episodes of the log: more passes over them do not make more saves, only longer ways between.
  const saveEvery = checkpoint.saveFrequency * numEpochs;
  await using saver = new PeriodicSaver(context, checkpoint.keepLastN, visited());
  const save = async (latest: PpoSums): Promise<void> => {
    await saver.save({
      version: periodicVersion(version, visited()),
      snapshot: await agentSnapshot(trainer),
      metrics: { ...passMetrics(latest), fallbacks: watch.reports(visited()) },
      episodes: visited(),
      run: runToJson({ cursor: cursorToJson(update.cursor), window, version, digest }),
    });
  };

  while (!update.done) {
    const before = visited();
    const started = performance.now();
    const latest = await update.epoch();
    milliseconds += performance.now() - started;
    watch.look(before);
    curve.add(visited(), latest);
    onProgress?.({
      version,
      episodes: visited(),
      // An update that has moved the policy far enough ends before all passes are made.
      total: update.done ? visited() : total,
      reward,
      entropy: latest.entropy,
      loss: latest.policyLoss,
      episodesPerSecond: episodesPerSecond(),
    });
    // Engines on the CPU never wait for anything: without this no timer and no signal would get its turn.
    await new Promise((resolve) => setTimeout(resolve));
    if (update.done) break;
    if (signal?.aborted === true) {
      await save(latest);
      await saver.settle();
      throw interruption(version, visited(), total);
    }
    if (Math.floor(visited() / saveEvery) > Math.floor(before / saveEvery)) await save(latest);
  }
  await saver.settle();
  const metrics = await update.finish();
  return {
    metrics: { objective: "ppo", ...metricsToJson(metrics), curve: curve.toJSON() },
    visited: visited(),
    updates: update.cursor.sums.batches - batchesBefore,
    episodesPerSecond: episodesPerSecond(),
    fallbacks: () => watch.reports(visited()),
  };
}

/** Where an update stood, out of the JSON of a run. */
export function ppoCursorFrom(json: JsonObject): PpoCursor {
  const sums = expectObject(json.sums, "run.sums");
  const sum = (name: string): number => expectNumber(sums[name], `run.sums.${name}`);
  if (typeof json.stopped !== "boolean") unwanted(json.stopped, "run.stopped", "true or false");
  return {
    epoch: expectNumber(json.epoch, "run.epoch", 0),
    stopped: json.stopped,
    sums: {
      batches: sum("batches"),
      policyLoss: sum("policy_loss"),
      valueLoss: sum("value_loss"),
      entropy: sum("entropy"),
      kl: sum("kl"),
      clipFraction: sum("clip_fraction"),
      gradNorm: sum("grad_norm"),
    },
  };
}

function cursorToJson({ epoch, stopped, sums }: PpoCursor): JsonObject {
  return { epoch, stopped, sums: { batches: sums.batches, ...passMetrics(sums) } };
}

/** What a pass, or all so far, measured. */
function passMetrics(sums: PpoSums): Record<string, number> {
  return {
    policy_loss: sums.policyLoss,
    value_loss: sums.valueLoss,
    entropy: sums.entropy,
    kl: sums.kl,
    clip_fraction: sums.clipFraction,
    grad_norm: sums.gradNorm,
  };
}

function metricsToJson(metrics: PpoMetrics): JsonObject {
  return {
    epochs: metrics.epochsCompleted,
    early_stopped: metrics.earlyStopped,
    policy_loss: metrics.policyLoss,
    value_loss: metrics.valueLoss,
    entropy: metrics.entropy,
    kl_divergence: metrics.klDivergence,
    clip_fraction: metrics.clipFraction,
    grad_norm: metrics.gradNorm,
    explained_variance: metrics.explainedVariance,
    num_steps: metrics.numSteps,
    num_trajectories: metrics.numTrajectories,
    num_updates: metrics.numUpdates,
  };
}

/** Mean score of the episodes that are learned from, weighted as in training. */
function meanScore({ scores, sampleWeights }: TrajectorySet, training: Uint32Array): number {
  const mass = training.reduce((sum, n) => sum + sampleWeights[n]!, 0);
  return training.reduce((sum, n) => sum + sampleWeights[n]! * scores[n]!, 0) / mass;
}

/** One point for each pass. */
class UpdateCurve {
  readonly #episodes: number[] = [];
  readonly #series: Record<string, number[]> = {};

  add(visited: number, sums: PpoSums): void {
    this.#episodes.push(visited);
    for (const [name, value] of Object.entries(passMetrics(sums))) {
      (this.#series[name] ??= []).push(Number(value.toPrecision(DIGITS)));
    }
  }

  toJSON(): JsonObject {
    const { policy_loss: loss, ...others } = this.#series;
    return { episodes: this.#episodes, loss, ...others };
  }
}

/** Notes in which pass a backend failed: engines count rows of steps, people count episodes. */
class FallbackWatch {
  readonly #trainer: PpoTrainer;
  readonly #episodesPerRow: number;
  readonly #seenAt: number[] = [];

  constructor(trainer: PpoTrainer, { offsets }: TrajectorySet, training: Uint32Array) {
    this.#trainer = trainer;
    const steps = training.reduce((sum, n) => sum + offsets[n + 1]! - offsets[n]!, 0);
    // With a limit on the norm every row is visited twice: once to measure, once to learn.
    this.#episodesPerRow = training.length / steps / (trainer.config.clipGradNorm === 0 ? 1 : 2);
  }

  /** Looks whether the pass that began after so many episodes has changed the backend. */
  look(visitedBefore: number): void {
    while (this.#seenAt.length < this.#trainer.policy.fallbacks.length) this.#seenAt.push(visitedBefore);
  }

  /** @param visited where training is now: a failure that no pass has seen happened after it */
  reports(visited: number): FallbackReport[] {
    return this.#trainer.policy.fallbacks.map(({ from, to, reason, repeatedRows }, i) => ({
      from,
      to,
      reason,
      at_episode: this.#seenAt[i] ?? visited,
      repeated: Math.round(repeatedRows * this.#episodesPerRow),
    }));
  }
}
