/**
 * Worker threads that share a network's memory. A worker is one loop inside WebAssembly: it sleeps until the main thread
 * starts a phase, does its share, and reports. The results do not depend on the number of threads.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { COMMAND, PHASE_QUIT } from "./plan.ts";

/** What the module exports. */
export interface SimdExports {
  /** Does one thread's share of a phase. */
  readonly run: (phase: number, thread: number, threads: number) => void;
  /** Runs a phase on the calling thread and `threads - 1` workers. */
  readonly runTogether: (phase: number, threads: number) => void;
  /** What a worker does until it is told to quit. */
  readonly serve: (thread: number, lastCommand: number) => void;
}

/** Instantiates a module on a memory. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): SimdExports {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SimdExports;
}

/** What a worker is given when it starts. */
interface Assignment {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly lastCommand: number;
}

/**
 * The worker's program. It is text, not a file, so that starting it needs no permission and works inside a bundle or a
 * compiled binary, where there is no file to start it from.
 */
const WORKER = `const { parentPort, workerData } = require("node:worker_threads");
const { memory, thread, lastCommand } = workerData;
const kernels = new WebAssembly.Instance(workerData.module, { env: { memory } }).exports;
parentPort.postMessage("ready");
kernels.serve(thread, lastCommand);
parentPort.postMessage("done");`;

/** The threads of one engine. */
export class Team {
  /** Threads that can work on a phase, the calling one included. */
  readonly size: number;
  readonly #exports: SimdExports;
  readonly #workers: readonly Worker[];

  private constructor(exports: SimdExports, workers: readonly Worker[]) {
    this.#exports = exports;
    this.#workers = workers;
    this.size = workers.length + 1;
  }

  /** Starts `size - 1` workers and returns when all are ready. Rejects, leaving none behind, when one does not start. */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    exports: SimdExports,
    size: number,
  ): Promise<Team> {
    const lastCommand = new Int32Array(memory.buffer)[COMMAND / 4]!;
    const workers = Array.from({ length: size - 1 }, (_, i) => {
      const workerData: Assignment = { module, memory, thread: i + 1, lastCommand };
      return new Worker(WORKER, { eval: true, workerData });
    });
    try {
      await Promise.all(workers.map((worker) => answer(worker, "ready")));
    } catch (error) {
      await Promise.all(workers.map((worker) => worker.terminate()));
      throw error;
    }
    // A sleeping worker does not keep a process alive whose engine nobody disposed of.
    for (const worker of workers) worker.unref();
    return new Team(exports, workers);
  }

  /** Runs a phase on the given number of threads, at most {@link size}. */
  run(phase: number, threads: number): void {
    this.#exports.runTogether(phase, threads);
  }

  /** Ends the workers; returns when they are gone. */
  async stop(): Promise<void> {
    for (const worker of this.#workers) worker.ref();
    const done = this.#workers.map((worker) => answer(worker, "done"));
    this.#exports.runTogether(PHASE_QUIT, 0);
    await Promise.all(done);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** Waits for one message of a worker; rejects when the worker fails or ends instead. */
function answer(worker: Worker, wanted: string): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once(
      "message",
      (message) => message === wanted ? resolve() : reject(new Error(`a worker answered ${message}`)),
    );
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("a worker ended before its time")));
  });
}
