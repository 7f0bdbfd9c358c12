/**
 * Storing what one request brought, and telling of each record what became of it.
 *
 * @module
 */
import type { EntryOutcome, StoreEntry } from "../store/persistence.ts";
import { checkSame } from "./conflicts.ts";
import { HttpError } from "./errors.ts";
import type { Service } from "./service.ts";

/** A record on its way into the database: one or two entries, and which of their keys the client chose. */
export interface NewRecord {
  /** What is stored. */
  readonly entries: readonly StoreEntry[];
  /** The entries whose keys the client chose. */
  readonly named: ReadonlySet<StoreEntry>;
}

/** What became of an entry that was not refused. */
export type Written = "stored" | "duplicate";

/**
 * Stores records in one transaction and tells what became of their entries, record by record; of a record that was
 * refused, the error.
 *
 * @throws what the queue throws: nothing of the request is then known to be stored
 */
export async function storeRecords(
  service: Service,
  records: readonly NewRecord[],
): Promise<(readonly Written[] | HttpError)[]> {
  // Feedback must not be stored on the trace that stands in the way of its own.
  const early = await Promise.all(records.map((record) => conflictOf(service, record)));
  const open = records.filter((_, i) => early[i] === undefined);
  const outcomes = open.length === 0 ? [] : await service.queue.submit(open.flatMap(({ entries }) => entries));
  let next = 0;
  const results: (readonly Written[] | HttpError)[] = [];
  for (const [i, { entries, named }] of records.entries()) {
    const conflict = early[i];
    if (conflict !== undefined) {
      for (const { kind } of entries) service.metrics.records.add({ kind, outcome: "rejected" });
      results.push(conflict);
      continue;
    }
    results.push(await resultOf(service, entries, named, outcomes.slice(next, next += entries.length)));
  }
  return results;
}

/** Looks before anything is written, which is needed only where a trace with a key of its own brings feedback. */
async function conflictOf({ store }: Service, { entries, named }: NewRecord): Promise<HttpError | undefined> {
  const trace = entries.find((entry) => entry.kind === "trace" && named.has(entry));
  return trace === undefined || entries.length === 1 ? undefined : await conflict(store, trace);
}

/** The 409 of an entry, or undefined. */
async function conflict(store: Service["store"], entry: StoreEntry): Promise<HttpError | undefined> {
  try {
    await checkSame(store, entry);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof HttpError) return thrown;
    throw thrown;
  }
}

async function resultOf(
  { store, metrics }: Service,
  entries: readonly StoreEntry[],
  named: ReadonlySet<StoreEntry>,
  outcomes: readonly EntryOutcome[],
): Promise<readonly Written[] | HttpError> {
  const written: Written[] = [];
  let failure: HttpError | undefined;
  for (const [i, entry] of entries.entries()) {
    const outcome = outcomes[i]!;
    let error = errorOf(outcome);
    if (outcome.status === "duplicate" && named.has(entry)) {
      error = await conflict(store, entry);
    }
    metrics.records.add({ kind: entry.kind, outcome: error === undefined ? outcome.status : "rejected" });
    failure ??= error;
    if (outcome.status === "stored" || outcome.status === "duplicate") written.push(outcome.status);
  }
  return failure ?? written;
}

function errorOf(outcome: EntryOutcome): HttpError | undefined {
  if (outcome.status === "unknown_trace") {
    return new HttpError(404, "unknown_trace", "no trace with this trace_id is stored; store the trace first", {
      field: "trace_id",
    });
  }
  if (outcome.status === "refused") return new HttpError(422, "invalid", outcome.message, { field: "feedback" });
  return undefined;
}
