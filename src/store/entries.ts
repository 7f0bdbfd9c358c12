/**
 * Storing traces and feedback of many callers in one transaction. One entry that cannot be stored takes no other with
 * it; and on both databases a commit costs far more than a row, so that callers who share one are served much faster.
 *
 * @module
 */
import type { Insertable, Kysely } from "kysely";
import { RlcfError } from "../base/errors.ts";
import type { Changed } from "./attempts.ts";
import type { Database } from "./database.ts";
import type { EntryOutcome, StoreEntry } from "./entry_records.ts";
import { insertFeedback, markTraces } from "./feedback.ts";
import { feedbackRow } from "./feedback_rows.ts";
import type { FeedbackTable, Tables, TraceTable } from "./tables.ts";
import { traceRow } from "./trace_rows.ts";
import { insertTraces, ROWS_PER_INSERT } from "./traces.ts";
import { uuidOrUndefined } from "./values.ts";

/**
 * Stores entries; see RLCFPersistence.saveEntries.
 *
 * @param stored what earlier attempts at the same entries have stored
 */
export async function saveEntries(
  { db }: Database,
  entries: readonly StoreEntry[],
  stored: Changed,
): Promise<EntryOutcome[]> {
  const traces = traceRowsOf(entries);
  if (entries.length === 0) return [];
  return await db.transaction().execute(async (transaction) => {
    const newTraces = await insertTraces(transaction, [...new Map([...traces.values()].map((row) => [row.id, row]))
      .values()]);
    const outcomes: EntryOutcome[] = entries.map(() => ({ status: "duplicate" }));
    const judged = await feedbackRowsOf(transaction, entries, outcomes);
    const newFeedback = await insertFeedback(transaction, [...new Map([...judged.values()].map((row) => [row.id, row]))
      .values()]);
    const marked = [...judged.values()].filter((row) => newFeedback.has(row.id)).map((row) => row.trace_id);
    await markInPieces(transaction, [...new Set(marked)]);
    const [ownTraces, ownFeedback] = [stored.add("trace", newTraces), stored.add("feedback", newFeedback)];
    for (const i of firstsOf(traces, ownTraces)) outcomes[i] = { status: "stored" };
    for (const i of firstsOf(judged, ownFeedback)) outcomes[i] = { status: "stored" };
    return outcomes;
  });
}

/** The first entry's place of each id that was inserted; the others with that id are duplicates. */
function firstsOf(rows: ReadonlyMap<number, { readonly id: string }>, inserted: ReadonlySet<string>): Iterable<number> {
  const firsts = new Map<string, number>();
  for (const [i, { id }] of rows) {
    if (inserted.has(id) && !firsts.has(id)) firsts.set(id, i);
  }
  return firsts.values();
}

function traceRowsOf(entries: readonly StoreEntry[]): Map<number, Insertable<TraceTable>> {
  const rows = new Map<number, Insertable<TraceTable>>();
  const known = new Map<string, Insertable<TraceTable>>();
  for (const [i, entry] of entries.entries()) {
    if (entry.kind !== "trace") continue;
    const row = traceRow(entry.trace, entry.context);
    // Of two with one id the first is stored, as if they had come in two transactions.
    const first = known.get(row.id) ?? row;
    known.set(row.id, first);
    rows.set(i, first);
  }
  return rows;
}

/** The rows of the feedback that fits its trace, by the entry's place; the outcomes of the others are set. */
async function feedbackRowsOf(
  db: Kysely<Tables>,
  entries: readonly StoreEntry[],
  outcomes: EntryOutcome[],
): Promise<Map<number, Insertable<FeedbackTable>>> {
  const queries = await queriesOf(db, entries);
  const rows = new Map<number, Insertable<FeedbackTable>>();
  const known = new Map<string, Insertable<FeedbackTable>>();
  for (const [i, entry] of entries.entries()) {
    if (entry.kind !== "feedback") continue;
    const traceId = uuidOrUndefined(entry.traceId);
    const queryId = traceId === undefined ? undefined : queries.get(traceId);
    if (traceId === undefined || queryId === undefined) {
      outcomes[i] = { status: "unknown_trace" };
      continue;
    }
    try {
      const row = feedbackRow(traceId, queryId, entry.feedbackOn(queryId), entry.context);
      const first = known.get(row.id) ?? row;
      known.set(row.id, first);
      rows.set(i, first);
    } catch (error) {
      if (!(error instanceof RlcfError)) throw error;
      outcomes[i] = { status: "refused", message: error.message };
    }
  }
  return rows;
}

/** The queries of the traces that are judged, by the traces' ids. */
async function queriesOf(db: Kysely<Tables>, entries: readonly StoreEntry[]): Promise<Map<string, string>> {
  const ids = new Set<string>();
  for (const entry of entries) {
    const id = entry.kind === "feedback" ? uuidOrUndefined(entry.traceId) : undefined;
    if (id !== undefined) ids.add(id);
  }
  const queries = new Map<string, string>();
  for (const piece of piecesOf([...ids])) {
    const found = await db.selectFrom("rlcf_traces").select(["id", "query_id"]).where("id", "in", piece).execute();
    for (const { id, query_id } of found) queries.set(id, query_id);
  }
  return queries;
}

async function markInPieces(db: Kysely<Tables>, ids: readonly string[]): Promise<void> {
  for (const piece of piecesOf(ids)) await markTraces(db, piece);
}

function piecesOf(ids: readonly string[]): string[][] {
  return Array.from(
    { length: Math.ceil(ids.length / ROWS_PER_INSERT) },
    (_, i) => ids.slice(i * ROWS_PER_INSERT, (i + 1) * ROWS_PER_INSERT),
  );
}
