/**
 * What a log of graph traversals can teach the TraversalPolicy: each one an episode of its own, a decision between
 * following a relation and leaving it.
 *
 * @module
 */
import type { Scoring } from "../feedback/scoring.ts";
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import { gatingDecision } from "../trace/gating_decision.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import { type EpisodeSet, EpisodeSetBuilder, type SkipReason } from "./episode_set.ts";

/** Why a traversal cannot be used. */
export type TraversalSkipReason = SkipReason | "no_traversal";

/** A trace with one feedback on it. */
export interface JudgedTrace {
  /** The trace; its traversals share the feedback's score. */
  readonly trace: ExecutionTrace;
  /** One feedback. */
  readonly feedback: MultilevelFeedback;
  /** Authority of who gave it, in [0, 1]. */
  readonly userAuthority: number;
}

/** What the episodes are made for; a TraversalPolicy has all of it. */
export interface TraversalInputs {
  /** Makes the network's inputs [n, inputs] of traversals; counts relations that it does not know. */
  inputs(
    traversals: readonly { readonly embedding: Float32Array; readonly relation: string }[],
  ): { readonly inputs: Float32Array; readonly unknown: number };
  /** Length of an embedding. */
  readonly inputDim: number;
}

/** The episodes, and what was left out or guessed. */
export interface TraversalSet {
  /** One episode a traversal, counted by the feedback on its trace; its experts are `follow` and `leave`, and any trainer of gating episodes can learn from it. */
  readonly episodes: EpisodeSet;
  /** Traversals whose relation the policy does not know; weighed and learned as its relation for unknown ones. */
  readonly unknownRelations: number;
  /** Traversals (for `no_traversal`: traces) left out, by reason. */
  readonly skipped: Readonly<Partial<Record<TraversalSkipReason, number>>>;
}

/**
 * Collects the traversals of judged traces. A `graph_traversal` was followed unless its `metadata.followed` is false; its
 * `log_prob` is that of what was done. A log that holds only what was followed teaches half of the gradient: it can say
 * that a relation was worth following, but not that leaving one was right.
 *
 * @param scoring how feedback becomes a score
 */
export function traversalSet(
  pairs: readonly JudgedTrace[],
  policy: TraversalInputs,
  feedbackWeighting: "authority" | "none",
  scoring: Scoring = "given",
): TraversalSet {
  const skipped: Partial<Record<TraversalSkipReason, number>> = {};
  const count = (reason: TraversalSkipReason): void => void (skipped[reason] = (skipped[reason] ?? 0) + 1);
  const traversals = pairs.flatMap(({ trace, feedback, userAuthority }, p) => {
    const actions = trace.actionsOfType("graph_traversal");
    if (actions.length === 0) count("no_traversal");
    const { embedding } = gatingDecision(trace);
    return actions.map((action) => ({ action, trace, feedback, userAuthority, embedding, p }));
  });
  const sized = traversals.filter(({ embedding }) => {
    if (embedding?.length === policy.inputDim) return true;
    count(embedding === null ? "no_embedding" : "wrong_dimension");
    return false;
  });
  const { inputs, unknown } = policy.inputs(sized.map(({ action, embedding }) => ({
    embedding: embedding!,
    relation: String(action.parameters.relation_type),
  })));
  const width = sized.length === 0 ? 0 : inputs.length / sized.length;
  const experts = ["follow", "leave"];
  const taught = new Set<number>();
  const builder = new EpisodeSetBuilder(sized.length, { inputDim: width, experts, feedbackWeighting });
  for (const [i, { action, trace, feedback, userAuthority, p }] of sized.entries()) {
    const reason = builder.add({
      traceId: String(i),
      queryId: trace.queryId,
      logKind: "sampled",
      gatingWeights: { [action.metadata.followed === false ? "leave" : "follow"]: 1 },
      gatingLogProb: action.logProb,
      embedding: inputs.subarray(i * width, (i + 1) * width),
      score: feedback.overallScore({ scoring }),
      levelScores: {
        retrieval: feedback.levelScore("retrieval") ?? null,
        reasoning: feedback.levelScore("reasoning") ?? null,
        synthesis: feedback.levelScore("synthesis") ?? null,
      },
      userAuthority,
      // Traversals of one answer share its score, whoever gave it: together they are one voice.
      userId: feedback.userId ?? `nobody named, query ${trace.queryId}`,
    });
    if (reason === undefined) taught.add(p);
    else count(reason);
  }
  return { episodes: { ...builder.build(), feedbackRows: taught.size }, unknownRelations: unknown, skipped };
}
