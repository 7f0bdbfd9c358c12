/**
 * A training session, from the lease to the activation. Read {@link trainSession} first: it is the whole story.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { JsonObject } from "../base/check.ts";
import { DISK, type Disk } from "../checkpoint/files.ts";
import { sweepTemporaries } from "../checkpoint/retention.ts";
import type { Config } from "../config/schema.ts";
import type { EngineEntry } from "../engine/create.ts";
import { decide } from "../evaluate/gate.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { type FallbackReport, fallbackReports } from "./fallbacks.ts";
import { countChallengers, evaluateOnHoldout, routeHoldout } from "./holdout_evaluation.ts";
import { type TrainingWarning, warningsOf } from "./warnings.ts";
import type { TrainProgress, TrainReport } from "./report.ts";
import { type Trained, trainPasses } from "./passes.ts";
import { checkSameLog, findResumePoint, type ResumePoint } from "./resume.ts";
import { type StartingPoint, startingPoint } from "./starting_point.ts";
import { readTrainingLog, requireEnough, type TrainingLog, windowOf } from "./training_log.ts";
import {
  nextVersion,
  type PublishedVersion,
  publishVersion,
  removeExpired,
  type SessionContext,
  snapshotOf,
} from "./versions.ts";

const log = getLogger(["rlcf", "session"]);

/** The policy type that a session of this file trains. */
export const GATING = "gating";

/** Temporary directories older than this belong to nobody. */
const SWEEP_AFTER_MS = 60 * 60 * 1000;

/** What a session needs. */
export interface TrainRequest {
  readonly store: RLCFPersistence;
  readonly config: Config;
  /** The configuration as JSON in snake_case without secrets, for the records. */
  readonly configJson: JsonObject;
  /** Train only on traces that this version routed. */
  readonly policyVersion?: string | undefined;
  /** Take up the latest interrupted session instead of starting a new one. */
  readonly resume?: boolean | undefined;
  /** Aborted to stop after the current step, with the state saved. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TrainProgress) => void) | undefined;
  /** Engines to choose from, the best first; those of this build by default. */
  readonly engines?: readonly EngineEntry[] | undefined;
  /** What the checkpoint directory lies on; the real disk by default. */
  readonly disk?: Disk | undefined;
}

/**
 * Trains a new version of the gating policy, judges it and, if the rule allows, makes it active.
 *
 * @throws RlcfError `lease_held`, `not_enough_data` (nothing was written), `interrupted` (the state was saved), or what
 * the database, the checkpoint directory or the backend reports
 */
export async function trainSession(request: TrainRequest): Promise<TrainReport> {
  const { store, config, disk = DISK } = request;
  const startedAt = performance.now();
  const root = config.checkpoint.directory;
  await using lease = await store.acquireLease(GATING);

  const resumed = request.resume === true
    ? await findResumePoint(store, root, GATING, request.configJson, disk)
    : undefined;
  const window = resumed?.window ?? windowOf(config, new Date(), request.policyVersion);
  const trainingLog = await readTrainingLog(store, config, window);
  requireEnough(trainingLog, config, store.location);
  if (resumed !== undefined) checkSameLog(resumed, trainingLog.episodes);

  await sweepTemporaries(root, SWEEP_AFTER_MS, Date.now(), disk);
  await using start = await startingPoint(store, config, GATING, resumed, request.engines, disk);
  const version = resumed?.version ?? await nextVersion(store, root, GATING, start.parentVersion, disk);
  // The active policy is judged before training moves the weights that it may share with the new one.
  const active = await start.routeActive(trainingLog.episodes, trainingLog.split.holdout);

  const sessionId = await openSession(request, start);
  try {
    const context: SessionContext = {
      store,
      root,
      disk,
      policyType: GATING,
      fence: lease.holder,
      sessionId,
      parentVersion: start.parentVersion,
      config: request.configJson,
      predecessors: resumed?.sessions ?? new Set(),
    };
    announce(version, trainingLog, start, resumed);
    const trained = await trainPasses({
      context,
      config,
      trainingLog,
      trainer: start.trainer,
      version,
      cursor: resumed?.cursor,
      signal: request.signal,
      onProgress: request.onProgress,
    });
    const candidateNE = await routeHoldout(start.policy, trainingLog.episodes, trainingLog.split.holdout);
    const evaluation = evaluateOnHoldout({
      trainingLog,
      candidateNE,
      active,
      activeVersion: start.activeVersion,
      ridge: trained.ridge,
      question: 1 + await countChallengers(store, GATING, start.activeVersion),
      levelMargin: config.evaluation.levelMargin,
      seed: config.training.seed,
    });
    const verdict = decide(config.checkpoint.activate, evaluation.gate);
    const found = warningsOf({
      trainingLog,
      routingNE: candidateNE,
      parent: start.parentBaseline,
      baseline: start.trainer.state,
      contradictions: trained.contradictions,
    });
    const warnings = [...start.warnings, ...found];
    for (const { name, message } of found) log.warn("{name}: {message}", { name, message });

    await lease.assertHeld();
    const snapshot = await snapshotOf(start.trainer);
    const fallbacks = fallbackReports(start.policy, trained.visitedBefore);
    const metrics = { ...trained.metrics, fallbacks, warnings, evaluation, activation_reason: verdict.reason };
    const checkpoint = await publishVersion(context, {
      version,
      snapshot,
      metrics,
      episodes: trained.visited,
      run: {},
    });
    const activated = verdict.activate && await store.activatePolicy(version, GATING, {
      reason: verdict.reason,
      fence: lease.holder,
    });
    await removeExpired(context, config.checkpoint.keepLastN);
    await store.completeTrainingSession(sessionId, {
      policyVersionTo: version,
      numTraces: trainingLog.split.training.length,
      numFeedback: trainingLog.episodes.feedbackRows,
      metrics,
    });
    return report({
      request,
      trainingLog,
      start,
      version,
      sessionId,
      checkpoint,
      activated,
      reason: verdict.reason,
      evaluation,
      warnings,
      fallbacks,
      trained,
      startedAt,
    });
  } catch (thrown) {
    await closeFailedSession(store, sessionId, thrown);
    throw thrown;
  }
}

async function openSession(request: TrainRequest, start: StartingPoint): Promise<string> {
  const { store } = request;
  // The lease is ours, so whoever left a session running has died, or was stopped for so long that its lease ended.
  for (const session of await store.listTrainingSessions(GATING)) {
    if (session.status !== "running") continue;
    await store.failTrainingSession(
      session.id,
      "the process lost its lease without closing the session: it ended, or was stopped",
    );
    log.warn("session {id} of {startedAt} was left running by a process that lost its lease; marked as failed", {
      id: session.id,
      startedAt: session.startedAt,
    });
  }
  return await store.startTrainingSession(GATING, {
    policyVersionFrom: start.parentVersion,
    config: request.configJson,
  });
}

async function closeFailedSession(store: RLCFPersistence, sessionId: string, thrown: unknown): Promise<void> {
  const interrupted = thrown instanceof RlcfError && thrown.code === "interrupted";
  try {
    await store.failTrainingSession(sessionId, messageOf(thrown), { status: interrupted ? "interrupted" : "failed" });
  } catch (second) {
    // The first failure is the one that matters to the user.
    log.error("could not mark session {sessionId} as failed: {cause}", { sessionId, cause: messageOf(second) });
  }
}

function announce(
  version: string,
  trainingLog: TrainingLog,
  start: StartingPoint,
  resumed: ResumePoint | undefined,
): void {
  const { engine, backendReason } = start.policy;
  const from = resumed === undefined
    ? start.parentVersion ?? "fresh weights"
    : `pass ${resumed.cursor.epoch + 1}, episode ${resumed.cursor.position + 1}, of an interrupted session`;
  log.info("training {version} from {from} on {backend} ({device}): {reason}", {
    version,
    from,
    backend: engine.backend,
    device: engine.device,
    reason: backendReason,
  });
  log.info("{training} episodes to train on, {holdout} held out; objective {objective}: {reason}", {
    training: trainingLog.split.training.length,
    holdout: trainingLog.split.holdout.length,
    objective: trainingLog.objective.objective,
    reason: trainingLog.objective.reason,
  });
}

function report(parts: {
  request: TrainRequest;
  trainingLog: TrainingLog;
  start: StartingPoint;
  version: string;
  sessionId: string;
  checkpoint: PublishedVersion;
  activated: boolean;
  reason: string;
  evaluation: TrainReport["evaluation"];
  warnings: readonly TrainingWarning[];
  fallbacks: readonly FallbackReport[];
  trained: Trained;
  startedAt: number;
}): TrainReport {
  const { trainingLog, start, trained } = parts;
  const { backend, device } = start.policy.engine;
  return {
    status: "completed",
    policy_type: GATING,
    version: parts.version,
    parent_version: start.parentVersion,
    activated: parts.activated,
    activation_reason: parts.reason,
    session_id: parts.sessionId,
    backend,
    device,
    fallbacks: parts.fallbacks,
    checkpoint: parts.checkpoint,
    episodes: {
      available: trainingLog.available,
      trained: trainingLog.split.training.length,
      holdout: trainingLog.split.holdout.length,
      skipped: trainingLog.episodes.skipped,
      outside_window: trainingLog.outside,
    },
    updates: trained.updates,
    metrics: { ...trained.metrics, warnings: parts.warnings },
    evaluation: parts.evaluation,
    throughput: {
      load_rows_per_s: trainingLog.rowsPerSecond,
      train_episodes_per_s: trained.episodesPerSecond,
      wall_s: (performance.now() - parts.startedAt) / 1000,
    },
  };
}
