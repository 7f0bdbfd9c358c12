/**
 * What training reads: feedback joined to its trace, newest first, in keyset pages. Each page is a query of its own,
 * since a transaction held open while the reader works would stop every other user of a SQLite connection.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { feedbackFromText } from "./feedback_rows.ts";
import type { TrainingDataFilter, TrainingPair, TrainingRow, TrainingWindow } from "./records.ts";
import { embeddingFromBytes, TRACE_COLUMNS, traceFromRow } from "./trace_rows.ts";
import { countQuery, type Cursor, PageQueries, type PageRow, pageTypes } from "./training_queries.ts";
import { limitOf, optionalTime } from "./values.ts";

/** Pairs returned where the filter does not say. */
const DEFAULT_LIMIT = 1000;

/** Reads pairs of trace and feedback; see RLCFPersistence.getTrainingData. */
export async function getTrainingData({ db }: Database, filter: TrainingDataFilter = {}): Promise<TrainingPair[]> {
  const since = optionalTime(filter.minDate, "minDate");
  const until = optionalTime(filter.maxDate, "maxDate");
  const { policyVersion } = filter;
  const rows = await db.selectFrom("rlcf_feedback as f").innerJoin("rlcf_traces as t", "t.id", "f.trace_id")
    .select(["f.trace_id", "f.feedback", "f.user_authority", ...TRACE_COLUMNS.map((name) => `t.${name}` as const)])
    .$if(policyVersion !== undefined, (query) => query.where("t.policy_version", "=", policyVersion!))
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
  const { rows } = await db.executeQuery(countQuery(db, window));
  return rows[0]!.n;
}

/** Reads one page after another; see RLCFPersistence.readTrainingRows. */
export async function* readTrainingRows(
  database: Database,
  window: TrainingWindow,
  withFeedback: boolean,
): AsyncGenerator<readonly TrainingRow[], void> {
  const types = pageTypes(withFeedback);
  const queries = new PageQueries(database.db, window, { withFeedback });
  const weights = new WeightTexts();
  let cursor: Cursor | undefined;
  for (let left = limitOf(window.maxFeedback, "maxFeedback"); left > 0;) {
    const limit = Math.min(left, database.rowsPerPage);
    const rows = await database.readArrays(
      queries.page(cursor, limit),
      types,
    ) as readonly unknown[] as readonly PageRow[];
    if (rows.length > 0) yield rows.map((row) => trainingRow(row, weights));
    if (rows.length < limit) return;
    left -= rows.length;
    const [id, createdAt] = rows.at(-1)!;
    cursor = { id, createdAt };
  }
}

/** Logged weights by their JSON: those of drawn experts are often the same few, and parsing costs as much as reading. */
class WeightTexts {
  /** Texts remembered at most; mixtures differ from row to row, and looking for them is cheap. */
  static readonly #MOST = 64;
  readonly #parsed = new Map<string, TrainingRow["gatingWeights"]>();

  /** What a text says; the same object for the same text. */
  parse(text: string): TrainingRow["gatingWeights"] {
    let weights = this.#parsed.get(text);
    if (weights === undefined) {
      weights = JSON.parse(text) as TrainingRow["gatingWeights"];
      if (this.#parsed.size < WeightTexts.#MOST) this.#parsed.set(text, weights);
    }
    return weights;
  }
}

function trainingRow(row: PageRow, weights: WeightTexts): TrainingRow {
  const [
    ,
    ,
    traceId,
    score,
    retrieval,
    reasoning,
    synthesis,
    userAuthority,
    userId,
    queryId,
    logKind,
    gatingWeights,
    gatingLogProb,
    embedding,
    feedback,
  ] = row;
  return {
    traceId,
    queryId,
    logKind,
    gatingWeights: weights.parse(gatingWeights),
    gatingLogProb,
    // Damaged bytes come out empty, which no policy takes for its own dimension.
    embedding: embedding === null ? null : embeddingFromBytes(embedding),
    score,
    levelScores: { retrieval, reasoning, synthesis },
    userAuthority,
    userId,
    ...(feedback === undefined ? {} : { feedback: feedbackFromText(feedback) }),
  };
}
