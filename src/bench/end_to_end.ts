/**
 * The way from the database to a checkpoint, timed stage by stage: what a training session does, without its lease, its
 * rows and its periodic versions, so that measuring leaves nothing behind.
 *
 * @module
 */
import { join } from "node:path";
import { publishCheckpoint } from "../checkpoint/publish.ts";
import type { Config } from "../config/schema.ts";
import type { GatingPolicy } from "../policy/gating_policy.ts";
import { networkToJson, packPolicy } from "../session/saved_policy.ts";
import { readTrainingLog, type SessionLog, type TrainingLog, windowOf } from "../session/training_log.ts";
import { readTraversalLog } from "../session/traversal_log.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { SingleStepTrainer } from "../train/single_step_trainer.ts";
import { TrainingRun } from "../train/training_run.ts";
import { type Timing, timingOf } from "./timing.ts";

/** What is timed. */
export interface EndToEndOptions {
  /** Read, never written. */
  readonly store: RLCFPersistence;
  /** The settings of a training session; one pass is made, whatever `training.epochs` says. */
  readonly config: Config;
  /** Trained, from the weights that it has. */
  readonly policy: GatingPolicy;
  /** Relations of a traversal policy; undefined for one that routes to experts. */
  readonly relations?: readonly string[] | undefined;
  /** An empty directory for the checkpoints. */
  readonly scratch: string;
  /** Stops repeating after this time, in milliseconds. */
  readonly timeMs: number;
}

/** What was timed, and on what. */
export interface EndToEnd {
  /** `load`, `prepare`, `train_pass`, `checkpoint`, `end_to_end`. */
  readonly timings: readonly Timing[];
  /** Episodes read. */
  readonly episodes: number;
  /** What was maximised, which decides what there is to prepare. */
  readonly objective: string;
}

/** Most repetitions. */
export const REPETITIONS = 5;

/** Whether a log holds enough to train on; a handful of episodes would measure nothing but the start. */
export function canTrainOn(log: SessionLog, minFeedback: number): boolean {
  return log.split.training.length > 0 && log.episodes.feedbackRows >= minFeedback;
}

/** Reads the log, fits the reward model where the objective needs one, makes one pass, and writes a checkpoint. */
export async function measureEndToEnd(options: EndToEndOptions): Promise<EndToEnd> {
  const { store, config, policy, relations, scratch, timeMs } = options;
  const readLog = relations === undefined ? readTrainingLog : readTraversalLog;
  const { engine } = policy;
  const { batchSize, seed } = config.training;
  const initial = await engine.read();
  const window = windowOf(config, new Date());
  const samples = {
    load: [] as number[],
    prepare: [] as number[],
    train_pass: [] as number[],
    checkpoint: [] as number[],
  };
  const startedAt = performance.now();
  let log: TrainingLog;
  do {
    let last = performance.now();
    const lap = (stage: keyof typeof samples): void => {
      const now = performance.now();
      samples[stage].push(now - last);
      last = now;
    };
    log = await readLog(store, config, window);
    lap("load");
    await engine.load(initial);
    const trainer = new SingleStepTrainer({ policy, config: config.training });
    const { episodes, split, objective: { objective } } = log;
    const run = await TrainingRun.start({
      trainer,
      episodes,
      trainingRows: split.training,
      objective,
      epochs: 1,
      batchSize,
      seed,
    });
    lap("prepare");
    while (!run.done) await run.advance(split.training.length);
    lap("train_pass");
    await publishCheckpoint(join(scratch, crypto.randomUUID()), {
      policyType: config.training.policyType,
      version: "v1.0.0",
      parentVersion: null,
      createdAt: new Date().toISOString(),
      sessionId: null,
      engine: { backend: engine.backend, device: engine.device },
      network: networkToJson({ shape: policy.shape, experts: policy.experts, relations }),
      config: {},
      metrics: {},
      ...packPolicy(await engine.read(), trainer.state, {}),
    });
    lap("checkpoint");
  } while (samples.load.length < REPETITIONS && performance.now() - startedAt < timeMs);

  const { available, episodes, split, objective: { objective } } = log;
  const trained = split.training.length;
  return { timings: stageTimings(samples, available, trained), episodes: episodes.size, objective };
}

/** How long each stage took, in milliseconds. */
export type StageSamples = Readonly<Record<"load" | "prepare" | "train_pass" | "checkpoint", number[]>>;

/** The timings of the stages and of all of them, by feedback rows read and episodes trained on. */
export function stageTimings(samples: StageSamples, available: number, trained: number): Timing[] {
  const whole = samples.load.map((_, i) => Object.values(samples).reduce((sum, stage) => sum + stage[i]!, 0));
  return [
    timingOf("load", available, samples.load),
    timingOf("prepare", trained, samples.prepare),
    timingOf("train_pass", trained, samples.train_pass),
    timingOf("checkpoint", 1, samples.checkpoint),
    timingOf("end_to_end", available, whole),
  ];
}
