/**
 * The store as the rest of rlcf sees it: records in, records out, whatever database lies underneath. Nothing above
 * this room sees SQL.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import type { EntryOutcome, StoreEntry } from "./entry_records.ts";
import type { ImportBatch, ImportCounts, StoredKind } from "./import_records.ts";
import type {
  FeedbackContext,
  FeedbackSpan,
  IngestCounts,
  IngestRecord,
  LeaseHolder,
  LogGroup,
  NewPolicyCheckpoint,
  PolicyActivation,
  PolicyCheckpoint,
  SessionOutcome,
  TraceContext,
  TrainingDataFilter,
  TrainingPair,
  TrainingRow,
  TrainingSession,
  TrainingStats,
  TrainingWindow,
  TrajectoryRow,
} from "./records.ts";

export type * from "./entry_records.ts";
export type * from "./import_records.ts";
export type * from "./records.ts";

/** The right to train one policy type, held by this process until released or expired. */
export interface Lease extends AsyncDisposable {
  /** The holder, which is this process, with the expiry of the last renewal. */
  readonly holder: LeaseHolder;
  /** Throws RlcfError("lease_held") if another process has taken the lease in the meantime. */
  assertHeld(): Promise<void>;
}

/** By which right something is written that only the holder of a lease may write. */
export interface Fence {
  /**
   * `lease.holder`. If another process has taken the lease in the meantime, nothing is written and
   * RlcfError("lease_held") is thrown; the database decides, in the transaction that writes.
   */
  readonly fence?: LeaseHolder | undefined;
}

/**
 * Traces, feedback, checkpoints and sessions in one database. All methods throw RlcfError("database") when the database
 * fails for longer than the store is patient, and RlcfError("usage") for what cannot be stored: numbers that are not finite, text with NUL, an id that is no
 * UUID, an unknown trace, a version that exists.
 */
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
  /**
   * Stores traces and feedback in one transaction, traces first, and says of each what became of it, in order. Rows
   * whose id exists are left as they are; feedback on an unknown trace, or on another query, is refused alone.
   */
  saveEntries(entries: readonly StoreEntry[]): Promise<EntryOutcome[]>;
  /**
   * Stores records of another program with their ids, dates and scores in one transaction; rows whose id (of a
   * checkpoint also: whose version) exists are left as they are.
   */
  importBatch(batch: ImportBatch): Promise<ImportCounts>;
  /** Which of these ids, UUIDs in lower case, are stored. */
  knownIds(kind: StoredKind, ids: readonly string[]): Promise<Set<string>>;
  /** The trace with its embedding back in place, or null. */
  getTrace(id: string): Promise<ExecutionTrace | null>;
  /** Traces that wait for feedback, newest first; 100 by default. */
  getTracesWithoutFeedback(limit?: number): Promise<[string, ExecutionTrace][]>;
  /**
   * The texts of queries by id; queries stored without a text are not in it, and of several texts of one query the last
   * in the alphabet is. Throws on more than 1000 ids.
   */
  getQueryTexts(queryIds: readonly string[]): Promise<Map<string, string>>;
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
  /** The same rows, with the ReAct steps of their traces in place of the routing decisions. */
  readTrajectoryRows(
    window: TrainingWindow,
    options?: { withFeedback?: boolean },
  ): AsyncIterable<readonly TrajectoryRow[]>;
  /** Counts; filtered by version everywhere if one is given. */
  getTrainingStats(policyVersion?: string): Promise<TrainingStats>;
  /** The times of the first and the last feedback, on traces of one version if it is given; null without any. */
  getFeedbackSpan(policyVersion?: string): Promise<FeedbackSpan | null>;
  /** What the log is made of, counted without reading traces; of one version if it is given. */
  getLogGroups(policyVersion?: string): Promise<LogGroup[]>;

  /** Stores an inactive checkpoint row and returns its id. */
  savePolicyCheckpoint(checkpoint: NewPolicyCheckpoint, options?: Fence): Promise<string>;
  /** The active checkpoint of a policy type, or null. */
  getActivePolicy(policyType: string): Promise<PolicyCheckpoint | null>;
  /** One checkpoint, or null. */
  getPolicyCheckpoint(version: string, policyType: string): Promise<PolicyCheckpoint | null>;
  /** Checkpoints, newest first; of all types if none is given. */
  listPolicyCheckpoints(policyType?: string): Promise<PolicyCheckpoint[]>;
  /** Sets or removes (null) the name that protects a checkpoint from removal. False if the version does not exist. */
  tagPolicyCheckpoint(version: string, policyType: string, tag: string | null): Promise<boolean>;
  /** Keeps a benchmark's result, in place of an earlier one. False if the version does not exist. */
  savePolicyBench(version: string, policyType: string, bench: JsonObject): Promise<boolean>;
  /** Gives files to a checkpoint that has none. False, and nothing changed, if there is no such checkpoint. */
  setPolicyFiles(
    version: string,
    policyType: string,
    files: { readonly stateDictPath: string; readonly manifestSha256: string },
  ): Promise<boolean>;
  /**
   * Removes rows of checkpoints that are neither active nor tagged; returns which of the versions have no row now, and so
   * may lose their files: also those that had none before.
   */
  deletePolicyCheckpoints(policyType: string, versions: readonly string[], options?: Fence): Promise<string[]>;
  /**
   * Makes a version the only active one of its type, in one transaction with its entry in the history. False, and
   * nothing changed, if the version does not exist; true, and nothing changed, if it is active already.
   */
  activatePolicy(
    version: string,
    policyType: string,
    why?: { by?: string; reason?: string } & Fence,
  ): Promise<boolean>;
  /** The history of activations, newest first. */
  listActivations(policyType: string, limit?: number): Promise<PolicyActivation[]>;

  /** Opens a session with status running and returns its id. */
  startTrainingSession(
    policyType: string,
    options?: { policyVersionFrom?: string | null; config?: JsonObject; jobId?: string | undefined },
  ): Promise<string>;
  /** Closes a running session as completed. Throws if it does not exist or is not running. */
  completeTrainingSession(id: string, outcome: SessionOutcome): Promise<void>;
  /** Closes a running session as failed, or as interrupted. Throws if it does not exist or is not running. */
  failTrainingSession(id: string, message: string, options?: { status?: "failed" | "interrupted" }): Promise<void>;
  /** Sessions, newest first; 20 by default. */
  listTrainingSessions(policyType?: string, limit?: number): Promise<TrainingSession[]>;
  /** The sessions that a job of the queue has had, newest first; at most one of them is completed. */
  listJobSessions(jobId: string): Promise<TrainingSession[]>;

  /** Takes the lease of a policy type and keeps it alive until disposed. Held by another: RlcfError("lease_held"). */
  acquireLease(policyType: string): Promise<Lease>;
  /** Who holds a lease now, or null. */
  getLeaseHolder(policyType: string): Promise<LeaseHolder | null>;

  /** Closes the database. The same as disposing. */
  close(): Promise<void>;
}
