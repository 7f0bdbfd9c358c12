/**
 * The way from the database to a checkpoint for the ReActPolicy, timed stage by stage; see `end_to_end.ts`.
 *
 * @module
 */
import { join } from "node:path";
import { publishCheckpoint } from "../checkpoint/publish.ts";
import type { Config } from "../config/schema.ts";
import type { ReActPolicy } from "../policy/react_policy.ts";
import { agentToJson, packReAct } from "../session/saved_react.ts";
import { windowOf } from "../session/training_log.ts";
import { readTrajectoryLog, type TrajectoryLog } from "../session/trajectory_log.ts";
import { agentSnapshot } from "../session/update.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { ppoConfigOf } from "../train/ppo_config.ts";
import { PpoTrainer } from "../train/ppo_trainer.ts";
import { type EndToEnd, REPETITIONS, stageTimings } from "./end_to_end.ts";

/** Reads the log, uploads it and estimates the advantages, makes one pass, and writes a checkpoint. */
export async function measureAgentWay(options: {
  /** Read, never written. */
  readonly store: RLCFPersistence;
  /** The settings of a training session; one pass is made, whatever `react_policy.num_epochs` says. */
  readonly config: Config;
  /** Trained, from the weights that it has. */
  readonly policy: ReActPolicy;
  /** An empty directory for the checkpoints. */
  readonly scratch: string;
  /** Stops repeating after this time, in milliseconds. */
  readonly timeMs: number;
}): Promise<EndToEnd> {
  const { store, config, policy, scratch, timeMs } = options;
  const [actor, critic] = [await policy.actor.read(), await policy.critic.read()];
  const window = windowOf(config, new Date());
  const samples = {
    load: [] as number[],
    prepare: [] as number[],
    train_pass: [] as number[],
    checkpoint: [] as number[],
  };
  const startedAt = performance.now();
  let log: TrajectoryLog;
  do {
    let last = performance.now();
    const lap = (stage: keyof typeof samples): void => {
      const now = performance.now();
      samples[stage].push(now - last);
      last = now;
    };
    log = await readTrajectoryLog(store, config, window);
    lap("load");
    await policy.actor.load(actor);
    await policy.critic.load(critic);
    const trainer = new PpoTrainer({ policy, config: { ...ppoConfigOf(config), numEpochs: 1 } });
    const update = await trainer.begin(log.episodes, { trajectories: log.split.training });
    lap("prepare");
    await update.epoch();
    lap("train_pass");
    const snapshot = await agentSnapshot(trainer);
    await publishCheckpoint(join(scratch, crypto.randomUUID()), {
      policyType: "react",
      version: "v1.0.0",
      parentVersion: null,
      createdAt: new Date().toISOString(),
      sessionId: null,
      engine: snapshot.engine,
      network: agentToJson(snapshot.agent),
      config: {},
      metrics: {},
      ...packReAct(snapshot, {}),
    });
    lap("checkpoint");
  } while (samples.load.length < REPETITIONS && performance.now() - startedAt < timeMs);
  return {
    timings: stageTimings(samples, log.available, log.split.training.length),
    episodes: log.episodes.size,
    objective: log.objective.objective,
  };
}
