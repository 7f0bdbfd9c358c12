/**
 * Feedback as a row and back.
 *
 * @module
 */
import type { Insertable } from "kysely";
import { expectNumber, unwanted } from "../base/check.ts";
import { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { FeedbackContext } from "./records.ts";
import type { FeedbackTable } from "./tables.ts";
import { jsonText, newId, optionalName } from "./values.ts";

/** Authority of a user of whom nothing is known, as in the original. */
const DEFAULT_AUTHORITY = 0.5;

/**
 * The row of feedback on a trace.
 *
 * @param queryId the trace's query, which must be the feedback's
 * @param score in [0, 1]; that of another program, where it is kept
 */
export function feedbackRow(
  traceId: string,
  queryId: string,
  feedback: MultilevelFeedback,
  context: FeedbackContext = {},
  score: number = feedback.overallScore(),
): Insertable<FeedbackTable> {
  if (feedback.queryId !== queryId) {
    unwanted(feedback.queryId, `feedback.query_id on trace ${traceId}`, `the trace's own, ${JSON.stringify(queryId)}`);
  }
  const { retrieval, reasoning, synthesis } = feedback.levels;
  const userId = optionalName(context.userId ?? feedback.userId, "user_id");
  return {
    id: newId(context.id, "feedback id"),
    trace_id: traceId,
    user_id: userId,
    user_authority: expectNumber(context.userAuthority ?? DEFAULT_AUTHORITY, "user_authority", 0, 1),
    source: optionalName(context.source, "source"),
    retrieval_precision: retrieval?.precision ?? null,
    retrieval_recall: retrieval?.recall ?? null,
    retrieval_ranking: retrieval?.rankingQuality ?? null,
    reasoning_coherence: reasoning?.logicalCoherence ?? null,
    reasoning_soundness: reasoning?.legalSoundness ?? null,
    reasoning_citation: reasoning?.citationQuality ?? null,
    synthesis_clarity: synthesis?.clarity ?? null,
    synthesis_completeness: synthesis?.completeness ?? null,
    synthesis_usefulness: synthesis?.usefulness ?? null,
    retrieval_score: feedback.levelScore("retrieval") ?? null,
    reasoning_score: feedback.levelScore("reasoning") ?? null,
    synthesis_score: feedback.levelScore("synthesis") ?? null,
    overall_score: score,
    feedback: jsonText({ ...feedback.toJSON(), user_id: userId }, "feedback"),
    created_at: feedback.timestamp,
  };
}

/** The feedback of a row's JSON. */
export function feedbackFromText(text: string): MultilevelFeedback {
  return MultilevelFeedback.fromJSON(JSON.parse(text));
}
