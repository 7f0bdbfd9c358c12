/**
 * The way into the database. What arrives while one transaction is under way waits, and goes into the next one together:
 * the more there is to do, the cheaper each record. Nobody is told that a record is stored before its transaction has
 * ended well.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf } from "../base/errors.ts";
import type { EntryOutcome, RLCFPersistence, StoreEntry } from "../store/persistence.ts";
import { unavailable } from "./errors.ts";
import type { Metrics } from "./metrics.ts";
import { gathered } from "./turn.ts";

/** Entries of one transaction: many enough that its end no longer counts, few enough that nobody waits long. */
const ENTRIES_PER_COMMIT = 500;

/** What one caller wants stored. */
interface Job {
  readonly entries: readonly StoreEntry[];
  readonly resolve: (outcomes: EntryOutcome[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** A bounded queue with one writer. */
export class WriteQueue {
  readonly #store: Pick<RLCFPersistence, "saveEntries" | "getLeaseHolder">;
  readonly #metrics: Metrics;
  /** Most entries that wait or are being written. */
  readonly limit: number;
  #jobs: Job[] = [];
  #depth = 0;
  #writing: Promise<void> | undefined;

  /**
   * Writes nothing yet.
   *
   * @param limit most entries that wait or are being written
   */
  constructor(store: Pick<RLCFPersistence, "saveEntries" | "getLeaseHolder">, limit: number, metrics: Metrics) {
    this.#store = store;
    this.limit = limit;
    this.#metrics = metrics;
  }

  /** Entries that wait or are being written. */
  get depth(): number {
    return this.#depth;
  }

  /**
   * Stores entries in one transaction, with those of others, and says what became of each once it is durable.
   *
   * @throws HttpError 503 if the queue is full; what the store throws
   */
  submit(entries: readonly StoreEntry[]): Promise<EntryOutcome[]> {
    // What is longer than the queue goes in alone: told to come again it would come for ever.
    if (this.#depth > 0 && this.#depth + entries.length > this.limit) {
      return Promise.reject(unavailable("queue_full", `${this.#depth} records wait to be stored; try again`));
    }
    this.#depth += entries.length;
    return new Promise((resolve, reject) => {
      this.#jobs.push({ entries, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  /** Waits until nothing is left to write. */
  async drained(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#jobs.length > 0) {
      await gathered(() => this.#depth);
      await this.#write(this.#nextJobs());
    }
    this.#writing = undefined;
  }

  /** The jobs of the next transaction, the oldest first: at least one, however long it is. */
  #nextJobs(): readonly Job[] {
    let entries = 0;
    let end = 0;
    while (end < this.#jobs.length && (end === 0 || entries + this.#jobs[end]!.entries.length <= ENTRIES_PER_COMMIT)) {
      entries += this.#jobs[end]!.entries.length;
      end++;
    }
    return this.#jobs.splice(0, end);
  }

  async #write(jobs: readonly Job[]): Promise<void> {
    try {
      const outcomes = await this.#store.saveEntries(jobs.flatMap((job) => job.entries));
      this.#metrics.commits.add();
      let start = 0;
      for (const { entries, resolve } of jobs) {
        this.#depth -= entries.length;
        resolve(outcomes.slice(start, start += entries.length));
      }
    } catch (thrown) {
      await this.#writeApart(jobs, thrown);
    }
  }

  /** After a failure: half by half, so that a job which the database refuses fails alone. */
  async #writeApart(jobs: readonly Job[], thrown: unknown): Promise<void> {
    if (jobs.length > 1 && await this.#answers()) {
      getLogger(["rlcf", "serve"]).warn("{jobs} requests could not be stored together, and are stored apart: {cause}", {
        jobs: jobs.length,
        cause: messageOf(thrown),
      });
      const half = jobs.length >> 1;
      await this.#write(jobs.slice(0, half));
      return await this.#write(jobs.slice(half));
    }
    for (const { entries, reject } of jobs) {
      this.#depth -= entries.length;
      reject(thrown);
    }
  }

  /** Whether the database answers at all: if not, no part of a batch fares better than the whole. */
  async #answers(): Promise<boolean> {
    try {
      await this.#store.getLeaseHolder("gating");
      return true;
    } catch {
      return false;
    }
  }
}
