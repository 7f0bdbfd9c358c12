/**
 * How many threads a step should use, found by trying. More threads are faster only while cores are idle, and only this
 * process' own clock tells that. The choice can change nothing but the time: the bits are the same for any number.
 *
 * @module
 */

/** Steps measured with each number of threads before one is chosen. */
const TRIALS = 5;
/** Steps taken with the chosen number before it is tried again. */
const STEPS_BETWEEN_TRIALS = 200;

/** Chooses among numbers of threads for steps of one size. */
export class ThreadChoice {
  readonly #candidates: readonly number[];
  readonly #times: number[][];
  #best: number;
  #stepsLeft = 0;
  #trial = 0;

  /**
   * Begins with trying each.
   *
   * @param candidates numbers of threads to choose from, at least one
   */
  constructor(candidates: readonly number[]) {
    this.#candidates = candidates;
    this.#times = candidates.map(() => []);
    this.#best = candidates[0]!;
  }

  /** The number of threads for the next step. */
  next(): number {
    if (this.#candidates.length === 1 || this.#stepsLeft > 0) return this.#best;
    return this.#candidates[this.#trial % this.#candidates.length]!;
  }

  /** Takes note of how long the step took that {@link next} was asked for, in any unit. */
  record(duration: number): void {
    if (this.#candidates.length === 1) return;
    if (this.#stepsLeft > 0) {
      this.#stepsLeft--;
      return;
    }
    this.#times[this.#trial % this.#candidates.length]!.push(duration);
    this.#trial++;
    if (this.#trial < TRIALS * this.#candidates.length) return;
    const medians = this.#times.map((times) => times.sort((a, b) => a - b)[TRIALS >> 1]!);
    this.#best = this.#candidates[medians.indexOf(Math.min(...medians))]!;
    for (const times of this.#times) times.length = 0;
    [this.#trial, this.#stepsLeft] = [0, STEPS_BETWEEN_TRIALS];
  }
}
