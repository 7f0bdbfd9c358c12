/**
 * Many callers on one engine. An engine runs one call at a time; what arrives meanwhile goes into the next call together,
 * which takes hardly longer than a call for one.
 *
 * @module
 */

import { gathered } from "./turn.ts";

/** Rows of one call. */
const ROWS_PER_CALL = 1024;

interface Job {
  readonly inputs: Float32Array;
  readonly resolve: (outputs: Float32Array) => void;
  readonly reject: (reason: unknown) => void;
}

/** Calls of an engine's forward pass, one after another, each for all who wait. */
export class MicroBatcher {
  readonly #forward: (inputsNI: Float32Array) => Promise<Float32Array>;
  readonly #inputDim: number;
  readonly #outputs: number;
  #jobs: Job[] = [];
  #running: Promise<void> | undefined;

  /**
   * Calls nothing yet.
   *
   * @param forward [n, inputDim] to [n, outputs]; never called again before it has answered
   */
  constructor(
    forward: (inputsNI: Float32Array) => Promise<Float32Array>,
    { inputDim, outputs }: { readonly inputDim: number; readonly outputs: number },
  ) {
    this.#forward = forward;
    this.#inputDim = inputDim;
    this.#outputs = outputs;
  }

  /**
   * The outputs [n, outputs] of inputs [n, inputDim].
   *
   * @throws what the engine throws
   */
  run(inputs: Float32Array): Promise<Float32Array> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ inputs, resolve, reject });
      this.#running ??= this.#runAll();
    });
  }

  /** Waits until nobody waits. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #runAll(): Promise<void> {
    while (this.#jobs.length > 0) {
      await gathered(() => this.#jobs.length);
      await this.#runTogether(this.#nextJobs());
    }
    this.#running = undefined;
  }

  #nextJobs(): readonly Job[] {
    let rows = 0;
    let end = 0;
    while (end < this.#jobs.length) {
      rows += this.#jobs[end]!.inputs.length / this.#inputDim;
      if (end > 0 && rows > ROWS_PER_CALL) break;
      end++;
    }
    return this.#jobs.splice(0, end);
  }

  async #runTogether(jobs: readonly Job[]): Promise<void> {
    try {
      const outputs = await this.#forward(joined(jobs));
      let start = 0;
      for (const { inputs, resolve } of jobs) {
        const length = inputs.length / this.#inputDim * this.#outputs;
        resolve(outputs.slice(start, start + length));
        start += length;
      }
    } catch (thrown) {
      for (const { reject } of jobs) reject(thrown);
    }
  }
}

function joined(jobs: readonly Job[]): Float32Array {
  if (jobs.length === 1) return jobs[0]!.inputs;
  const whole = new Float32Array(jobs.reduce((sum, { inputs }) => sum + inputs.length, 0));
  let offset = 0;
  for (const { inputs } of jobs) {
    whole.set(inputs, offset);
    offset += inputs.length;
  }
  return whole;
}
