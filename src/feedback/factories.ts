/**
 * Feedback made from something simpler: a single rating, or several people's feedback.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { givenScores, levelFromJson, type LevelName } from "./levels.ts";
import { MultilevelFeedback } from "./multilevel_feedback.ts";

/** Feedback that says one number in [0, 1] of the whole answer. */
export function feedbackFromRating(queryId: string, rating: number, userId?: string): MultilevelFeedback {
  return new MultilevelFeedback({ queryId, overallRating: rating, userId });
}

/**
 * The plain mean of several people's feedback on one answer: each number over those who gave it, the rating over those
 * who rated. Throws on an empty list.
 */
export function aggregateFeedback(feedbacks: readonly MultilevelFeedback[]): MultilevelFeedback {
  const first = feedbacks[0];
  if (first === undefined) {
    throw new RlcfError("usage", "cannot aggregate feedback: found an empty list, wanted at least one feedback");
  }
  const ratings = feedbacks.map((feedback) => feedback.overallRating).filter((rating) => rating !== null);
  return new MultilevelFeedback({
    queryId: first.queryId,
    retrievalFeedback: levelFromJson("retrieval", meanLevel("retrieval", feedbacks)),
    reasoningFeedback: levelFromJson("reasoning", meanLevel("reasoning", feedbacks)),
    synthesisFeedback: levelFromJson("synthesis", meanLevel("synthesis", feedbacks)),
    overallRating: ratings.length === 0 ? undefined : mean(ratings),
    metadata: { aggregated_from: feedbacks.length },
  });
}

function meanLevel(level: LevelName, feedbacks: readonly MultilevelFeedback[]): Record<string, number> {
  const values = new Map<string, number[]>();
  for (const { levels } of feedbacks) {
    const feedback = levels[level];
    if (feedback === undefined) continue;
    for (const [name, value] of givenScores(level, feedback)) values.set(name, [...values.get(name) ?? [], value]);
  }
  return Object.fromEntries([...values].map(([name, given]) => [name, mean(given)]));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
