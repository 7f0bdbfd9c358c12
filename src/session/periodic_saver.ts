/**
 * Periodic versions, written while training goes on.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf } from "../base/errors.ts";
import type { TrainingState } from "../engine/engine.ts";
import {
  freeMemory,
  type NewVersion,
  publishVersion,
  removeExpired,
  type SessionContext,
  statesOf,
} from "./versions.ts";

const log = getLogger(["rlcf", "session"]);

/** Versions that may wait at most: each is a copy of the whole training state. */
const MOST_WAITING = 5;

/**
 * Publishes versions in the background, one after another, in their order.
 *
 * Training is faster than a disk that has to confirm every file. So versions wait in memory, and where more are waiting
 * than would be kept, the oldest of them is never written: the moment the others were published it would be removed.
 * What is there in the end is the same, the newest `keepLastN`; every version that was published is complete.
 */
export class PeriodicSaver implements AsyncDisposable {
  readonly #context: SessionContext;
  readonly #keepLastN: number;
  readonly #waiting: NewVersion[] = [];
  /** One is enough: as soon as versions are made as fast as they are done with, each makes room for the next. */
  #worn: TrainingState | undefined;
  #savedEpisodes: number | undefined;
  /** Set while something is being written; never rejects. */
  #writing: Promise<void> | undefined;
  #failure: { readonly thrown: unknown } | undefined;

  /**
   * @param savedEpisodes episodes visited in the state that is saved already, so that it is not saved twice; undefined
   * where none is
   */
  constructor(context: SessionContext, keepLastN: number, savedEpisodes: number | undefined) {
    this.#context = context;
    this.#keepLastN = keepLastN;
    this.#savedEpisodes = savedEpisodes;
  }

  /** A state that was given to {@link save} and is not needed any more; the caller's to write over. */
  takeWorn(): TrainingState | undefined {
    const worn = this.#worn;
    this.#worn = undefined;
    return worn;
  }

  /** Takes a version to be published, and its snapshot for good. Throws what went wrong with one before it. */
  async save(version: NewVersion): Promise<void> {
    if (version.episodes === this.#savedEpisodes) return;
    // All of them will be kept, and memory is full of them.
    while (this.#waiting.length >= MOST_WAITING && this.#keepLastN > MOST_WAITING) await this.#oneWritten();
    this.#throwFailure();
    this.#savedEpisodes = version.episodes;
    if (this.#waiting.length >= Math.max(1, Math.min(this.#keepLastN, MOST_WAITING))) {
      this.#release(this.#waiting.shift()!);
    }
    this.#waiting.push(version);
    this.#writing ??= this.#writeNext();
  }

  /** Waits until everything is published. Throws what went wrong. */
  async settle(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    this.#throwFailure();
  }

  /**
   * Waits for the version being written and for the newest that waits, from which the session is taken up if it failed:
   * nothing may go on behind a session that has ended. What goes wrong is logged; nobody else would hear of it.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    // Whoever saved or settled after an earlier failure has heard of it.
    const isWriting = this.#writing !== undefined;
    for (const version of this.#waiting.splice(0, this.#waiting.length - 1)) this.#release(version);
    while (this.#writing !== undefined) await this.#writing;
    const worn = this.takeWorn();
    if (worn !== undefined) freeMemory(worn);
    if (!isWriting || this.#failure === undefined) return;
    log.warn("the last saved states were not published: {cause}", { cause: messageOf(this.#failure.thrown) });
  }

  async #oneWritten(): Promise<void> {
    await this.#writing;
    this.#throwFailure();
  }

  /** Whoever saves or settles next hears of a failure; nothing more is written after one. */
  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }

  /** Publishes the version that has waited longest, and begins with the next when it is done. */
  async #writeNext(): Promise<void> {
    const version = this.#waiting.shift()!;
    try {
      await publishVersion(this.#context, version);
      await removeExpired(this.#context, this.#keepLastN);
    } catch (thrown) {
      this.#failure = { thrown };
      this.#waiting.length = 0;
    }
    this.#release(version);
    this.#writing = this.#waiting.length > 0 ? this.#writeNext() : undefined;
  }

  /** Keeps the memory of a snapshot's first network for the next one, and lets go of any other. */
  #release({ snapshot }: NewVersion): void {
    const [state, ...more] = statesOf(snapshot);
    for (const other of [this.#worn, ...more]) {
      if (other !== undefined) freeMemory(other);
    }
    this.#worn = state;
  }
}
