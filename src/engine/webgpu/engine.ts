/**
 * The fused engine on the GPU: the uploaded set stays there, a training step is four dispatches of kernels made for the
 * shape of the network, many steps travel in one submit, and what they measured is read back once per call.
 *
 * A call of {@link WebgpuEngine.train} costs one or two read-backs of about 10 ms whatever its length: give it many steps.
 *
 * @module
 */
import { RlcfError } from "../../base/errors.ts";
import { checkInputs, checkLoad, checkMetrics, checkSegment } from "../checks.ts";
import type { NetworkShape, PolicyEngine, StepMetrics, TrainingSegment, TrainingState } from "../engine.ts";
import { checkShape, initialState } from "../network.ts";
import { Gpu, openGpu } from "./device.ts";
import { paddedRows, ResidentInputs, uploadInputs } from "./inputs.ts";
import { type NetworkPlan, planNetwork, splitsOf } from "./plan.ts";
import { Programs } from "./programs.ts";
import type { LayerTensors, WeightSharing } from "../weight_tensors.ts";
import { weightTensors } from "./sharing.ts";
import { padded, transposedWeights, unpadded } from "./state.ts";
import { STEP_STRIDE, writeStep } from "./step.ts";
import { cutSegment, RING_STEPS, SUBMIT_BYTES, SUBMIT_ROWS, SUBMIT_STEPS, trainSegment } from "./training.ts";
import { type Room, type StateBuffers, stateBuffers, Workspace, workspaceBytes } from "./workspace.ts";

/** Rows of one forward pass. */
const FORWARD_ROWS = 1024;

/** What tests turn, so that small sets go the way of large ones. The results do not depend on it. */
export interface WebgpuOptions {
  /** Largest block of the uploaded set, in bytes; the device's own limit by default. */
  readonly blockBytes?: number;
  /** Most steps in one submit. */
  readonly submitSteps?: number;
  /** Most steps between two read-backs, at most 4096. */
  readonly ringSteps?: number;
}

/** The engine on fused kernels. Made by {@link createWebgpuEngine}. */
export class WebgpuEngine implements PolicyEngine, WeightSharing {
  /** The backend to ask for it by. */
  readonly backend = "webgpu";
  /** Sizes of the network. */
  readonly shape: NetworkShape;
  /** The device in words. */
  readonly device: string;
  readonly #gpu: Gpu;
  readonly #plan: NetworkPlan;
  readonly #programs: Programs;
  readonly #state: StateBuffers;
  readonly #options: Required<WebgpuOptions>;
  #workspace: Workspace | undefined;
  #inputs = new ResidentInputs(0, [], 1);
  #step = 0;
  #disposed = false;

  /** Takes over the device and the buffers. {@link createWebgpuEngine} loads fresh weights. */
  constructor(gpu: Gpu, plan: NetworkPlan, programs: Programs, state: StateBuffers, options: WebgpuOptions) {
    this.shape = plan.shape;
    this.device = gpu.name;
    this.#gpu = gpu;
    this.#plan = plan;
    this.#programs = programs;
    this.#state = state;
    this.#options = { blockBytes: gpu.maxBindingBytes, submitSteps: SUBMIT_STEPS, ringSteps: RING_STEPS, ...options };
  }

  load(state: TrainingState): Promise<void> {
    return this.#guarded(async () => {
      checkLoad(state, this.shape);
      const [plan, { parameters, moments, transposed }] = [this.#plan, this.#state];
      const { queue } = this.#gpu.device;
      await this.#gpu.attempt("cannot load weights", () => {
        queue.writeBuffer(parameters, 0, padded(plan, state.parameters));
        queue.writeBuffer(moments, 0, padded(plan, state.firstMoments));
        queue.writeBuffer(moments, 16 * plan.parameters4, padded(plan, state.secondMoments));
        // Deno 2.9 aborts the whole process on an empty write, which a linear network would make.
        if (plan.transposed4 > 0) queue.writeBuffer(transposed, 0, transposedWeights(plan, state.parameters));
      });
      this.#step = state.step;
    });
  }

  read(): Promise<TrainingState> {
    return this.#guarded(async () => {
      const bytes = 16 * this.#plan.parameters4;
      const step = this.#step;
      const contents = await this.#gpu.read("cannot read weights", 3 * bytes, (encoder, target) => {
        encoder.copyBufferToBuffer(this.#state.parameters, 0, target, 0, bytes);
        encoder.copyBufferToBuffer(this.#state.moments, 0, target, bytes, 2 * bytes);
      });
      const column = (i: number): Float32Array =>
        unpadded(this.#plan, new Float32Array(contents, i * bytes, bytes / 4));
      return { shape: this.shape, parameters: column(0), firstMoments: column(1), secondMoments: column(2), step };
    });
  }

  upload(inputsNI: Float32Array): Promise<void> {
    return this.#guarded(async () => {
      checkInputs(inputsNI, this.shape, "cannot upload inputs");
      // The old set goes first: there may not be room for both.
      this.#workspace?.forgetBlocks();
      this.#inputs.free(this.#gpu);
      this.#inputs = new ResidentInputs(0, [], 1);
      this.#inputs = await uploadInputs(this.#gpu, this.#plan, inputsNI, this.#options.blockBytes);
    });
  }

  train(segment: TrainingSegment): Promise<StepMetrics> {
    return this.#guarded(async () => {
      checkSegment(segment, this.shape, this.#inputs.rows);
      if (segment.rows.length === 0) return noSteps();
      const [gpu, plan, programs, inputs] = [this.#gpu, this.#plan, this.#programs, this.#inputs];
      const cut = cutSegment(plan, segment, inputs.blocks, this.#options);
      this.#checkBatchFits(cut.room.batchRows);
      const workspace = await this.#workspaceFor("cannot train", cut.room);
      const metrics = await trainSegment({ gpu, plan, programs, inputs, workspace }, segment, cut, this.#step);
      if (segment.optimizer !== null) this.#step += metrics.loss.length;
      checkMetrics(metrics);
      return metrics;
    });
  }

  forward(inputsNI: Float32Array): Promise<Float32Array> {
    return this.#guarded(async () => {
      const { inputDim, outputs } = this.shape;
      const count = checkInputs(inputsNI, this.shape, "cannot run the network");
      const outputsNE = new Float32Array(count * outputs);
      const rowBytes = 16 * this.#plan.layers[0]!.inputs4;
      const perSubmit = Math.max(1, Math.min(count, SUBMIT_ROWS, Math.floor(SUBMIT_BYTES / rowBytes)));
      for (let start = 0; start < count; start += perSubmit) {
        const end = Math.min(start + perSubmit, count);
        outputsNE.set(await this.#forward(inputsNI.subarray(start * inputDim, end * inputDim)), start * outputs);
      }
      return outputsNE;
    });
  }

  /**
   * The weights as tensors on TensorFlow.js' webgpu backend, copied on the GPU. They are a snapshot: tensors that shared
   * the engine's own buffers would go stale, since TensorFlow.js keeps what it has once read of a tensor, and does not
   * know of the engine's kernels. The caller disposes of them.
   */
  weightTensors(): Promise<LayerTensors[]> {
    return this.#guarded(() =>
      this.#gpu.attempt("cannot share weights", () => weightTensors(this.#gpu, this.#plan, this.#state.parameters))
    );
  }

  /** Frees every buffer. Calling it again does nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#disposed) this.#gpu.close();
    this.#disposed = true;
    return Promise.resolve();
  }

  /** Outputs of as many rows as one submit takes. */
  async #forward(inputsBI: Float32Array): Promise<Float32Array> {
    const { inputDim, outputs } = this.shape;
    const count = inputsBI.length / inputDim;
    const passes = Math.ceil(count / FORWARD_ROWS);
    const workspace = await this.#workspaceFor("cannot run the network", {
      batchRows: Math.min(count, FORWARD_ROWS),
      submitRows: count,
      steps: passes,
    });
    const width = 4 * this.#plan.layers.at(-1)!.outputs4;
    const bytes = 4 * count * width;
    const contents = await this.#gpu.read("cannot run the network", bytes, (encoder, target) => {
      const numbers = new DataView(new ArrayBuffer(STEP_STRIDE * passes));
      const pass = encoder.beginComputePass();
      for (let i = 0; i < passes; i++) {
        const first = i * FORWARD_ROWS;
        const rows = Math.min(FORWARD_ROWS, count - first);
        writeStep(numbers, i, { rows, first, splits: splitsOf(this.#plan, rows) });
        this.#programs.forward(pass, workspace, rows, i);
      }
      pass.end();
      this.#gpu.device.queue.writeBuffer(workspace.steps, 0, numbers);
      this.#gpu.device.queue.writeBuffer(workspace.buffers.inputs, 0, paddedRows(inputsBI, inputDim));
      encoder.copyBufferToBuffer(workspace.buffers.outputs, 0, target, 0, bytes);
    });
    const padded = new Float32Array(contents);
    const outputsBE = new Float32Array(count * outputs);
    for (let b = 0; b < count; b++) outputsBE.set(padded.subarray(b * width, b * width + outputs), b * outputs);
    return outputsBE;
  }

  /** The workspace, made anew where it is too small. */
  async #workspaceFor(doing: string, wanted: Room): Promise<Workspace> {
    const old = this.#workspace;
    if (old?.holds(wanted)) return old;
    const room = {
      batchRows: Math.max(wanted.batchRows, old?.room.batchRows ?? 0),
      submitRows: Math.max(wanted.submitRows, old?.room.submitRows ?? 0),
      steps: Math.max(wanted.steps, old?.room.steps ?? 0),
    };
    this.#workspace = undefined;
    old?.free(this.#gpu);
    return this.#workspace = await this.#gpu.attempt(
      doing,
      () => new Workspace(this.#gpu, this.#plan, this.#state, room),
    );
  }

  #checkBatchFits(batchRows: number): void {
    const bytes = Math.max(...Object.values(workspaceBytes(this.#plan, { batchRows, submitRows: batchRows })));
    const limit = this.#gpu.maxBindingBytes;
    if (bytes <= limit) return;
    throw new RlcfError(
      "backend",
      `cannot train: a batch of ${batchRows} rows takes ${bytes} bytes, and ${this.device} reads at most ${limit} at once`,
      { hint: "Choose a smaller batch size." },
    );
  }

  /** Turns anything thrown into a rejection, and refuses work after disposal. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#disposed) throw new Error("this engine has been disposed");
    return await work();
  }
}

/**
 * Makes an engine with fresh weights (seed 0).
 *
 * @throws {RlcfError} of kind `backend` when there is no GPU, when it cannot hold the network, or rejects a kernel
 */
export async function createWebgpuEngine(shape: NetworkShape, options: WebgpuOptions = {}): Promise<WebgpuEngine> {
  checkShape(shape);
  const gpu = await openGpu();
  try {
    const plan = planNetwork(shape);
    checkNetworkFits(plan, gpu);
    const programs = new Programs(gpu, plan);
    const state = await gpu.attempt('cannot use backend "webgpu"', () => {
      programs.compile();
      return stateBuffers(gpu, plan, options.ringSteps ?? RING_STEPS);
    });
    const engine = new WebgpuEngine(gpu, plan, programs, state, options);
    await engine.load(initialState(shape, 0));
    return engine;
  } catch (error) {
    gpu.close();
    throw error;
  }
}

/** Throws when a buffer of the state, or a single row, is more than a kernel can read. */
function checkNetworkFits(plan: NetworkPlan, gpu: Gpu): void {
  const row = Math.max(...Object.values(workspaceBytes(plan, { batchRows: 1, submitRows: 1 })));
  const bytes = Math.max(32 * plan.parameters4, row);
  if (bytes <= gpu.maxBindingBytes) return;
  throw new RlcfError(
    "backend",
    `cannot use backend "webgpu": this network takes a buffer of ${bytes} bytes, and ${gpu.name} reads at most ` +
      `${gpu.maxBindingBytes} at once`,
  );
}

function noSteps(): StepMetrics {
  const none = new Float32Array(0);
  return { loss: none, entropy: none, gradNorm: none, kl: none, clipFraction: none };
}
