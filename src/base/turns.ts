/**
 * Long work that lets others have their turn.
 *
 * @module
 */

/** Milliseconds after which others have waited long enough; a turn takes about one. */
const WAIT_MS = 50;

/**
 * Gives timers, signals and answers from the network their turn within a computation that waits for nothing by itself.
 * Without it a lease is not renewed and Ctrl-C is not heard for as long as the computation takes.
 */
export class Turns {
  readonly #waitMs: number;
  #givenAt = performance.now();

  /** @param waitMs milliseconds after which a turn is due */
  constructor(waitMs = WAIT_MS) {
    this.#waitMs = waitMs;
  }

  /** Gives a turn if the last one was some time ago. */
  async give(): Promise<void> {
    if (performance.now() - this.#givenAt < this.#waitMs) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.#givenAt = performance.now();
  }
}
