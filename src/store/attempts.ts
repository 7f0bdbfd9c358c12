/**
 * The attempts of one store: how long it waits for a server that is away, and what it remembers between two attempts
 * at the same work.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { Database } from "./database.ts";
import { attempt, type Patience } from "./errors.ts";
import type { StoredKind } from "./import_records.ts";

/** Runs the work of one store, again where that may help. */
export class Attempts {
  readonly #database: Pick<Database, "location" | "explain" | "adviseOn">;
  readonly #patience: Patience;
  #isLost = false;

  /**
   * The attempts at what is asked of this database.
   *
   * @param patience as long as the server answers
   */
  constructor(database: Pick<Database, "location" | "explain" | "adviseOn">, patience: Patience) {
    this.#database = database;
    this.#patience = patience;
  }

  /**
   * Work that may run again. Once patience has run out, it is not shown again before the server answers: a failure then
   * ends at once.
   *
   * @param action what is being done, for the message; see {@link attempt}
   */
  async patiently<T>(action: string, work: (again: boolean) => Promise<T>): Promise<T> {
    const patience = this.#isLost ? { ...this.#patience, ms: 0 } : this.#patience;
    try {
      const result = await attempt(`${action} in ${this.#database.location}`, this.#database, work, patience);
      this.#isLost = false;
      return result;
    } catch (error) {
      if (error instanceof RlcfError && error.code === "database") this.#isLost = true;
      throw error;
    }
  }

  /** Work that may not. */
  once<T>(action: string, work: () => Promise<T>): Promise<T> {
    return attempt(`${action} in ${this.#database.location}`, this.#database, work);
  }
}

/**
 * The rows that some work has changed, over all its attempts. Where the answer to a commit was lost, the next attempt
 * finds the rows as they ought to be and changes none: what it reports must be what the work did, not what was left.
 */
export class Changed {
  readonly #keys = new Map<StoredKind, Set<string>>();

  /**
   * Adds what this attempt has changed, as the last thing before its commit.
   *
   * @returns the keys of this kind that this attempt or an earlier one has changed. Of an earlier one that was rolled
   * back nothing is left, but then this one has changed the same rows.
   */
  add(kind: StoredKind, keys: Iterable<string>): ReadonlySet<string> {
    const all = this.#keys.get(kind) ?? new Set<string>();
    for (const key of keys) all.add(key);
    this.#keys.set(kind, all);
    return all;
  }
}
