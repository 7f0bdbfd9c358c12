/**
 * Traces and feedback for the store's tests.
 *
 * @module
 */
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";

/** The numbers `start, start + 1/8, ...`, all exact in float32. */
export function vector(length: number, start = 0): number[] {
  return Array.from({ length }, (_, i) => start + i / 8);
}

/** A trace in which the gating policy drew one expert. */
export function sampledTrace(queryId: string, createdAt?: string): ExecutionTrace {
  return new ExecutionTrace({ queryId, ...(createdAt === undefined ? {} : { createdAt }) }).addExpertSelection({
    expertType: "literal",
    weight: 0.7,
    logProb: -0.5,
    metadata: { source: "gating_policy", query_embedding: vector(8) },
  });
}

/** A trace in which four experts were mixed; the embedding stands on the first, as the original has it. */
export function softTrace(queryId: string): ExecutionTrace {
  const trace = new ExecutionTrace({ queryId });
  for (const [i, expertType] of ["literal", "systemic", "principles", "precedent"].entries()) {
    trace.addExpertSelection({
      expertType,
      weight: 0.25,
      logProb: Math.log(0.25),
      metadata: i === 0 ? { source: "gating_policy", query_embedding: vector(8) } : { source: "gating_policy" },
    });
  }
  return trace;
}

/** Feedback with something on each level; its score is 0.3 * 0.75 + 0.4 * 0.85 + 0.3 * 0.85 = 0.82. */
export function fullFeedback(queryId: string, userId?: string, timestamp?: string): MultilevelFeedback {
  return new MultilevelFeedback({
    queryId,
    retrievalFeedback: { precision: 0.8, recall: 0.7, sourcesRelevant: 4, missingSources: ["art. 52 c.p."] },
    reasoningFeedback: { logicalCoherence: 0.9, legalSoundness: 0.85, citationQuality: 0.8 },
    synthesisFeedback: { clarity: 0.9, completeness: 0.85, usefulness: 0.8, metadata: { page: 1 } },
    userId,
    timestamp,
    metadata: { note: "però è così" },
  });
}

/** Feedback of one number. */
export function rating(queryId: string, overallRating: number, timestamp?: string): MultilevelFeedback {
  return new MultilevelFeedback({ queryId, overallRating, timestamp });
}
