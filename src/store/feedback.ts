/**
 * Storing and reading feedback.
 *
 * @module
 */
import type { Insertable, Kysely } from "kysely";
import { RlcfError } from "../base/errors.ts";
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { Database } from "./database.ts";
import { feedbackFromText, feedbackRow } from "./feedback_rows.ts";
import type { FeedbackContext } from "./records.ts";
import type { FeedbackTable, Tables } from "./tables.ts";
import { ROWS_PER_INSERT } from "./traces.ts";
import { uuidOrUndefined } from "./values.ts";

/** Stores feedback on a trace and marks the trace; see RLCFPersistence.saveFeedback. */
export async function saveFeedback(
  { db }: Database,
  traceId: string,
  feedback: MultilevelFeedback,
  context?: FeedbackContext,
): Promise<string> {
  const uuid = uuidOrUndefined(traceId) ?? unknownTrace(traceId);
  return await db.transaction().execute(async (transaction) => {
    const trace = await transaction.selectFrom("rlcf_traces").select("query_id").where("id", "=", uuid)
      .executeTakeFirst() ?? unknownTrace(traceId);
    const row = feedbackRow(uuid, trace.query_id, feedback, context);
    const inserted = await insertFeedback(transaction, [row]);
    if (inserted.size > 0) await markTraces(transaction, [uuid]);
    return row.id;
  });
}

/** Inserts the rows whose ids are new and returns these ids. */
export async function insertFeedback(
  db: Kysely<Tables>,
  rows: readonly Insertable<FeedbackTable>[],
): Promise<Set<string>> {
  const inserted = new Set<string>();
  for (let i = 0; i < rows.length; i += ROWS_PER_INSERT) {
    const added = await db.insertInto("rlcf_feedback").values(rows.slice(i, i + ROWS_PER_INSERT))
      .onConflict((conflict) => conflict.column("id").doNothing()).returning("id").execute();
    for (const { id } of added) inserted.add(id);
  }
  return inserted;
}

/** Marks traces as having feedback. */
export async function markTraces(db: Kysely<Tables>, ids: readonly string[]): Promise<void> {
  await db.updateTable("rlcf_traces").set({ has_feedback: 1 }).where("id", "in", ids).where("has_feedback", "=", 0)
    .execute();
}

/** Reads the feedback on a trace; see RLCFPersistence.getFeedbackForTrace. */
export async function getFeedbackForTrace({ db }: Database, traceId: string): Promise<MultilevelFeedback[]> {
  const uuid = uuidOrUndefined(traceId);
  if (uuid === undefined) return [];
  const rows = await db.selectFrom("rlcf_feedback").select("feedback").where("trace_id", "=", uuid)
    .orderBy("created_at").orderBy("id").execute();
  return rows.map((row) => feedbackFromText(row.feedback));
}

function unknownTrace(traceId: string): never {
  throw new RlcfError("usage", `cannot store feedback: found no trace ${JSON.stringify(traceId)}`, {
    hint: "Store the trace first and use the id that saveTrace returns.",
  });
}
