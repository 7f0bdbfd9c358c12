/**
 * What training reads: feedback joined to its trace, newest first, in keyset pages. Each page is a query of its own,
 * since a transaction held open while the reader works would stop every other user of a SQLite connection.
 *
 * @module
 */
import type { SelectQueryBuilder } from "kysely";
import { expectTimestamp } from "../base/check.ts";
import type { Database } from "./database.ts";
import { feedbackFromText } from "./feedback_rows.ts";
import type { TrainingDataFilter, TrainingPair, TrainingRow, TrainingWindow } from "./records.ts";
import type { FeedbackTable, TraceTable } from "./tables.ts";
import { embeddingFromBytes, TRACE_COLUMNS, traceFromRow } from "./trace_rows.ts";
import { limitOf, optionalTime } from "./values.ts";

/** Rows of a page: 3 MB of embeddings of 768 floats. */
const ROWS_PER_PAGE = 1000;
/** Pairs returned where the filter does not say. */
const DEFAULT_LIMIT = 1000;

/** The place of the last row that was read. */
interface Cursor {
  readonly created_at: string;
  readonly id: string;
}

/** Reads pairs of trace and feedback; see RLCFPersistence.getTrainingData. */
export async function getTrainingData({ db }: Database, filter: TrainingDataFilter = {}): Promise<TrainingPair[]> {
  const since = optionalTime(filter.minDate, "minDate");
  const until = optionalTime(filter.maxDate, "maxDate");
  const rows = await joined(db, filter.policyVersion)
    .select(["f.trace_id", "f.feedback", "f.user_authority", ...TRACE_COLUMNS.map((name) => `t.${name}` as const)])
    .$if(since !== undefined, (query) => query.where("f.created_at", ">=", since!))
    .$if(until !== undefined, (query) => query.where("f.created_at", "<=", until!))
    .orderBy("f.created_at", "desc").orderBy("f.id", "desc")
    .limit(limitOf(filter.limit ?? DEFAULT_LIMIT, "limit"))
    .execute();
  return rows.map((row) => ({
    traceId: row.trace_id,
    trace: traceFromRow(row),
    feedback: feedbackFromText(row.feedback),
    userAuthority: row.user_authority,
  }));
}

/** Counts a window's rows; see RLCFPersistence.countTrainingRows. */
export async function countTrainingRows({ db }: Database, window: TrainingWindow): Promise<number> {
  const rows = within(joined(db, window.policyVersion), window).select("f.id")
    .limit(limitOf(window.maxFeedback, "maxFeedback"));
  const { n } = await db.selectFrom(rows.as("w")).select((eb) => eb.fn.countAll<number>().as("n"))
    .executeTakeFirstOrThrow();
  return n;
}

/** Reads one page after another; see RLCFPersistence.readTrainingRows. */
export async function* readTrainingRows(
  database: Database,
  window: TrainingWindow,
  withFeedback: boolean,
): AsyncGenerator<readonly TrainingRow[], void> {
  let cursor: Cursor | undefined;
  for (let left = limitOf(window.maxFeedback, "maxFeedback"); left > 0;) {
    const limit = Math.min(left, ROWS_PER_PAGE);
    const { rows, last } = await readPage(database, window, cursor, limit, withFeedback);
    if (rows.length > 0) yield rows;
    if (rows.length < limit) return;
    left -= rows.length;
    cursor = last;
  }
}

async function readPage(
  { db }: Database,
  window: TrainingWindow,
  cursor: Cursor | undefined,
  limit: number,
  withFeedback: boolean,
): Promise<{ rows: TrainingRow[]; last: Cursor | undefined }> {
  const rows = await within(joined(db, window.policyVersion), window)
    .select([
      "f.id",
      "f.created_at",
      "f.trace_id",
      "f.overall_score",
      "f.user_authority",
      "f.user_id",
      "t.query_id",
      "t.log_kind",
      "t.gating_weights",
      "t.gating_log_prob",
      "t.query_embedding",
    ])
    .$if(withFeedback, (query) => query.select("f.feedback"))
    .$if(
      cursor !== undefined,
      (query) =>
        query.where((eb) => eb(eb.refTuple("f.created_at", "f.id"), "<", eb.tuple(cursor!.created_at, cursor!.id))),
    )
    .orderBy("f.created_at", "desc").orderBy("f.id", "desc").limit(limit)
    .execute();
  return {
    rows: rows.map((row) => ({
      traceId: row.trace_id,
      queryId: row.query_id,
      logKind: row.log_kind,
      gatingWeights: JSON.parse(row.gating_weights),
      gatingLogProb: row.gating_log_prob,
      // Damaged bytes come out empty, which no policy takes for its own dimension.
      embedding: row.query_embedding === null ? null : embeddingFromBytes(row.query_embedding),
      score: row.overall_score,
      userAuthority: row.user_authority,
      userId: row.user_id,
      ...(row.feedback === undefined ? {} : { feedback: feedbackFromText(row.feedback) }),
    })),
    last: rows.at(-1),
  };
}

type Joined<O> = SelectQueryBuilder<{ f: FeedbackTable; t: TraceTable }, "f" | "t", O>;

function joined(db: Database["db"], policyVersion: string | undefined): Joined<object> {
  const query = db.selectFrom("rlcf_feedback as f").innerJoin("rlcf_traces as t", "t.id", "f.trace_id");
  return (policyVersion === undefined ? query : query.where("t.policy_version", "=", policyVersion)) as Joined<object>;
}

function within<O>(query: Joined<O>, window: TrainingWindow): Joined<O> {
  const since = optionalTime(window.since, "since");
  const bounded = query.where("f.created_at", "<=", expectTimestamp(window.until, "until"));
  return since === undefined ? bounded : bounded.where("f.created_at", ">=", since);
}
