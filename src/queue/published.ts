/**
 * Once in effect: the result of a job is the version that one of its sessions has published. A worker can die, or lose its
 * connection, after that and before the queue hears of it; whoever takes the job next then finishes what is left, and
 * trains nothing.
 *
 * @module
 */
import { expectObject } from "../base/check.ts";
import { isPeriodic } from "../checkpoint/version.ts";
import type { Config } from "../config/schema.ts";
import { decide, type GateReport } from "../evaluate/gate.ts";
import { closeAsCompleted, openSessions } from "../session/past_sessions.ts";
import type { LeaseHolder, PolicyCheckpoint, RLCFPersistence, TrainingSession } from "../store/persistence.ts";

/** What a job has made. */
export interface JobResult {
  /** The version. */
  readonly version: string;
  /** Whether it is, or was, active. */
  readonly activated: boolean;
  /** The session that published it. */
  readonly sessionId: string;
}

/** What a job's sessions left behind. */
export interface LeftBehind {
  /** The published version, which is the job's result; undefined if none of its sessions came so far. */
  readonly result: JobResult | undefined;
  /** Whether `resume` would take up a session of this job, and not somebody else's. */
  readonly canResume: boolean;
}

/** What is needed to look. */
export interface JobTrail {
  /** Where sessions and versions are. */
  readonly store: RLCFPersistence;
  /** The configuration of the job, for its rule of activation. */
  readonly config: Config;
  /** A UUID. */
  readonly jobId: string;
  /** The lease that this process holds: nobody else trains meanwhile. */
  readonly holder: LeaseHolder;
}

/**
 * Looks for the job's result and, where its session died between publishing and its end, finishes that session: what its
 * gate had decided is done, and its row is closed.
 *
 * @throws RlcfError `lease_held` if the lease was lost meanwhile
 */
export async function whatIsLeft(trail: JobTrail): Promise<LeftBehind> {
  const { store, jobId, holder: { policyType } } = trail;
  const sessions = (await store.listJobSessions(jobId)).filter((session) => session.policyType === policyType);
  if (sessions.length === 0) return { result: undefined, canResume: false };
  const mine = new Map(sessions.map((session) => [session.id, session]));
  const checkpoints = await store.listPolicyCheckpoints(policyType);
  const isMine = (row: PolicyCheckpoint): boolean => row.trainingSessionId !== null && mine.has(row.trainingSessionId);
  const final = checkpoints.find((row) => isMine(row) && !isPeriodic(row.version));
  if (final !== undefined) {
    return { result: await finish(trail, final, mine.get(final.trainingSessionId!)!), canResume: false };
  }
  // A version that was removed since is not trained again: its session says that the job was done.
  const done = sessions.find(({ status, policyVersionTo }) => status === "completed" && policyVersionTo !== null);
  if (done !== undefined) {
    const result = { version: done.policyVersionTo!, activated: false, sessionId: done.id };
    return { result, canResume: false };
  }
  return { result: undefined, canResume: await isNext(store, policyType, checkpoints, isMine) };
}

/** Whether the newest saved state since the last completed session is the job's own. */
async function isNext(
  store: RLCFPersistence,
  policyType: string,
  checkpoints: readonly PolicyCheckpoint[],
  isMine: (row: PolicyCheckpoint) => boolean,
): Promise<boolean> {
  const { open } = await openSessions(store, policyType);
  const saved = open.map(({ id }) =>
    checkpoints.find(({ version, trainingSessionId }) => trainingSessionId === id && isPeriodic(version))
  ).find((row) => row !== undefined);
  return saved !== undefined && isMine(saved);
}

async function finish(
  { store, config, holder }: JobTrail,
  checkpoint: PolicyCheckpoint,
  session: TrainingSession,
): Promise<JobResult> {
  const { version, policyType, trainingMetrics } = checkpoint;
  const wasActivated = (await store.listActivations(policyType)).some(({ toVersion }) => toVersion === version);
  const result = { version, sessionId: session.id };
  if (session.status === "completed" || wasActivated) {
    await close(store, session, checkpoint);
    return { ...result, activated: wasActivated };
  }
  const evaluation = expectObject(trainingMetrics.evaluation, "training_metrics.evaluation");
  const gate = expectObject(evaluation.gate, "training_metrics.evaluation.gate") as unknown as GateReport;
  const verdict = decide(config.checkpoint.activate, gate);
  const active = await store.getActivePolicy(policyType);
  // The gate compared it with what was active then; against any other version it has said nothing.
  const isSameRival = (active?.version ?? null) === (evaluation.active_version ?? null);
  const activated = verdict.activate && isSameRival &&
    await store.activatePolicy(version, policyType, { reason: verdict.reason, fence: holder });
  await close(store, session, checkpoint);
  return { ...result, activated };
}

/** Closes the session's row, unless somebody who trained meanwhile has marked it as failed. */
async function close(store: RLCFPersistence, session: TrainingSession, checkpoint: PolicyCheckpoint): Promise<void> {
  if (session.status === "running") await closeAsCompleted(store, session.id, checkpoint);
}
