/**
 * The rows of training sessions.
 *
 * @module
 */
import type { Selectable, Updateable } from "kysely";
import type { JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import type { Database } from "./database.ts";
import type { SessionOutcome, TrainingSession } from "./records.ts";
import { thisProcess } from "./process.ts";
import type { SessionTable } from "./tables.ts";
import { countOf, jsonText, limitOf, nameOf, optionalName, uuidOrUndefined } from "./values.ts";

/**
 * Opens a session; see RLCFPersistence.startTrainingSession.
 *
 * @param id of the new row; a second attempt with the same one adds nothing
 */
export async function startTrainingSession(
  { db }: Database,
  policyType: string,
  options: { policyVersionFrom?: string | null; config?: JsonObject; jobId?: string | undefined },
  id: string,
  startedAt: string,
): Promise<string> {
  const { host, processId } = thisProcess();
  await db.insertInto("training_sessions").values({
    id,
    policy_type: nameOf(policyType, "policy_type", 50),
    status: "running",
    policy_version_from: optionalName(options.policyVersionFrom, "policy_version_from", 50),
    policy_version_to: null,
    job_id: options.jobId ?? null,
    num_traces: 0,
    num_feedback: 0,
    metrics: "{}",
    config: jsonText(options.config ?? {}, "session.config"),
    host,
    process_id: processId,
    error_message: null,
    started_at: startedAt,
    ended_at: null,
  }).onConflict((conflict) => conflict.column("id").doNothing()).execute();
  return id;
}

/** Closes a session as completed; see RLCFPersistence.completeTrainingSession. */
export async function completeTrainingSession(
  database: Database,
  id: string,
  outcome: SessionOutcome,
  endedAt: string,
): Promise<void> {
  await closeSession(database, id, {
    status: "completed",
    policy_version_to: optionalName(outcome.policyVersionTo, "policy_version_to", 50),
    num_traces: countOf(outcome.numTraces, "num_traces"),
    num_feedback: countOf(outcome.numFeedback, "num_feedback"),
    metrics: jsonText(outcome.metrics, "session.metrics"),
    ended_at: endedAt,
  });
}

/** Closes a session as failed or interrupted; see RLCFPersistence.failTrainingSession. */
export async function failTrainingSession(
  database: Database,
  id: string,
  message: string,
  status: "failed" | "interrupted",
  endedAt: string,
): Promise<void> {
  // An error's text comes from anywhere; it must not keep the failure itself from being recorded.
  const text = message.replaceAll("\0", "").toWellFormed();
  await closeSession(database, id, { status, error_message: text, ended_at: endedAt });
}

/** Sessions, newest first; see RLCFPersistence.listTrainingSessions. */
export async function listTrainingSessions(
  { db }: Database,
  policyType?: string,
  limit = 20,
): Promise<TrainingSession[]> {
  const rows = await db.selectFrom("training_sessions").selectAll()
    .$if(policyType !== undefined, (query) => query.where("policy_type", "=", policyType!))
    .orderBy("started_at", "desc").orderBy("id", "desc").limit(limitOf(limit, "limit")).execute();
  return rows.map(sessionFrom);
}

/** The sessions of a job; see RLCFPersistence.listJobSessions. */
export async function listJobSessions({ db }: Database, jobId: string): Promise<TrainingSession[]> {
  const uuid = uuidOrUndefined(jobId);
  if (uuid === undefined) return [];
  const rows = await db.selectFrom("training_sessions").selectAll().where("job_id", "=", uuid)
    .orderBy("started_at", "desc").orderBy("id", "desc").execute();
  return rows.map(sessionFrom);
}

function sessionFrom(row: Selectable<SessionTable>): TrainingSession {
  return {
    id: row.id,
    policyType: row.policy_type,
    status: row.status,
    policyVersionFrom: row.policy_version_from,
    policyVersionTo: row.policy_version_to,
    numTraces: row.num_traces,
    numFeedback: row.num_feedback,
    metrics: JSON.parse(row.metrics) as JsonObject,
    config: JSON.parse(row.config) as JsonObject,
    host: row.host,
    processId: row.process_id,
    errorMessage: row.error_message,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}

async function closeSession({ db }: Database, id: string, change: Updateable<SessionTable>): Promise<void> {
  const uuid = uuidOrUndefined(id);
  const closed = uuid !== undefined &&
    (await db.updateTable("training_sessions").set(change).where("id", "=", uuid).where("status", "=", "running")
        .executeTakeFirstOrThrow()).numUpdatedRows > 0n;
  if (closed) return;
  const row = uuid === undefined
    ? undefined
    : await db.selectFrom("training_sessions").select(["status", "ended_at"]).where("id", "=", uuid)
      .executeTakeFirst();
  // By an attempt whose answer was lost.
  if (row !== undefined && row.status === change.status && row.ended_at === change.ended_at) return;
  const found = row === undefined ? "no such session" : `one that is ${row.status}`;
  throw new RlcfError(
    "usage",
    `cannot close training session ${JSON.stringify(id)} as ${change.status}: found ${found}, wanted a running one`,
  );
}
