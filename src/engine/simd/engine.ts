/**
 * The engine for the CPU: one training step as a few WebAssembly SIMD kernels, with threads where they help.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf, RlcfError } from "../../base/errors.ts";
import { type HeadBatch, LOSS_HEADS } from "../../loss/heads.ts";
import { checkInputs, checkLoad, checkMetrics, checkSegment } from "../checks.ts";
import type { NetworkShape, PolicyEngine, StepMetrics, TrainingSegment, TrainingState } from "../engine.ts";
import { checkShape, checkState, initialState, parameterCount } from "../network.ts";
import { openSimdDevice, type SimdDevice, type SimdKind } from "./device.ts";
import { SimdNetwork } from "./network.ts";
import { updateFactors } from "./optimizer.ts";
import { MAX_THREADS, PHASE_BACKWARD, PHASE_FORWARD, PHASE_GRADIENTS, PHASE_SQUARES, PHASE_UPDATE } from "./plan.ts";
import { pack, unpack } from "./state.ts";
import { instantiate, type SimdExports, Team } from "./team.ts";
import { ThreadChoice } from "./thread_choice.ts";

/** Rows of one forward pass; more would only take memory. */
const FORWARD_ROWS = 256;
/**
 * Multiplications of one forward pass from which threads are tried: a step of about 1.5 ms, or 73 rows of a network
 * 768-256-128-4. Below, waking the others takes most of what they save.
 */
const MULTIPLICATIONS_FOR_THREADS = 2 ** 24;

/** What may be fixed instead of chosen. */
export interface SimdOptions {
  /** Threads for every step, 1 to 8; by default what is fastest is found by trying. */
  readonly threads?: number;
  /** Which module; by default the better one that this machine can run. */
  readonly kind?: SimdKind;
}

/** An engine on the CPU. Made by {@link createSimdEngine}. */
export class SimdEngine implements PolicyEngine {
  /** Name to ask for it by. */
  readonly backend = "simd";
  /** E.g. `relaxed SIMD, 2 cores`. */
  readonly device: string;
  /** The sizes of the network. */
  readonly shape: NetworkShape;
  readonly #device: SimdDevice;
  readonly #network: SimdNetwork;
  readonly #exports: SimdExports;
  readonly #fixedThreads: number | undefined;
  readonly #choices = new Map<number, ThreadChoice>();
  #team: Team | undefined;
  #teamFailed = false;
  #step = 0;
  /** The caller's array: a million embeddings are not copied. Rows are fetched when their step comes. */
  #inputsNI: Float32Array = new Float32Array(0);
  #disposed = false;

  /** Holds zeros until {@link load}; {@link createSimdEngine} loads fresh weights. */
  constructor(shape: NetworkShape, device: SimdDevice, threads?: number) {
    this.shape = shape;
    this.device = device.device;
    this.#device = device;
    this.#network = new SimdNetwork(shape);
    this.#exports = instantiate(device.module, this.#network.memory);
    this.#fixedThreads = threads;
  }

  /** Bytes of WebAssembly memory in use; they go with the network and the largest batch. */
  get memoryBytes(): number {
    return this.#network.memory.buffer.byteLength;
  }

  /** Threads that there are, the calling one included: 1 until a batch is large enough for more. */
  get threads(): number {
    return this.#team?.size ?? 1;
  }

  /** Replaces parameters, moments and step count; copied. */
  load(state: TrainingState): Promise<void> {
    return this.#guarded(() => {
      checkLoad(state, this.shape);
      const { layers, parameters, firstMoments, secondMoments } = this.#network;
      pack(this.shape, layers, state.parameters, parameters);
      pack(this.shape, layers, state.firstMoments, firstMoments);
      pack(this.shape, layers, state.secondMoments, secondMoments);
      this.#step = state.step;
    });
  }

  /** A copy of parameters, moments and step count, in the arrays of `worn` if it is given. */
  read(worn?: TrainingState): Promise<TrainingState> {
    return this.#guarded(() => {
      if (worn !== undefined) checkState(worn, this.shape);
      const { layers, parameters, firstMoments, secondMoments } = this.#network;
      const flat = (packed: Float32Array, memory: Float32Array | undefined): Float32Array => {
        const flatP = memory ?? new Float32Array(parameterCount(this.shape));
        unpack(this.shape, layers, packed, flatP);
        return flatP;
      };
      return {
        shape: this.shape,
        parameters: flat(parameters, worn?.parameters),
        firstMoments: flat(firstMoments, worn?.firstMoments),
        secondMoments: flat(secondMoments, worn?.secondMoments),
        step: this.#step,
      };
    });
  }

  /** Keeps a reference to inputs [N, I]: the caller must not change them while they are trained on. */
  upload(inputsNI: Float32Array): Promise<void> {
    return this.#guarded(() => {
      checkInputs(inputsNI, this.shape, "cannot upload inputs");
      this.#inputsNI = inputsNI;
    });
  }

  /** Runs the steps on the calling thread, with workers where they help, and returns when all are done. */
  train(segment: TrainingSegment): Promise<StepMetrics> {
    return this.#guarded(async () => {
      checkSegment(segment, this.shape, this.#inputsNI.length / this.shape.inputDim);
      const { rows, batchSize } = segment;
      const largest = Math.min(batchSize, rows.length);
      this.#network.reserve(largest);
      const choice = await this.#threadsFor(largest);
      const steps = Math.ceil(rows.length / batchSize);
      const metrics = {
        loss: new Float32Array(steps),
        entropy: new Float32Array(steps),
        gradNorm: new Float32Array(steps),
        kl: new Float32Array(steps),
        clipFraction: new Float32Array(steps),
      };
      for (let step = 0; step < steps; step++) {
        const [start, end] = [step * batchSize, Math.min((step + 1) * batchSize, rows.length)];
        const startedAt = performance.now();
        this.#trainStep(segment, start, end, choice.next(), step, metrics);
        if (end - start === largest) choice.record(performance.now() - startedAt);
      }
      checkMetrics(metrics);
      return metrics;
    });
  }

  /** Outputs [n, E] of inputs [n, I], on the calling thread. */
  forward(inputsNI: Float32Array): Promise<Float32Array> {
    return this.#guarded(() => {
      const { inputDim, outputs } = this.shape;
      const count = checkInputs(inputsNI, this.shape, "cannot run the network");
      const outputsNE = new Float32Array(count * outputs);
      this.#network.reserve(Math.min(count, FORWARD_ROWS));
      for (let start = 0; start < count; start += FORWARD_ROWS) {
        const size = Math.min(FORWARD_ROWS, count - start);
        for (let b = 0; b < size; b++) {
          this.#network.setInput(b, inputsNI.subarray((start + b) * inputDim, (start + b + 1) * inputDim));
        }
        this.#network.setRows(size);
        this.#exports.run(PHASE_FORWARD, 0, 1);
        outputsNE.set(this.#network.outputs(size), start * outputs);
      }
      return outputsNE;
    });
  }

  /** Ends the threads and forgets the uploaded set. Calling it again does nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#inputsNI = new Float32Array(0);
    const team = this.#team;
    this.#team = undefined;
    await team?.stop();
  }

  /** One optimizer step over `rows[start..end)`, on the given number of threads; writes entry `step` of the metrics. */
  #trainStep(
    segment: TrainingSegment,
    start: number,
    end: number,
    threads: number,
    step: number,
    metrics: StepMetrics,
  ): void {
    const network = this.#network;
    const size = end - start;
    this.#gather(segment.rows, start, end);
    network.setRows(size);
    this.#run(PHASE_FORWARD, threads);
    const { loss, entropy, kl, clipFraction } = LOSS_HEADS[segment.head](
      network.outputs(size),
      this.#batch(segment, start, end),
      network.outputGradients(size),
    );
    this.#run(PHASE_BACKWARD, threads);
    this.#run(PHASE_GRADIENTS, threads);
    this.#run(PHASE_SQUARES, threads);
    const gradNorm = network.gradientNorm();
    if (segment.optimizer !== null) {
      network.setUpdate(updateFactors(segment.optimizer, gradNorm, ++this.#step));
      this.#run(PHASE_UPDATE, threads);
    }
    [metrics.loss[step], metrics.entropy[step], metrics.gradNorm[step]] = [loss, entropy, gradNorm];
    [metrics.kl[step], metrics.clipFraction[step]] = [kl, clipFraction];
  }

  #gather(rows: Uint32Array, start: number, end: number): void {
    const width = this.shape.inputDim;
    for (let k = start; k < end; k++) {
      const row = rows[k]!;
      this.#network.setInput(k - start, this.#inputsNI.subarray(row * width, (row + 1) * width));
    }
  }

  #batch(segment: TrainingSegment, start: number, end: number): HeadBatch {
    const { outputs } = this.shape;
    return {
      size: end - start,
      outputs,
      coefficientsBE: segment.coefficients.subarray(start * outputs, end * outputs),
      targetsB: segment.targets.subarray(start, end),
      sampleWeightsB: segment.sampleWeights.subarray(start, end),
      entropyCoef: segment.entropyCoef,
      clipRatio: segment.clipRatio,
    };
  }

  #run(phase: number, threads: number): void {
    if (threads === 1 || this.#team === undefined) this.#exports.run(phase, 0, 1);
    else this.#team.run(phase, threads);
  }

  /** How steps of a batch size choose their number of threads. Starts the threads when they are first worth it. */
  async #threadsFor(batchSize: number): Promise<ThreadChoice> {
    const worthwhile = batchSize * this.#network.parameterCount >= MULTIPLICATIONS_FOR_THREADS;
    const wanted = this.#fixedThreads ?? (worthwhile ? Math.min(this.#device.cores, MAX_THREADS) : 1);
    if (wanted > 1) await this.#startTeam(wanted);
    const most = Math.min(wanted, this.threads);
    let choice = this.#choices.get(batchSize);
    if (choice === undefined) {
      const powers = [1, 2, 4, 8].filter((threads) => threads <= most);
      choice = new ThreadChoice(this.#fixedThreads === undefined ? powers : [most]);
      this.#choices.set(batchSize, choice);
    }
    return choice;
  }

  async #startTeam(size: number): Promise<void> {
    if (this.#team !== undefined || this.#teamFailed) return;
    try {
      this.#team = await Team.start(this.#device.module, this.#network.memory, this.#exports, size);
    } catch (error) {
      if (this.#fixedThreads !== undefined) throw error;
      this.#teamFailed = true;
      getLogger(["rlcf", "engine"]).warn("Cannot start threads, going on with one: {cause}", {
        cause: messageOf(error),
      });
    }
  }

  /** Turns anything thrown into a rejection, and refuses work after disposal. */
  async #guarded<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#disposed) throw new Error("this engine has been disposed");
    return await work();
  }
}

/**
 * Makes an engine with fresh weights (seed 0).
 *
 * @throws {RlcfError} of kind `backend` where WebAssembly has no SIMD
 */
export async function createSimdEngine(shape: NetworkShape, options: SimdOptions = {}): Promise<SimdEngine> {
  checkShape(shape);
  const { kind, threads } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS)) {
    throw new RlcfError(
      "usage",
      `cannot start threads: found ${threads}, wanted a whole number from 1 to ${MAX_THREADS}`,
    );
  }
  const engine = new SimdEngine(shape, await openSimdDevice(kind), threads);
  await engine.load(initialState(shape, 0));
  return engine;
}
