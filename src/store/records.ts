/**
 * The records that go into the store and come out of it.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { LevelName } from "../feedback/levels.ts";
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import type { LogKind } from "../trace/gating_decision.ts";
import type { ReActStepRecord } from "../trace/react_episode.ts";

/** What a trace is stored with. */
export interface TraceContext {
  /** The row's key, a UUID; a random one by default. Saving the same key again changes nothing. */
  readonly id?: string | undefined;
  /** The policy version that routed the query. */
  readonly policyVersion?: string | null | undefined;
  /** The query's text. */
  readonly queryText?: string | null | undefined;
  /** The expert that answered; by default the drawn expert of a sampled trace. */
  readonly expertType?: string | null | undefined;
}

/** What feedback is stored with. */
export interface FeedbackContext {
  /** The row's key, a UUID; a random one by default. Saving the same key again changes nothing. */
  readonly id?: string | undefined;
  /** Who judged; by default the feedback's own user id. */
  readonly userId?: string | null | undefined;
  /** Earned authority in [0, 1]; 0.5 by default. */
  readonly userAuthority?: number | undefined;
  /** Where it was given, e.g. `visualex`. */
  readonly source?: string | null | undefined;
}

/** A trace and the feedback on it, to be stored in one transaction with many others. */
export interface IngestRecord {
  /** The trace. */
  readonly trace: ExecutionTrace;
  /** What the trace is stored with; its id makes storing it again harmless. */
  readonly traceContext: TraceContext & { readonly id: string };
  /** Feedback on the trace, on the same query. */
  readonly feedback?: MultilevelFeedback | undefined;
  /** What the feedback is stored with; its id makes storing it again harmless. */
  readonly feedbackContext?: (FeedbackContext & { readonly id: string }) | undefined;
}

/** How many rows of a batch were new. */
export interface IngestCounts {
  /** New traces. */
  readonly traces: number;
  /** New feedback. */
  readonly feedback: number;
  /** Rows that were there already. */
  readonly duplicates: number;
}

/** Which traces {@link RLCFPersistence.getTrainingData} returns. All bounds are inclusive; dates are the feedback's. */
export interface TrainingDataFilter {
  /** Only traces routed by this version. */
  readonly policyVersion?: string | undefined;
  /** ISO 8601. */
  readonly minDate?: string | undefined;
  /** ISO 8601. */
  readonly maxDate?: string | undefined;
  /** Most pairs returned, newest feedback first; 1000 by default. */
  readonly limit?: number | undefined;
}

/** A stored trace with one feedback on it. */
export interface TrainingPair {
  /** The trace's id. */
  readonly traceId: string;
  /** The trace. */
  readonly trace: ExecutionTrace;
  /** One feedback on it; a trace with several comes once for each. */
  readonly feedback: MultilevelFeedback;
  /** Authority of who gave the feedback, in [0, 1]. */
  readonly userAuthority: number;
}

/** Which feedback rows a training session reads: created in [since, until], newest first. */
export interface TrainingWindow {
  /** ISO 8601, inclusive; no lower bound if null. */
  readonly since: string | null;
  /** ISO 8601, inclusive. Fixed when a session starts, so that a resumed one reads the same rows. */
  readonly until: string;
  /** Most feedback rows read. */
  readonly maxFeedback: number;
  /** Only traces routed by this version. */
  readonly policyVersion?: string | undefined;
}

/** One feedback row joined to its trace, as columns; what training needs and nothing else. */
export interface TrainingRow {
  /** The trace's id. */
  readonly traceId: string;
  /** The query's id. */
  readonly queryId: string;
  /** What the trace can teach. */
  readonly logKind: LogKind;
  /** Expert to logged weight. */
  readonly gatingWeights: Readonly<Record<string, number>>;
  /** Log probability of the drawn expert; null unless sampled. */
  readonly gatingLogProb: number | null;
  /** The embedding, or null if the trace has none. In memory of its own, which the reader may use as it likes. */
  readonly embedding: Float32Array | null;
  /** `overallScore()` of the feedback, in [0, 1]. */
  readonly score: number;
  /** Mean of the numbers given on each level, in [0, 1]; null where the level was not judged. */
  readonly levelScores: Readonly<Record<LevelName, number | null>>;
  /** Authority of who gave the feedback, in [0, 1]. */
  readonly userAuthority: number;
  /** Who gave the feedback, or null. */
  readonly userId: string | null;
  /** The feedback itself; present only if the reader asked for it. */
  readonly feedback?: MultilevelFeedback;
}

/** One feedback row joined to its trace, as columns; what training the ReAct policy needs and nothing else. */
export interface TrajectoryRow {
  /** The trace's id. */
  readonly traceId: string;
  /** The query's id. */
  readonly queryId: string;
  /** The steps of the ReAct policy, in order; null if the trace has none. */
  readonly steps: readonly ReActStepRecord[] | null;
  /**
   * [steps, stateDim] the states, or null if a step has none or they differ in length. May be a view that is only valid
   * until the next page.
   */
  readonly states: Float32Array | null;
  /** `overallScore()` of the feedback, in [0, 1]. */
  readonly score: number;
  /** Authority of who gave the feedback, in [0, 1]. */
  readonly userAuthority: number;
  /** Who gave the feedback, or null. */
  readonly userId: string | null;
  /** The feedback itself; present only if the reader asked for it. */
  readonly feedback?: MultilevelFeedback;
}

/** Counts over the whole store or one policy version. */
export interface TrainingStats {
  /** Traces. */
  readonly total_traces: number;
  /** Traces with at least one feedback. */
  readonly traces_with_feedback: number;
  /** Feedback. */
  readonly total_feedback: number;
  /** Mean overall score of the feedback; null if there is none. */
  readonly avg_score: number | null;
  /** The version asked for, or null for all. */
  readonly policy_version: string | null;
  /** Traces per log kind. */
  readonly log_kinds: Readonly<Record<LogKind, number>>;
}

/** The times of the first and the last feedback. */
export interface FeedbackSpan {
  /** ISO 8601 in UTC. */
  readonly oldest: string;
  /** ISO 8601 in UTC. */
  readonly newest: string;
}

/** Traces that are alike in everything that says whether a log can be learned from, counted. */
export interface LogGroup {
  /** The version that routed them, or null if it was not stored. */
  readonly policyVersion: string | null;
  /** What they can teach. */
  readonly logKind: LogKind;
  /** The expert that answered; the drawn one unless the trace was stored with another. */
  readonly expertType: string | null;
  /** Numbers of the embedding; null where there is none, no integer where it is damaged. */
  readonly embeddingLength: number | null;
  /** How many there are. */
  readonly traces: number;
  /** How many of them drew their expert with certainty. */
  readonly certain: number;
  /** Smallest log probability of a drawn expert; null unless sampled. */
  readonly minLogProb: number | null;
  /** Experts that the policy weighed, in alphabetical order; the drawn one alone if sampled. */
  readonly experts: readonly string[];
  /** The drawn expert's probability, or every weight of a soft trace, is 0 in float32. */
  readonly weightless: boolean;
}

/** A checkpoint's row. */
export interface PolicyCheckpoint {
  /** The row's key, a UUID. */
  readonly id: string;
  /** E.g. `v1.0.1`; unique within the type. */
  readonly version: string;
  /** `gating` or `react`. */
  readonly policyType: string;
  /** The version from which training started, or null. */
  readonly parentVersion: string | null;
  /** Directory inside the checkpoint directory. */
  readonly stateDictPath: string | null;
  /** SHA-256 of the checkpoint's manifest, hexadecimal. */
  readonly manifestSha256: string | null;
  /** The configuration it was trained with. */
  readonly config: JsonObject;
  /** What training measured. */
  readonly trainingMetrics: JsonObject;
  /** The latest result of `rlcf bench` on it, or null. */
  readonly bench: JsonObject | null;
  /** The session that made it, or null. */
  readonly trainingSessionId: string | null;
  /** Episodes it was trained on. */
  readonly trainingEpisodes: number;
  /** A name that protects the checkpoint from removal, or null. */
  readonly tag: string | null;
  /** Whether it is the active one of its type. */
  readonly isActive: boolean;
  /** ISO 8601 in UTC. */
  readonly createdAt: string;
  /** When it was last made active, or null. */
  readonly activatedAt: string | null;
}

/** What {@link RLCFPersistence.savePolicyCheckpoint} takes. */
export interface NewPolicyCheckpoint {
  /** At most 50 characters; unique within the type. */
  readonly version: string;
  /** `gating` or `react`. */
  readonly policyType: string;
  /** The version from which training started. */
  readonly parentVersion?: string | null | undefined;
  /** Directory inside the checkpoint directory. */
  readonly stateDictPath?: string | null | undefined;
  /** SHA-256 of the checkpoint's manifest, 64 hexadecimal digits. */
  readonly manifestSha256?: string | null | undefined;
  /** The configuration it was trained with. */
  readonly config?: JsonObject | undefined;
  /** What training measured. */
  readonly trainingMetrics?: JsonObject | undefined;
  /** The session that made it, which must exist. */
  readonly trainingSessionId?: string | null | undefined;
  /** Episodes it was trained on; 0 by default. */
  readonly trainingEpisodes?: number | undefined;
}

/** One entry of the append-only history of activations. */
export interface PolicyActivation {
  /** `gating` or `react`. */
  readonly policyType: string;
  /** The version that was active before, or null. */
  readonly fromVersion: string | null;
  /** The version that became active. */
  readonly toVersion: string;
  /** ISO 8601 in UTC. */
  readonly activatedAt: string;
  /** Who or what activated it. */
  readonly activatedBy: string;
  /** Why, or empty. */
  readonly reason: string;
}

/** What became of a training session. */
export type SessionStatus = "running" | "completed" | "failed" | "interrupted";

/** A training session's row. */
export interface TrainingSession {
  /** The row's key, a UUID. */
  readonly id: string;
  /** `gating` or `react`. */
  readonly policyType: string;
  /** What became of it. */
  readonly status: SessionStatus;
  /** The version from which it started, or null. */
  readonly policyVersionFrom: string | null;
  /** The version that it made, or null. */
  readonly policyVersionTo: string | null;
  /** Traces it read. */
  readonly numTraces: number;
  /** Feedback it read. */
  readonly numFeedback: number;
  /** What it measured. */
  readonly metrics: JsonObject;
  /** The configuration it ran with. */
  readonly config: JsonObject;
  /** The host it ran on, or null. */
  readonly host: string | null;
  /** Its process on that host, or null. */
  readonly processId: number | null;
  /** Why it failed or was interrupted, or null. */
  readonly errorMessage: string | null;
  /** ISO 8601 in UTC. */
  readonly startedAt: string;
  /** ISO 8601 in UTC, or null while it runs. */
  readonly endedAt: string | null;
}

/** How a session ended. */
export interface SessionOutcome {
  /** The version that it made, or null. */
  readonly policyVersionTo: string | null;
  /** Traces it read. */
  readonly numTraces: number;
  /** Feedback it read. */
  readonly numFeedback: number;
  /** What it measured. */
  readonly metrics: JsonObject;
}

/** Who holds the right to train a policy type. */
export interface LeaseHolder {
  /** `gating` or `react`. */
  readonly policyType: string;
  /** The host's name, `unknown` where it may not be read. */
  readonly host: string;
  /** The process on that host. */
  readonly processId: number;
  /** Grows by one with every new holder; a holder with an older token has lost the lease. */
  readonly token: number;
  /** ISO 8601 in UTC. */
  readonly acquiredAt: string;
  /** ISO 8601 in UTC; another process may take the lease after it. */
  readonly expiresAt: string;
}
