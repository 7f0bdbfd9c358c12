/**
 * What training the ReActPolicy reads: feedback joined to the steps of its trace, newest first, in keyset pages as in
 * `training_rows.ts`.
 *
 * @module
 */
import type { ReActStepRecord } from "../trace/react_episode.ts";
import type { Database } from "./database.ts";
import { feedbackFromText } from "./feedback_rows.ts";
import type { TrainingWindow, TrajectoryRow } from "./records.ts";
import { embeddingFromBytes } from "./trace_rows.ts";
import { type Cursor, pageQuery, pageTypes, type ReActPageRow } from "./training_queries.ts";
import { limitOf } from "./values.ts";

/** Rows of a page: with ten states of 1024 floats each, 8 MB. */
const ROWS_PER_PAGE = 200;

/** A step as `trace_rows.ts` stores it. */
type StoredStep = Omit<ReActStepRecord, "logProb"> & { readonly log_prob: number };

/** Reads one page after another; see RLCFPersistence.readTrajectoryRows. */
export async function* readTrajectoryRows(
  database: Database,
  window: TrainingWindow,
  withFeedback: boolean,
): AsyncGenerator<readonly TrajectoryRow[], void> {
  const types = pageTypes(withFeedback, "react");
  let cursor: Cursor | undefined;
  for (let left = limitOf(window.maxFeedback, "maxFeedback"); left > 0;) {
    const limit = Math.min(left, ROWS_PER_PAGE);
    const query = pageQuery(database.db, window, { cursor, limit, withFeedback, log: "react" });
    const rows = await database.readArrays(query, types) as readonly unknown[] as readonly ReActPageRow[];
    if (rows.length > 0) yield rows.map(trajectoryRow);
    if (rows.length < limit) return;
    left -= rows.length;
    const [id, createdAt] = rows.at(-1)!;
    cursor = { id, createdAt };
  }
}

function trajectoryRow(row: ReActPageRow): TrajectoryRow {
  const [, , traceId, score, userAuthority, userId, queryId, steps, states, feedback] = row;
  return {
    traceId,
    queryId,
    steps: steps === null
      ? null
      : (JSON.parse(steps) as StoredStep[]).map(({ log_prob, ...step }) => ({ ...step, logProb: log_prob })),
    // Damaged bytes come out empty, which no policy takes for its own dimension.
    states: states === null ? null : embeddingFromBytes(states),
    score,
    userAuthority,
    userId,
    ...(feedback === undefined ? {} : { feedback: feedbackFromText(feedback) }),
  };
}
