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
import type { LeaseHolder, RLCFPersistence } from "../store/persistence.ts";
import type { FallbackReport } from "./fallbacks.ts";
import { countChallengers } from "./holdout_evaluation.ts";
import type { Apprenticeship, PolicyKind, Trained } from "./kinds/apprenticeship.ts";
import { withKind } from "./kinds/kinds.ts";
import { closeAbandoned } from "./past_sessions.ts";
import type { FitProgress, TrainProgress, TrainReport } from "./report.ts";
import { checkSameLog, findResumePoint } from "./resume.ts";
import { requireEnough, type SessionLog, windowOf } from "./training_log.ts";
import type { TrainingWarning } from "./warnings.ts";
import { nextVersion, type PublishedVersion, publishVersion, removeExpired, type SessionContext } from "./versions.ts";

const log = getLogger(["rlcf", "session"]);

/** The type of policy that routes queries to experts. */
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
  /** The job of the queue that asks for this session, a UUID, for the session's row. */
  readonly jobId?: string | undefined;
  /**
   * Called when the lease is held and nothing has been read yet: whether to take up an interrupted session, in place of
   * `resume`, by someone who may ask only now that nobody else trains. What it throws ends the session before it began.
   */
  readonly onLease?: ((holder: LeaseHolder) => Promise<{ readonly resume: boolean }>) | undefined;
  /** Aborted to stop after the current step, or between two sweeps of the reward model, with the state saved. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TrainProgress) => void) | undefined;
  readonly onFit?: ((progress: FitProgress) => void) | undefined;
  /** Engines to choose from, the best first; those of this build by default. */
  readonly engines?: readonly EngineEntry[] | undefined;
  /** What the checkpoint directory lies on; the real disk by default. */
  readonly disk?: Disk | undefined;
}

/**
 * Trains a new version of the configured type of policy, judges it and, if the rule allows, makes it active.
 *
 * @throws RlcfError `lease_held`, `not_enough_data` (nothing was written), `interrupted` (the state was saved), or what
 * the database, the checkpoint directory or the backend reports
 */
export function trainSession(request: TrainRequest): Promise<TrainReport> {
  return withKind(request.config.training.policyType, (kind) => runSession(request, kind));
}

async function runSession<Log extends SessionLog, Saved extends { readonly run: JsonObject }, Cursor>(
  request: TrainRequest,
  kind: PolicyKind<Log, Saved, Cursor>,
): Promise<TrainReport> {
  const { store, config, disk = DISK } = request;
  const { policyType } = kind;
  const startedAt = performance.now();
  const root = config.checkpoint.directory;
  await using lease = await store.acquireLease(policyType);

  const { resume } = await request.onLease?.(lease.holder) ?? request;
  const resumed = resume === true ? await findResumePoint(store, root, kind, request.configJson, disk) : undefined;
  const window = resumed?.window ?? windowOf(config, new Date(), request.policyVersion);
  const trainingLog = await kind.readLog(store, config, window);
  requireEnough(trainingLog, config, store.location, (reason) => kind.hintFor(reason));
  if (resumed !== undefined) checkSameLog(resumed, kind.digestOf(trainingLog));

  await sweepTemporaries(root, SWEEP_AFTER_MS, Date.now(), disk);
  await using pupil = await kind.begin({ store, config, log: trainingLog, resumed, engines: request.engines, disk });
  const { parentVersion } = pupil;
  const version = resumed?.version ?? await nextVersion(store, root, policyType, parentVersion, disk);
  // The active policy is judged before training moves the weights that it may share with the new one.
  await pupil.observeActive();

  const abandoned = await closeAbandoned(store, policyType);
  const sessionId = await store.startTrainingSession(policyType, {
    policyVersionFrom: parentVersion,
    config: request.configJson,
    jobId: request.jobId,
  });
  try {
    const context: SessionContext = {
      store,
      root,
      disk,
      policyType,
      fence: lease.holder,
      sessionId,
      parentVersion,
      config: request.configJson,
      predecessors: new Set([...resumed?.sessions ?? [], ...abandoned]),
    };
    announce(version, trainingLog, pupil);
    const { signal, onProgress, onFit } = request;
    const trained = await pupil.train({ context, version, signal, onProgress, onFit });
    const question = 1 + await countChallengers(store, policyType, pupil.activeVersion);
    const { evaluation, warnings: found } = await pupil.evaluate(question);
    const verdict = decide(config.checkpoint.activate, evaluation.gate);
    const warnings = [...resumed?.warnings ?? [], ...pupil.warnings, ...found];
    for (const { name, message } of found) log.warn("{name}: {message}", { name, message });

    await lease.assertHeld();
    const snapshot = await pupil.snapshot();
    const fallbacks = pupil.fallbacks();
    const read = { traces: trainingLog.split.training.length, feedback: trainingLog.episodes.feedbackRows };
    const metrics = {
      ...trained.metrics,
      read,
      backend_reason: pupil.backendReason,
      fallbacks,
      warnings,
      evaluation,
      activation_reason: verdict.reason,
    };
    const checkpoint = await publishVersion(context, {
      version,
      snapshot,
      metrics,
      episodes: trained.visited,
      run: {},
    });
    const activated = verdict.activate && await store.activatePolicy(version, policyType, {
      reason: verdict.reason,
      fence: lease.holder,
    });
    await removeExpired(context, config.checkpoint.keepLastN);
    await store.completeTrainingSession(sessionId, {
      policyVersionTo: version,
      numTraces: read.traces,
      numFeedback: read.feedback,
      metrics,
    });
    return report({
      policyType,
      trainingLog,
      pupil,
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

async function closeFailedSession(store: RLCFPersistence, sessionId: string, thrown: unknown): Promise<void> {
  const interrupted = thrown instanceof RlcfError && thrown.code === "interrupted";
  try {
    await store.failTrainingSession(sessionId, messageOf(thrown), { status: interrupted ? "interrupted" : "failed" });
  } catch (second) {
    // The first failure is the one that matters to the user.
    log.error("could not mark session {sessionId} as failed: {cause}", { sessionId, cause: messageOf(second) });
  }
}

function announce(version: string, trainingLog: SessionLog, pupil: Apprenticeship): void {
  const { engine, backendReason, takenUpAt, parentVersion } = pupil;
  const from = takenUpAt === null ? parentVersion ?? "fresh weights" : `${takenUpAt}, of an interrupted session`;
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
  policyType: string;
  trainingLog: SessionLog;
  pupil: Apprenticeship;
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
  const { trainingLog, pupil, trained } = parts;
  const { backend, device } = pupil.engine;
  return {
    status: "completed",
    policy_type: parts.policyType,
    version: parts.version,
    parent_version: pupil.parentVersion,
    activated: parts.activated,
    activation_reason: parts.reason,
    session_id: parts.sessionId,
    backend,
    device,
    backend_reason: pupil.backendReason,
    fallbacks: parts.fallbacks,
    checkpoint: parts.checkpoint,
    episodes: {
      available: trainingLog.available,
      trained: trainingLog.split.training.length,
      holdout: trainingLog.split.holdout.length,
      skipped: trainingLog.skipped,
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
