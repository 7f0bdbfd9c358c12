/**
 * Storing and reading traces.
 *
 * @module
 */
import type { Insertable, Kysely } from "kysely";
import { unwanted } from "../base/check.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import type { Database } from "./database.ts";
import type { TraceContext } from "./records.ts";
import type { Tables, TraceTable } from "./tables.ts";
import { TRACE_COLUMNS, traceFromRow, traceRow } from "./trace_rows.ts";
import { limitOf, uuidOrUndefined } from "./values.ts";

/** Most queries whose texts are read at once. */
const MAX_QUERY_TEXTS = 1000;

/** Rows of one insert statement: 1,600 parameters, of which SQLite takes 32,766. */
export const ROWS_PER_INSERT = 100;

/** Stores one trace; see RLCFPersistence.saveTrace. */
export async function saveTrace({ db }: Database, trace: ExecutionTrace, context?: TraceContext): Promise<string> {
  const row = traceRow(trace, context);
  await insertTraces(db, [row]);
  return row.id;
}

/** Stores many traces in one transaction; see RLCFPersistence.saveTraces. */
export async function saveTraces(
  { db }: Database,
  traces: readonly (readonly [ExecutionTrace, TraceContext?])[],
): Promise<string[]> {
  const rows = traces.map(([trace, context]) => traceRow(trace, context));
  if (rows.length > 0) await db.transaction().execute((transaction) => insertTraces(transaction, rows));
  return rows.map((row) => row.id);
}

/** Inserts the rows whose ids are new and returns these ids. */
export async function insertTraces(db: Kysely<Tables>, rows: readonly Insertable<TraceTable>[]): Promise<Set<string>> {
  const inserted = new Set<string>();
  for (let i = 0; i < rows.length; i += ROWS_PER_INSERT) {
    const added = await db.insertInto("rlcf_traces").values(rows.slice(i, i + ROWS_PER_INSERT))
      .onConflict((conflict) => conflict.column("id").doNothing()).returning("id").execute();
    for (const { id } of added) inserted.add(id);
  }
  return inserted;
}

/** Reads one trace; see RLCFPersistence.getTrace. */
export async function getTrace({ db }: Database, id: string): Promise<ExecutionTrace | null> {
  const uuid = uuidOrUndefined(id);
  if (uuid === undefined) return null;
  const row = await db.selectFrom("rlcf_traces").select(TRACE_COLUMNS).where("id", "=", uuid).executeTakeFirst();
  return row === undefined ? null : traceFromRow(row);
}

/** Reads the traces that wait for feedback; see RLCFPersistence.getTracesWithoutFeedback. */
export async function getTracesWithoutFeedback({ db }: Database, limit = 100): Promise<[string, ExecutionTrace][]> {
  const rows = await db.selectFrom("rlcf_traces").select(["id", ...TRACE_COLUMNS]).where("has_feedback", "=", 0)
    .orderBy("created_at", "desc").orderBy("id", "desc").limit(limitOf(limit, "limit")).execute();
  return rows.map((row) => [row.id, traceFromRow(row)]);
}

/** Reads the texts of queries; see RLCFPersistence.getQueryTexts. */
export async function getQueryTexts({ db }: Database, queryIds: readonly string[]): Promise<Map<string, string>> {
  if (queryIds.length > MAX_QUERY_TEXTS) unwanted(queryIds, "query ids", `at most ${MAX_QUERY_TEXTS}`);
  if (queryIds.length === 0) return new Map();
  // One row for each query, however often it was asked.
  const rows = await db.selectFrom("rlcf_traces").select(({ fn }) => ["query_id", fn.max("query_text").as("text")])
    .where("query_id", "in", [...queryIds]).where("query_text", "is not", null).groupBy("query_id").execute();
  return new Map(rows.map(({ query_id, text }) => [query_id, text!]));
}
