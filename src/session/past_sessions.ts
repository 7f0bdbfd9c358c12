/**
 * Sessions of the past, for the one that comes next: which of them may be taken up, and which of them died unnoticed.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { expectObject } from "../base/check.ts";
import { isPeriodic } from "../checkpoint/version.ts";
import type { PolicyCheckpoint, RLCFPersistence, TrainingSession } from "../store/persistence.ts";

const log = getLogger(["rlcf", "session"]);

/** Sessions looked at for one that left a saved state. */
const SESSIONS_LOOKED_AT = 50;

/** What {@link openSessions} found. */
export interface OpenSessions {
  /** Those since the last one that completed, newest first. */
  readonly open: readonly TrainingSession[];
  /** Whether there was none at all before. */
  readonly isFirst: boolean;
}

/**
 * The sessions of a type since the last one that completed, at most 50. Those of another program, which were imported, do
 * not count: whatever became of them, they say nothing about the runs of this one.
 */
export async function openSessions(store: RLCFPersistence, policyType: string): Promise<OpenSessions> {
  for (let limit = SESSIONS_LOOKED_AT;; limit *= 4) {
    const read = await store.listTrainingSessions(policyType, limit);
    // Only what ran here has a host.
    const own = read.filter(({ host }) => host !== null).slice(0, SESSIONS_LOOKED_AT);
    const completed = own.findIndex(({ status }) => status === "completed");
    if (completed !== -1 || own.length === SESSIONS_LOOKED_AT || read.length < limit) {
      return { open: completed === -1 ? own : own.slice(0, completed), isFirst: own.length === 0 };
    }
  }
}

/** Closes a running session as completed, by what the row of the version that it published remembers of it. */
export async function closeAsCompleted(
  store: RLCFPersistence,
  sessionId: string,
  { version, trainingMetrics }: Pick<PolicyCheckpoint, "version" | "trainingMetrics">,
): Promise<void> {
  const { traces, feedback } = expectObject(trainingMetrics.read ?? {}, "training_metrics.read");
  await store.completeTrainingSession(sessionId, {
    policyVersionTo: version,
    numTraces: typeof traces === "number" ? traces : 0,
    numFeedback: typeof feedback === "number" ? feedback : 0,
    metrics: trainingMetrics,
  });
}

/**
 * Closes the sessions that are still marked as running. Only the holder of the lease may ask: then whoever left one so has
 * died, or was stopped for so long that its lease ended.
 *
 * A session whose version was activated had done all it had to do and counts as completed; any other has failed.
 *
 * @returns the ids of those that failed
 */
export async function closeAbandoned(store: RLCFPersistence, policyType: string): Promise<string[]> {
  const running = (await store.listTrainingSessions(policyType)).filter(({ status }) => status === "running");
  if (running.length === 0) return [];
  const activated = (await store.listPolicyCheckpoints(policyType))
    .filter(({ version, activatedAt }) => activatedAt !== null && !isPeriodic(version));
  const failed: string[] = [];
  for (const { id, startedAt } of running) {
    const made = activated.find(({ trainingSessionId }) => trainingSessionId === id);
    if (made !== undefined) {
      await closeAsCompleted(store, id, made);
      log.warn("session {id} of {startedAt} had activated {version} when its process ended; marked as completed", {
        id,
        startedAt,
        version: made.version,
      });
      continue;
    }
    await store.failTrainingSession(
      id,
      "the process lost its lease without closing the session: it ended, or was stopped",
    );
    log.warn("session {id} of {startedAt} was left running by a process that lost its lease; marked as failed", {
      id,
      startedAt,
    });
    failed.push(id);
  }
  return failed;
}
