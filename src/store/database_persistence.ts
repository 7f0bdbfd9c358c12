/**
 * The store over an open database. Every method says what it is doing, so that a failure can say it too; the work
 * itself stands in the file of its subject.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import * as checkpoints from "./checkpoints.ts";
import type { Database } from "./database.ts";
import { attempt } from "./errors.ts";
import * as feedbacks from "./feedback.ts";
import { ingest } from "./ingest.ts";
import { acquireLease, getLeaseHolder, type HeldLease } from "./leases.ts";
import { getLogGroups } from "./log_groups.ts";
import type {
  FeedbackContext,
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
  TraceContext,
  TrainingDataFilter,
  TrainingPair,
  TrainingRow,
  TrainingSession,
  TrainingStats,
  TrainingWindow,
} from "./persistence.ts";
import * as sessions from "./sessions.ts";
import { getTrainingStats } from "./stats.ts";
import * as traces from "./traces.ts";
import { countTrainingRows, getTrainingData, readTrainingRows } from "./training_rows.ts";

/** {@link RLCFPersistence} on SQLite or PostgreSQL; made by `createPersistence`. */
export class DatabasePersistence implements RLCFPersistence {
  readonly #database: Database;
  readonly #leases = new Set<HeldLease>();
  #lastTime = 0;

  /** @param database open and migrated */
  constructor(database: Database) {
    this.#database = database;
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
    return this.#attempt("store a trace", (database) => traces.saveTrace(database, trace, context));
  }

  /** Stores many traces. */
  saveTraces(given: readonly (readonly [ExecutionTrace, TraceContext?])[]): Promise<string[]> {
    return this.#attempt("store traces", (database) => traces.saveTraces(database, given));
  }

  /** Stores traces with their feedback. */
  ingest(records: readonly IngestRecord[]): Promise<IngestCounts> {
    return this.#attempt("store records", (database) => ingest(database, records));
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
    return this.#attempt("store feedback", (database) => feedbacks.saveFeedback(database, traceId, feedback, context));
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
      const page = await this.#attempt("read training data", () => pages.next());
      if (page.done) return;
      yield page.value;
    }
  }

  /** Counts traces and feedback. */
  getTrainingStats(policyVersion?: string): Promise<TrainingStats> {
    return this.#attempt("read statistics", (database) => getTrainingStats(database, policyVersion));
  }

  /** Counts groups of like traces. */
  getLogGroups(policyVersion?: string): Promise<LogGroup[]> {
    return this.#attempt("read statistics", (database) => getLogGroups(database, policyVersion));
  }

  /** Stores a checkpoint's row. */
  savePolicyCheckpoint(checkpoint: NewPolicyCheckpoint): Promise<string> {
    return this.#attempt(
      "store a checkpoint",
      (database) => checkpoints.savePolicyCheckpoint(database, checkpoint, this.#time()),
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

  /** Removes checkpoints' rows. */
  deletePolicyCheckpoints(policyType: string, versions: readonly string[]): Promise<number> {
    return this.#attempt(
      "remove checkpoints",
      (database) => checkpoints.deletePolicyCheckpoints(database, policyType, versions),
    );
  }

  /** Activates a version. */
  activatePolicy(version: string, policyType: string, why: { by?: string; reason?: string } = {}): Promise<boolean> {
    return this.#attempt(
      "activate a policy",
      (database) => checkpoints.activatePolicy(database, version, policyType, why, this.#time()),
    );
  }

  /** Lists activations. */
  listActivations(policyType: string, limit?: number): Promise<PolicyActivation[]> {
    return this.#attempt("list activations", (database) => checkpoints.listActivations(database, policyType, limit));
  }

  /** Opens a session. */
  startTrainingSession(
    policyType: string,
    options: { policyVersionFrom?: string | null; config?: JsonObject } = {},
  ): Promise<string> {
    return this.#attempt(
      "start a training session",
      (database) => sessions.startTrainingSession(database, policyType, options, this.#time()),
    );
  }

  /** Closes a session as completed. */
  completeTrainingSession(id: string, outcome: SessionOutcome): Promise<void> {
    return this.#attempt(
      "complete a training session",
      (database) => sessions.completeTrainingSession(database, id, outcome, this.#time()),
    );
  }

  /** Closes a session as failed or interrupted. */
  failTrainingSession(
    id: string,
    message: string,
    options: { status?: "failed" | "interrupted" } = {},
  ): Promise<void> {
    return this.#attempt(
      "close a training session",
      (database) => sessions.failTrainingSession(database, id, message, options.status ?? "failed", this.#time()),
    );
  }

  /** Lists sessions. */
  listTrainingSessions(policyType?: string, limit?: number): Promise<TrainingSession[]> {
    return this.#attempt("list sessions", (database) => sessions.listTrainingSessions(database, policyType, limit));
  }

  /** Takes a lease. */
  acquireLease(policyType: string): Promise<Lease> {
    return this.#attempt("take the training lease", async (database) => {
      const lease = await acquireLease(database, policyType);
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
    await this.#attempt("close the connection", async ({ db }) => {
      try {
        for (const lease of this.#leases) await lease[Symbol.asyncDispose]();
      } finally {
        this.#leases.clear();
        await db.destroy();
      }
    });
  }

  /** The same as {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #attempt<T>(action: string, work: (database: Database) => Promise<T>): Promise<T> {
    const database = this.#database;
    return attempt(`${action} in ${database.location}`, database.explain, () => work(database));
  }

  /** Now, but never the same millisecond twice, so that what one process stores can be told newer from older. */
  #time(): string {
    this.#lastTime = Math.max(Date.now(), this.#lastTime + 1);
    return new Date(this.#lastTime).toISOString();
  }
}
