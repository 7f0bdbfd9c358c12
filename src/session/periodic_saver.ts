/**
 * Periodic versions, written while training goes on.
 *
 * @module
 */
import { type NewVersion, publishVersion, removeExpired, type SessionContext } from "./versions.ts";

/**
 * Publishes one version at a time in the background: a snapshot is written while the next steps run, and a save that
 * comes before the last one is on the disk waits for it, so that none is left out and memory holds two at most.
 */
export class PeriodicSaver implements AsyncDisposable {
  readonly #context: SessionContext;
  readonly #keepLastN: number;
  #savedEpisodes: number;
  #pending: Promise<void> = Promise.resolve();

  /** @param savedEpisodes episodes that are saved already, so that the same state is not saved twice */
  constructor(context: SessionContext, keepLastN: number, savedEpisodes: number) {
    this.#context = context;
    this.#keepLastN = keepLastN;
    this.#savedEpisodes = savedEpisodes;
  }

  /** Begins to publish a version, once the one before it is published. Throws what went wrong with that one. */
  async save(version: NewVersion): Promise<void> {
    if (version.episodes === this.#savedEpisodes) return;
    await this.settle();
    this.#savedEpisodes = version.episodes;
    this.#pending = this.#publish(version);
    // Whoever settles next hears of a failure; until then nobody listens, which must not end the process.
    this.#pending.catch(() => {});
  }

  /** Waits until everything is published. Throws what went wrong. */
  async settle(): Promise<void> {
    await this.#pending;
  }

  /** Waits for the version being written, whatever becomes of it: nothing may go on behind a session that has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pending.catch(() => {});
  }

  async #publish(version: NewVersion): Promise<void> {
    await publishVersion(this.#context, version);
    await removeExpired(this.#context, this.#keepLastN);
  }
}
