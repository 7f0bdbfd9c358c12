/**
 * The store over an open database. Every method says what it is doing, so that a failure can say it too; the work
 * itself stands in the file of its subject.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import { Attempts, Changed } from "./attempts.ts";
import * as checkpoints from "./checkpoints.ts";
import type { Database } from "./database.ts";
import { saveEntries } from "./entries.ts";
import type { Patience } from "./errors.ts";
import * as feedbacks from "./feedback.ts";
import * as imports from "./import_rows.ts";
import { batchOf, ingest } from "./ingest.ts";
import { acquireLease, getLeaseHolder, type HeldLease, LEASE_TIMING, type LeaseTiming } from "./leases.ts";
import { getLogGroups } from "./log_groups.ts";
import type {
  EntryOutcome,
  FeedbackContext,
  FeedbackSpan,
  Fence,
  ImportBatch,
  ImportCounts,
  IngestCounts,
  IngestRecord,
  Lease,
  LeaseHolder,
  LogGroup,
  NewPolicyCheckpoint,
  PolicyActivation,
  PolicyCheckpoint,
  RLCFPersistence,
  SessionOutcome,
  StoredKind,
  StoreEntry,
  TraceContext,
  TrainingDataFilter,
  TrainingPair,
  TrainingRow,
  TrainingSession,
  TrainingStats,
  TrainingWindow,
  TrajectoryRow,
} from "./persistence.ts";
import * as sessions from "./sessions.ts";
import { getFeedbackSpan, getTrainingStats } from "./stats.ts";
import * as traces from "./traces.ts";
import { readTrajectoryRows } from "./trajectory_rows.ts";
import { countTrainingRows, getTrainingData, readTrainingRows } from "./training_rows.ts";

/** How long a server may be away before what waits for it fails: a restart takes seconds. */
const PATIENCE_MS = 30_000;

/** How a store deals with time. */
export interface StoreTiming {
  /** How long an operation is tried again while the server is away, busy or in a deadlock, in milliseconds. */
  readonly patienceMs?: number | undefined;
  /** How long leases last. */
  readonly lease?: LeaseTiming | undefined;
}

/**
 * {@link RLCFPersistence} on SQLite or PostgreSQL; made by `createPersistence`.
 *
 * Each method is one transaction, or reads only, so that it can be run again when the server was away. Ids and times are
 * chosen before the first attempt: done twice, it is done once, and {@link Changed} remembers for the answer what an
 * attempt did whose own answer was lost.
 */
export class DatabasePersistence implements RLCFPersistence {
  readonly #database: Database;
  readonly #attempts: Attempts;
  readonly #patience: Patience;
  readonly #leaseTiming: LeaseTiming;
  readonly #leases = new Set<HeldLease>();
  #lastTime = 0;

  /** @param database open and migrated */
  constructor(database: Database, timing: StoreTiming = {}) {
    this.#patience = { ms: timing.patienceMs ?? PATIENCE_MS, reached: true };
    this.#attempts = new Attempts(database, this.#patience);
    this.#leaseTiming = timing.lease ?? LEASE_TIMING;
    this.#database = {
      ...database,
      // Page by page: the generator above it cannot be run again.
      readArrays: (query, types) =>
        this.#attempts.patiently("read training data", () => database.readArrays(query, types)),
    };
  }

  /** `sqlite` or `postgres`. */
  get dialect(): "sqlite" | "postgres" {
    return this.#database.dialect;
  }

  /** Where the data is, with any password masked. */
  get location(): string {
    return this.#database.location;
  }

  /** Stores a trace. */
  saveTrace(trace: ExecutionTrace, context?: TraceContext): Promise<string> {
    const keyed = { ...context, id: context?.id ?? crypto.randomUUID() };
    return this.#attempt("store a trace", (database) => traces.saveTrace(database, trace, keyed));
  }

  /** Stores many traces. */
  saveTraces(given: readonly (readonly [ExecutionTrace, TraceContext?])[]): Promise<string[]> {
    const keyed = given.map(([trace, context]) =>
      [trace, { ...context, id: context?.id ?? crypto.randomUUID() }] as const
    );
    return this.#attempt("store traces", (database) => traces.saveTraces(database, keyed));
  }

  /** Stores traces with their feedback. */
  async ingest(records: readonly IngestRecord[]): Promise<IngestCounts> {
    const [batch, stored] = [batchOf(records), new Changed()];
    return await this.#attempt("store records", (database) => ingest(database, batch, stored));
  }

  /** Stores traces and feedback, each with its own outcome. */
  saveEntries(entries: readonly StoreEntry[]): Promise<EntryOutcome[]> {
    const stored = new Changed();
    return this.#attempt("store records", (database) => saveEntries(database, entries, stored));
  }

  /** Stores records of another program. */
  importBatch(batch: ImportBatch): Promise<ImportCounts> {
    const stored = new Changed();
    return this.#attempt("store imported records", (database) => imports.importBatch(database, batch, stored));
  }

  /** Looks ids up. */
  knownIds(kind: StoredKind, ids: readonly string[]): Promise<Set<string>> {
    return this.#attempt("look for stored records", (database) => imports.knownIds(database, kind, ids));
  }

  /** Reads a trace. */
  getTrace(id: string): Promise<ExecutionTrace | null> {
    return this.#attempt("read a trace", (database) => traces.getTrace(database, id));
  }

  /** Reads traces that wait for feedback. */
  getTracesWithoutFeedback(limit?: number): Promise<[string, ExecutionTrace][]> {
    return this.#attempt("read traces", (database) => traces.getTracesWithoutFeedback(database, limit));
  }

  /** Reads the texts of queries. */
  getQueryTexts(queryIds: readonly string[]): Promise<Map<string, string>> {
    return this.#attempt("read query texts", (database) => traces.getQueryTexts(database, queryIds));
  }

  /** Stores feedback on a trace. */
  saveFeedback(traceId: string, feedback: MultilevelFeedback, context?: FeedbackContext): Promise<string> {
    const keyed = { ...context, id: context?.id ?? crypto.randomUUID() };
    return this.#attempt("store feedback", (database) => feedbacks.saveFeedback(database, traceId, feedback, keyed));
  }

  /** Reads the feedback on a trace. */
  getFeedbackForTrace(traceId: string): Promise<MultilevelFeedback[]> {
    return this.#attempt("read feedback", (database) => feedbacks.getFeedbackForTrace(database, traceId));
  }

  /** Reads pairs of trace and feedback. */
  getTrainingData(filter?: TrainingDataFilter): Promise<TrainingPair[]> {
    return this.#attempt("read training data", (database) => getTrainingData(database, filter));
  }

  /** Counts what a session would read. */
  countTrainingRows(window: TrainingWindow): Promise<number> {
    return this.#attempt("count training data", (database) => countTrainingRows(database, window));
  }

  /** Reads what a session needs. */
  async *readTrainingRows(
    window: TrainingWindow,
    options: { withFeedback?: boolean } = {},
  ): AsyncGenerator<readonly TrainingRow[], void> {
    const pages = readTrainingRows(this.#database, window, options.withFeedback ?? false);
    while (true) {
      const page = await this.#once("read training data", () => pages.next());
      if (page.done) return;
      yield page.value;
    }
  }

  /** Reads what a session of the ReAct policy needs. */
  async *readTrajectoryRows(
    window: TrainingWindow,
    options: { withFeedback?: boolean } = {},
  ): AsyncGenerator<readonly TrajectoryRow[], void> {
    const pages = readTrajectoryRows(this.#database, window, options.withFeedback ?? false);
    while (true) {
      const page = await this.#once("read training data", () => pages.next());
      if (page.done) return;
      yield page.value;
    }
  }

  /** Counts traces and feedback. */
  getTrainingStats(policyVersion?: string): Promise<TrainingStats> {
    return this.#attempt("read statistics", (database) => getTrainingStats(database, policyVersion));
  }

  /** Finds the first and the last feedback. */
  getFeedbackSpan(policyVersion?: string): Promise<FeedbackSpan | null> {
    return this.#attempt("read statistics", (database) => getFeedbackSpan(database, policyVersion));
  }

  /** Counts groups of like traces. */
  getLogGroups(policyVersion?: string): Promise<LogGroup[]> {
    return this.#attempt("read statistics", (database) => getLogGroups(database, policyVersion));
  }

  /** Stores a checkpoint's row. */
  savePolicyCheckpoint(checkpoint: NewPolicyCheckpoint, { fence }: Fence = {}): Promise<string> {
    const [id, at] = [crypto.randomUUID(), this.#time()];
    return this.#attempt(
      "store a checkpoint",
      (database) => checkpoints.savePolicyCheckpoint(database, checkpoint, id, { at, fence }),
    );
  }

  /** Reads the active checkpoint. */
  getActivePolicy(policyType: string): Promise<PolicyCheckpoint | null> {
    return this.#attempt("read the active policy", (database) => checkpoints.getActivePolicy(database, policyType));
  }

  /** Reads one checkpoint. */
  getPolicyCheckpoint(version: string, policyType: string): Promise<PolicyCheckpoint | null> {
    return this.#attempt(
      "read a checkpoint",
      (database) => checkpoints.getPolicyCheckpoint(database, version, policyType),
    );
  }

  /** Lists checkpoints. */
  listPolicyCheckpoints(policyType?: string): Promise<PolicyCheckpoint[]> {
    return this.#attempt("list checkpoints", (database) => checkpoints.listPolicyCheckpoints(database, policyType));
  }

  /** Names a checkpoint. */
  tagPolicyCheckpoint(version: string, policyType: string, tag: string | null): Promise<boolean> {
    return this.#attempt(
      "tag a checkpoint",
      (database) => checkpoints.tagPolicyCheckpoint(database, version, policyType, tag),
    );
  }

  /** Keeps a benchmark's result. */
  savePolicyBench(version: string, policyType: string, bench: JsonObject): Promise<boolean> {
    return this.#attempt(
      "store a benchmark's result",
      (database) => checkpoints.savePolicyBench(database, version, policyType, bench),
    );
  }

  /** Gives files to a checkpoint. */
  setPolicyFiles(
    version: string,
    policyType: string,
    files: { readonly stateDictPath: string; readonly manifestSha256: string },
  ): Promise<boolean> {
    return this.#attempt(
      "store the files of a checkpoint",
      (database, again) => imports.setPolicyFiles(database, version, policyType, files, again),
    );
  }

  /** Removes checkpoints' rows. */
  deletePolicyCheckpoints(policyType: string, versions: readonly string[], { fence }: Fence = {}): Promise<string[]> {
    return this.#attempt(
      "remove checkpoints",
      (database) => checkpoints.deletePolicyCheckpoints(database, policyType, versions, fence),
    );
  }

  /** Activates a version. */
  activatePolicy(
    version: string,
    policyType: string,
    { fence, ...why }: { by?: string; reason?: string } & Fence = {},
  ): Promise<boolean> {
    const at = this.#time();
    return this.#attempt(
      "activate a policy",
      (database, again) => checkpoints.activatePolicy(database, version, policyType, why, { at, fence, again }),
    );
  }

  /** Lists activations. */
  listActivations(policyType: string, limit?: number): Promise<PolicyActivation[]> {
    return this.#attempt("list activations", (database) => checkpoints.listActivations(database, policyType, limit));
  }

  /** Opens a session. */
  startTrainingSession(
    policyType: string,
    options: { policyVersionFrom?: string | null; config?: JsonObject; jobId?: string | undefined } = {},
  ): Promise<string> {
    const [id, at] = [crypto.randomUUID(), this.#time()];
    return this.#attempt(
      "start a training session",
      (database) => sessions.startTrainingSession(database, policyType, options, id, at),
    );
  }

  /** Closes a session as completed. */
  completeTrainingSession(id: string, outcome: SessionOutcome): Promise<void> {
    const at = this.#time();
    return this.#attempt(
      "complete a training session",
      (database) => sessions.completeTrainingSession(database, id, outcome, at),
    );
  }

  /** Closes a session as failed or interrupted. */
  failTrainingSession(
    id: string,
    message: string,
    options: { status?: "failed" | "interrupted" } = {},
  ): Promise<void> {
    const at = this.#time();
    return this.#attempt(
      "close a training session",
      (database) => sessions.failTrainingSession(database, id, message, options.status ?? "failed", at),
    );
  }

  /** Lists sessions. */
  listTrainingSessions(policyType?: string, limit?: number): Promise<TrainingSession[]> {
    return this.#attempt("list sessions", (database) => sessions.listTrainingSessions(database, policyType, limit));
  }

  /** Lists the sessions of a job. */
  listJobSessions(jobId: string): Promise<TrainingSession[]> {
    return this.#attempt("list sessions", (database) => sessions.listJobSessions(database, jobId));
  }

  /** Takes a lease. Not tried again: after a lost answer the lease might be ours without our knowing its token. */
  acquireLease(policyType: string): Promise<Lease> {
    return this.#once("take the training lease", async (database) => {
      const lease = await acquireLease(database, policyType, this.#leaseTiming, this.#patience);
      this.#leases.add(lease);
      return lease;
    });
  }

  /** Says who holds a lease. */
  getLeaseHolder(policyType: string): Promise<LeaseHolder | null> {
    return this.#attempt("read the training lease", (database) => getLeaseHolder(database, policyType));
  }

  /** Lets go of the leases and closes the database. A second call does nothing. */
  async close(): Promise<void> {
    await this.#once("close the connection", async ({ db }) => {
      for (const lease of this.#leases) await lease[Symbol.asyncDispose]();
      this.#leases.clear();
      await db.destroy();
    });
  }

  /** The same as {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Work that may run again. */
  #attempt<T>(action: string, work: (database: Database, again: boolean) => Promise<T>): Promise<T> {
    return this.#attempts.patiently(action, (again) => work(this.#database, again));
  }

  /** Work that may not. */
  #once<T>(action: string, work: (database: Database) => Promise<T>): Promise<T> {
    return this.#attempts.once(action, () => work(this.#database));
  }

  /** Now, but never the same millisecond twice, so that what one process stores can be told newer from older. */
  #time(): string {
    this.#lastTime = Math.max(Date.now(), this.#lastTime + 1);
    return new Date(this.#lastTime).toISOString();
  }
}
