/**
 * Storing traces together with their feedback, many in one transaction; the same records twice add nothing.
 *
 * @module
 */
import type { Insertable, Kysely } from "kysely";
import { RlcfError } from "../base/errors.ts";
import type { Changed } from "./attempts.ts";
import type { Database } from "./database.ts";
import { insertFeedback, markTraces } from "./feedback.ts";
import { feedbackRow } from "./feedback_rows.ts";
import type { IngestCounts, IngestRecord } from "./records.ts";
import type { FeedbackTable, Tables, TraceTable } from "./tables.ts";
import { traceRow } from "./trace_rows.ts";
import { insertTraces, ROWS_PER_INSERT } from "./traces.ts";

/** The rows of a batch, each id once. */
export interface Batch {
  /** By their ids. */
  readonly traces: ReadonlyMap<string, Insertable<TraceTable>>;
  /** By their ids. */
  readonly feedback: ReadonlyMap<string, Insertable<FeedbackTable>>;
  /** Rows before the ids were made unique. */
  readonly rows: number;
}

/**
 * Stores a batch; see RLCFPersistence.ingest.
 *
 * @param stored what earlier attempts at the same batch have stored
 */
export async function ingest({ db }: Database, batch: Batch, stored: Changed): Promise<IngestCounts> {
  if (batch.rows === 0) return { traces: 0, feedback: 0, duplicates: 0 };
  return await db.transaction().execute(async (transaction) => {
    const traces = await insertTraces(transaction, [...batch.traces.values()]);
    await checkOlderTraces(transaction, batch, traces);
    const feedback = await insertFeedback(transaction, [...batch.feedback.values()]);
    await settleMarks(transaction, batch, traces, feedback);
    const [newTraces, newFeedback] = [stored.add("trace", traces).size, stored.add("feedback", feedback).size];
    return { traces: newTraces, feedback: newFeedback, duplicates: batch.rows - newTraces - newFeedback };
  });
}

/**
 * The rows of records, made once for all attempts: ids that were not given are chosen here.
 *
 * @throws RlcfError("usage") that names the record
 */
export function batchOf(records: readonly IngestRecord[]): Batch {
  const traces = new Map<string, Insertable<TraceTable>>();
  const feedback = new Map<string, Insertable<FeedbackTable>>();
  let rows = 0;
  for (const [i, record] of records.entries()) {
    try {
      const row = traceRow(record.trace, record.traceContext);
      const first = traces.get(row.id) ?? row;
      traces.set(row.id, first);
      rows++;
      if (record.feedback === undefined) continue;
      const judged = feedbackRow(row.id, first.query_id, record.feedback, record.feedbackContext);
      // The usual case, new traces with new feedback, then needs no second write of the wide rows.
      first.has_feedback = 1;
      feedback.set(judged.id, feedback.get(judged.id) ?? judged);
      rows++;
    } catch (error) {
      if (!(error instanceof RlcfError)) throw error;
      throw new RlcfError(error.code, `records[${i}]: ${error.message}`, { cause: error });
    }
  }
  return { traces, feedback, rows };
}

/** Feedback in the batch on a trace that was stored before must be on that trace's query. */
async function checkOlderTraces(db: Kysely<Tables>, batch: Batch, inserted: ReadonlySet<string>): Promise<void> {
  const older = [...new Set([...batch.feedback.values()].map((row) => row.trace_id))].filter((id) => !inserted.has(id));
  for (let i = 0; i < older.length; i += ROWS_PER_INSERT) {
    const stored = await db.selectFrom("rlcf_traces").select(["id", "query_id"])
      .where("id", "in", older.slice(i, i + ROWS_PER_INSERT)).execute();
    for (const { id, query_id } of stored) {
      const given = batch.traces.get(id)!.query_id;
      if (given !== query_id) {
        throw new RlcfError(
          "usage",
          `cannot store feedback on trace ${id}: found query ${JSON.stringify(given)}, ` +
            `wanted the stored trace's own, ${JSON.stringify(query_id)}`,
        );
      }
    }
  }
}

/** Makes `has_feedback` true exactly where a feedback row stands. */
async function settleMarks(
  db: Kysely<Tables>,
  batch: Batch,
  traces: ReadonlySet<string>,
  feedback: ReadonlySet<string>,
): Promise<void> {
  const judged = new Set([...batch.feedback.values()].filter((row) => feedback.has(row.id)).map((row) => row.trace_id));
  const unmarked = [...judged].filter((id) => !traces.has(id));
  for (let i = 0; i < unmarked.length; i += ROWS_PER_INSERT) {
    await markTraces(db, unmarked.slice(i, i + ROWS_PER_INSERT));
  }
  // A new trace whose feedback's id was taken by feedback on another trace.
  const marked = [...batch.traces.values()].filter((row) => row.has_feedback === 1 && traces.has(row.id));
  const bare = marked.map((row) => row.id).filter((id) => !judged.has(id));
  for (const id of bare) await db.updateTable("rlcf_traces").set({ has_feedback: 0 }).where("id", "=", id).execute();
}
