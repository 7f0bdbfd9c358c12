/**
 * Storing records of another program, many in one transaction; the same records twice add nothing.
 *
 * @module
 */
import type { Insertable, Kysely } from "kysely";
import type { Changed } from "./attempts.ts";
import type { Database } from "./database.ts";
import { insertFeedback, markTraces } from "./feedback.ts";
import { feedbackRow } from "./feedback_rows.ts";
import type { ImportBatch, ImportCounts, ImportedFeedback, StoredKind } from "./import_records.ts";
import type { PolicyCheckpoint, TrainingSession } from "./records.ts";
import type { CheckpointTable, FeedbackTable, SessionTable, Tables } from "./tables.ts";
import { traceRow } from "./trace_rows.ts";
import { insertTraces, ROWS_PER_INSERT } from "./traces.ts";
import { countOf, jsonText, nameOf, newId, optionalName, optionalText, optionalTime } from "./values.ts";

const TABLE_OF = {
  trace: "rlcf_traces",
  feedback: "rlcf_feedback",
  session: "training_sessions",
  checkpoint: "policy_checkpoints",
} as const satisfies Readonly<Record<StoredKind, keyof Tables>>;

/**
 * Stores a batch; see RLCFPersistence.importBatch.
 *
 * @param stored what earlier attempts at the same batch have stored
 */
export async function importBatch({ db }: Database, batch: ImportBatch, stored: Changed): Promise<ImportCounts> {
  const { traces = [], feedback = [], sessions = [], checkpoints = [] } = batch;
  const judged = new Set(feedback.map(({ traceId }) => traceId));
  const traceRows = traces.map(({ trace, context }) => {
    const row = traceRow(trace, context);
    return judged.has(row.id) ? { ...row, has_feedback: 1 as const } : row;
  });
  const feedbackRows = feedback.map(feedbackRowOf);
  return await db.transaction().execute(async (transaction) => {
    const newTraces = await insertTraces(transaction, traceRows);
    const newFeedback = await insertFeedback(transaction, feedbackRows);
    // Traces that were stored without their feedback; new ones came with the mark.
    const older = [...judged].filter((id) => !newTraces.has(id));
    for (let i = 0; i < older.length; i += ROWS_PER_INSERT) {
      await markTraces(transaction, older.slice(i, i + ROWS_PER_INSERT));
    }
    const newSessions = await insertSessions(transaction, sessions.map(sessionRowOf));
    const newCheckpoints = await insertCheckpoints(transaction, checkpoints.map(checkpointRowOf));
    return {
      traces: stored.add("trace", newTraces).size,
      feedback: stored.add("feedback", newFeedback).size,
      sessions: stored.add("session", newSessions).size,
      checkpoints: stored.add("checkpoint", newCheckpoints).size,
    };
  });
}

/** Which of the ids are stored; see RLCFPersistence.knownIds. */
export async function knownIds({ db }: Database, kind: StoredKind, ids: readonly string[]): Promise<Set<string>> {
  const known = new Set<string>();
  for (let i = 0; i < ids.length; i += ROWS_PER_INSERT) {
    const rows = await db.selectFrom(TABLE_OF[kind]).select("id").where("id", "in", ids.slice(i, i + ROWS_PER_INSERT))
      .execute();
    for (const { id } of rows) known.add(id);
  }
  return known;
}

/**
 * Gives files to a checkpoint that has none; see RLCFPersistence.setPolicyFiles.
 *
 * @param again whether an earlier attempt may have given it these files unheard
 */
export async function setPolicyFiles(
  { db }: Database,
  version: string,
  policyType: string,
  files: { readonly stateDictPath: string; readonly manifestSha256: string },
  again = false,
): Promise<boolean> {
  const own = {
    state_dict_path: optionalName(files.stateDictPath, "state_dict_path", 500),
    manifest_sha256: files.manifestSha256,
  };
  const { numUpdatedRows } = await db.updateTable("policy_checkpoints").set(own)
    .where("policy_type", "=", policyType).where("version", "=", version)
    .where((eb) => eb.or([eb("state_dict_path", "is", null), ...again ? [eb.and(own)] : []]))
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

function feedbackRowOf(given: ImportedFeedback): Insertable<FeedbackTable> {
  const { traceId, feedback, context, score } = given;
  const row = feedbackRow(traceId, feedback.queryId, feedback, context, score);
  return { ...row, created_at: optionalTime(given.createdAt, "feedback.created_at")! };
}

function sessionRowOf(session: TrainingSession): Insertable<SessionTable> {
  return {
    id: newId(session.id, "session.id"),
    policy_type: nameOf(session.policyType, "session.policy_type", 50),
    status: session.status,
    policy_version_from: optionalName(session.policyVersionFrom, "session.policy_version_from", 50),
    policy_version_to: optionalName(session.policyVersionTo, "session.policy_version_to", 50),
    num_traces: countOf(session.numTraces, "session.num_traces"),
    num_feedback: countOf(session.numFeedback, "session.num_feedback"),
    metrics: jsonText(session.metrics, "session.metrics"),
    config: jsonText(session.config, "session.config"),
    host: session.host,
    process_id: session.processId,
    error_message: optionalText(session.errorMessage, "session.error_message"),
    started_at: optionalTime(session.startedAt, "session.started_at")!,
    ended_at: optionalTime(session.endedAt, "session.ended_at") ?? null,
  };
}

function checkpointRowOf(checkpoint: PolicyCheckpoint): Insertable<CheckpointTable> {
  return {
    id: newId(checkpoint.id, "checkpoint.id"),
    version: nameOf(checkpoint.version, "checkpoint.version", 50),
    policy_type: nameOf(checkpoint.policyType, "checkpoint.policy_type", 50),
    parent_version: optionalName(checkpoint.parentVersion, "checkpoint.parent_version", 50),
    state_dict_path: optionalName(checkpoint.stateDictPath, "checkpoint.state_dict_path", 500),
    manifest_sha256: checkpoint.manifestSha256,
    config: jsonText(checkpoint.config, "checkpoint.config"),
    training_metrics: jsonText(checkpoint.trainingMetrics, "checkpoint.training_metrics"),
    bench: null,
    training_session_id: checkpoint.trainingSessionId,
    training_episodes: countOf(checkpoint.trainingEpisodes, "checkpoint.training_episodes"),
    tag: optionalName(checkpoint.tag, "checkpoint.tag"),
    is_active: 0,
    created_at: optionalTime(checkpoint.createdAt, "checkpoint.created_at")!,
    activated_at: optionalTime(checkpoint.activatedAt, "checkpoint.activated_at") ?? null,
  };
}

/** Inserts the rows whose ids are new and returns these ids. */
async function insertSessions(db: Kysely<Tables>, rows: readonly Insertable<SessionTable>[]): Promise<string[]> {
  if (rows.length === 0) return [];
  const added = await db.insertInto("training_sessions").values(rows)
    .onConflict((conflict) => conflict.column("id").doNothing()).returning("id").execute();
  return added.map(({ id }) => id);
}

async function insertCheckpoints(db: Kysely<Tables>, rows: readonly Insertable<CheckpointTable>[]): Promise<string[]> {
  if (rows.length === 0) return [];
  const added = await db.insertInto("policy_checkpoints").values(rows)
    .onConflict((conflict) => conflict.doNothing()).returning("id").execute();
  return added.map(({ id }) => id);
}
