/**
 * The store as the rest of rlcf sees it: records in, records out, whatever database lies underneath. Nothing above
 * this room sees SQL.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import type { LogKind } from "../trace/gating_decision.ts";

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
  readonly trace: ExecutionTrace;
  readonly traceContext: TraceContext & { readonly id: string };
  readonly feedback?: MultilevelFeedback | undefined;
  readonly feedbackContext?: (FeedbackContext & { readonly id: string }) | undefined;
}

/** How many rows of a batch were new. */
export interface IngestCounts {
  readonly traces: number;
  readonly feedback: number;
  /** Rows that were there already. */
  readonly duplicates: number;
}

/** Which traces {@link RLCFPersistence.getTrainingData} returns. All bounds are inclusive; dates are the feedback's. */
export interface TrainingDataFilter {
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
  readonly traceId: string;
  readonly trace: ExecutionTrace;
  readonly feedback: MultilevelFeedback;
  /** Authority of who gave the feedback, in [0, 1]. */
  readonly userAuthority: number;
}

/** Which feedback rows a training session reads: created in (since, until], newest first. */
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
  readonly traceId: string;
  readonly queryId: string;
  readonly logKind: LogKind;
  /** Expert to logged weight. */
  readonly gatingWeights: Readonly<Record<string, number>>;
  /** Log probability of the drawn expert; null unless sampled. */
  readonly gatingLogProb: number | null;
  /** The embedding, or null if the trace has none. May be a view that is only valid until the next page. */
  readonly embedding: Float32Array | null;
  /** `overallScore()` of the feedback, in [0, 1]. */
  readonly score: number;
  readonly userAuthority: number;
  readonly userId: string | null;
  /** The feedback itself; present only if the reader asked for it. */
  readonly feedback?: MultilevelFeedback;
}

/** Counts over the whole store or one policy version. */
export interface TrainingStats {
  readonly total_traces: number;
  readonly traces_with_feedback: number;
  readonly total_feedback: number;
  /** Mean overall score of the feedback; null if there is none. */
  readonly avg_score: number | null;
  /** The version asked for, or null for all. */
  readonly policy_version: string | null;
  /** Traces per log kind. */
  readonly log_kinds: Readonly<Record<LogKind, number>>;
}

/** A checkpoint's row. */
export interface PolicyCheckpoint {
  readonly id: string;
  readonly version: string;
  readonly policyType: string;
  readonly parentVersion: string | null;
  /** Directory inside the checkpoint directory. */
  readonly stateDictPath: string | null;
  /** SHA-256 of the checkpoint's manifest, hexadecimal. */
  readonly manifestSha256: string | null;
  readonly config: JsonObject;
  readonly trainingMetrics: JsonObject;
  readonly trainingSessionId: string | null;
  readonly trainingEpisodes: number;
  /** A name that protects the checkpoint from removal, or null. */
  readonly tag: string | null;
  readonly isActive: boolean;
  /** ISO 8601 in UTC. */
  readonly createdAt: string;
  /** When it was last made active, or null. */
  readonly activatedAt: string | null;
}

/** What {@link RLCFPersistence.savePolicyCheckpoint} takes. */
export interface NewPolicyCheckpoint {
  readonly version: string;
  readonly policyType: string;
  readonly parentVersion?: string | null | undefined;
  readonly stateDictPath?: string | null | undefined;
  readonly manifestSha256?: string | null | undefined;
  readonly config?: JsonObject | undefined;
  readonly trainingMetrics?: JsonObject | undefined;
  readonly trainingSessionId?: string | null | undefined;
  readonly trainingEpisodes?: number | undefined;
}

/** One entry of the append-only history of activations. */
export interface PolicyActivation {
  readonly policyType: string;
  readonly fromVersion: string | null;
  readonly toVersion: string;
  /** ISO 8601 in UTC. */
  readonly activatedAt: string;
  readonly activatedBy: string;
  readonly reason: string;
}

/** What became of a training session. */
export type SessionStatus = "running" | "completed" | "failed" | "interrupted";

/** A training session's row. */
export interface TrainingSession {
  readonly id: string;
  readonly policyType: string;
  readonly status: SessionStatus;
  readonly policyVersionFrom: string | null;
  readonly policyVersionTo: string | null;
  readonly numTraces: number;
  readonly numFeedback: number;
  readonly metrics: JsonObject;
  readonly config: JsonObject;
  readonly host: string | null;
  readonly processId: number | null;
  readonly errorMessage: string | null;
  /** ISO 8601 in UTC. */
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/** How a session ended. */
export interface SessionOutcome {
  readonly policyVersionTo: string | null;
  readonly numTraces: number;
  readonly numFeedback: number;
  readonly metrics: JsonObject;
}

/** Who holds the right to train a policy type. */
export interface LeaseHolder {
  readonly policyType: string;
  readonly host: string;
  readonly processId: number;
  /** Grows by one with every new holder; a holder with an older token has lost the lease. */
  readonly token: number;
  /** ISO 8601 in UTC. */
  readonly acquiredAt: string;
  /** ISO 8601 in UTC; another process may take the lease after it. */
  readonly expiresAt: string;
}

/** The right to train one policy type, held by this process until released or expired. */
export interface Lease extends AsyncDisposable {
  readonly holder: LeaseHolder;
  /** Throws RlcfError("lease_held") if another process has taken the lease in the meantime. */
  assertHeld(): Promise<void>;
}

/** Traces, feedback, checkpoints and sessions in one database. All methods throw RlcfError("database") on failure. */
export interface RLCFPersistence extends AsyncDisposable {
  /** `sqlite` or `postgres`. */
  readonly dialect: "sqlite" | "postgres";
  /** Where the data is, with any password masked. */
  readonly location: string;

  /** Stores a trace and returns its id. */
  saveTrace(trace: ExecutionTrace, context?: TraceContext): Promise<string>;
  /** Stores many traces in one transaction and returns their ids in order. */
  saveTraces(traces: readonly (readonly [ExecutionTrace, TraceContext?])[]): Promise<string[]>;
  /** Stores traces with their feedback in one transaction; rows whose id exists are left as they are. */
  ingest(records: readonly IngestRecord[]): Promise<IngestCounts>;
  /** The trace with its embedding back in place, or null. */
  getTrace(id: string): Promise<ExecutionTrace | null>;
  /** Traces that wait for feedback, newest first; 100 by default. */
  getTracesWithoutFeedback(limit?: number): Promise<[string, ExecutionTrace][]>;
  /** Stores feedback on a trace, marks the trace in the same transaction, and returns the id. Unknown trace: error. */
  saveFeedback(traceId: string, feedback: MultilevelFeedback, context?: FeedbackContext): Promise<string>;
  /** The feedback on a trace, oldest first. */
  getFeedbackForTrace(traceId: string): Promise<MultilevelFeedback[]>;
  /** Pairs of trace and feedback, newest feedback first. */
  getTrainingData(filter?: TrainingDataFilter): Promise<TrainingPair[]>;
  /** How many feedback rows a window holds, at most its maxFeedback. */
  countTrainingRows(window: TrainingWindow): Promise<number>;
  /** The window's rows, newest feedback first, in pages. `withFeedback` also reads the feedback itself. */
  readTrainingRows(window: TrainingWindow, options?: { withFeedback?: boolean }): AsyncIterable<readonly TrainingRow[]>;
  /** Counts; filtered by version everywhere if one is given. */
  getTrainingStats(policyVersion?: string): Promise<TrainingStats>;

  /** Stores an inactive checkpoint row and returns its id. */
  savePolicyCheckpoint(checkpoint: NewPolicyCheckpoint): Promise<string>;
  /** The active checkpoint of a policy type, or null. */
  getActivePolicy(policyType: string): Promise<PolicyCheckpoint | null>;
  /** One checkpoint, or null. */
  getPolicyCheckpoint(version: string, policyType: string): Promise<PolicyCheckpoint | null>;
  /** Checkpoints, newest first; of all types if none is given. */
  listPolicyCheckpoints(policyType?: string): Promise<PolicyCheckpoint[]>;
  /** Sets or removes (null) the name that protects a checkpoint from removal. False if the version does not exist. */
  tagPolicyCheckpoint(version: string, policyType: string, tag: string | null): Promise<boolean>;
  /** Removes rows of inactive checkpoints; returns how many. */
  deletePolicyCheckpoints(policyType: string, versions: readonly string[]): Promise<number>;
  /**
   * Makes a version the only active one of its type, in one transaction with its entry in the history. False, and
   * nothing changed, if the version does not exist.
   */
  activatePolicy(version: string, policyType: string, why?: { by?: string; reason?: string }): Promise<boolean>;
  /** The history of activations, newest first. */
  listActivations(policyType: string, limit?: number): Promise<PolicyActivation[]>;

  /** Opens a session with status running and returns its id. */
  startTrainingSession(
    policyType: string,
    options?: { policyVersionFrom?: string | null; config?: JsonObject },
  ): Promise<string>;
  /** Closes a running session as completed. Throws if it does not exist or is not running. */
  completeTrainingSession(id: string, outcome: SessionOutcome): Promise<void>;
  /** Closes a running session as failed, or as interrupted. Throws if it does not exist or is not running. */
  failTrainingSession(id: string, message: string, options?: { status?: "failed" | "interrupted" }): Promise<void>;
  /** Sessions, newest first; 20 by default. */
  listTrainingSessions(policyType?: string, limit?: number): Promise<TrainingSession[]>;

  /** Takes the lease of a policy type and keeps it alive until disposed. Held by another: RlcfError("lease_held"). */
  acquireLease(policyType: string): Promise<Lease>;
  /** Who holds a lease now, or null. */
  getLeaseHolder(policyType: string): Promise<LeaseHolder | null>;

  /** Closes the database. The same as disposing. */
  close(): Promise<void>;
}
