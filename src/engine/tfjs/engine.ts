/**
 * The engine on plain TensorFlow.js operations: the copy to read, and what the fused engines are compared with. Runs on
 * the backends webgpu, wasm and cpu.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { RlcfError } from "../../base/errors.ts";
import { checkInputs, checkLoad, checkMetrics, checkSegment } from "../checks.ts";
import type { NetworkShape, PolicyEngine, StepMetrics, TrainingSegment, TrainingState } from "../engine.ts";
import { checkShape, initialState, layersOf } from "../network.ts";
import { openTfjsDevice, type TfjsBackendName, type TfjsDevice } from "./device.ts";
import { TENSOR_HEADS, type TensorBatch } from "./heads.ts";
import { backward, type DenseLayer, forward } from "./network.ts";
import { adamW, clipFactor, globalNorm, type OptimizedTensor } from "./optimizer.ts";
import { flatOf, tensorsOf } from "./state.ts";

/** Inputs of one forward pass: 4 Mi numbers (16 MiB), so that any number of rows fits any device. */
const FORWARD_NUMBERS = 2 ** 22;

/** Steps whose metrics are kept as single tensors before they are joined into one. */
const METRICS_PER_JOIN = 256;

/** An engine on a backend of TensorFlow.js. Made by {@link createTfjsEngine}. */
export class TfjsEngine implements PolicyEngine {
  /** Sizes of the network. */
  readonly shape: NetworkShape;
  /** The backend of TensorFlow.js that it runs on. */
  readonly backend: TfjsBackendName;
  /** The device in words. */
  readonly device: string;
  readonly #device: TfjsDevice;
  /** Weight and bias of each layer in turn, each with its moments. */
  #tensors: OptimizedTensor[] = [];
  #step = 0;
  /**
   * The uploaded set stays in main memory and each batch is sent when its step comes. On a GPU a set of 43,691
   * embeddings of 768 numbers would exceed what one binding can hold (128 MiB), and a batch is small beside its step.
   */
  #inputsNI: Float32Array = new Float32Array(0);
  #disposed = false;

  /** Takes over the device. Holds zeros until {@link load}; {@link createTfjsEngine} loads fresh weights. */
  constructor(shape: NetworkShape, device: TfjsDevice) {
    this.shape = shape;
    this.#device = device;
    this.backend = device.backend;
    this.device = device.device;
  }

  load(state: TrainingState): Promise<void> {
    return this.#guarded(() => {
      checkLoad(state, this.shape);
      const loaded = this.#device.run(() => {
        const values = tensorsOf(this.shape, state.parameters);
        const first = tensorsOf(this.shape, state.firstMoments);
        const second = tensorsOf(this.shape, state.secondMoments);
        return values.map((value, i) => ({ value, first: first[i]!, second: second[i]! }));
      });
      this.#replace(loaded, state.step);
    });
  }

  read(): Promise<TrainingState> {
    return this.#guarded(async () => {
      const column = (name: keyof OptimizedTensor): Promise<Float32Array> =>
        flatOf(this.shape, this.#tensors.map((tensor) => tensor[name]), this.#device.read);
      const step = this.#step;
      const [parameters, firstMoments, secondMoments] = await Promise.all([
        column("value"),
        column("first"),
        column("second"),
      ]);
      return { shape: this.shape, parameters, firstMoments, secondMoments, step };
    });
  }

  upload(inputsNI: Float32Array): Promise<void> {
    return this.#guarded(() => {
      checkInputs(inputsNI, this.shape, "cannot upload inputs");
      this.#inputsNI = inputsNI;
    });
  }

  train(segment: TrainingSegment): Promise<StepMetrics> {
    return this.#guarded(async () => {
      checkSegment(segment, this.shape, this.#inputsNI.length / this.shape.inputDim);
      this.#checkBatchFits(Math.min(segment.batchSize, segment.rows.length));
      let measured: tf.Tensor1D[] = [];
      try {
        for (let start = 0; start < segment.rows.length; start += segment.batchSize) {
          measured.push(this.#trainStep(segment, start, Math.min(start + segment.batchSize, segment.rows.length)));
          if (measured.length === METRICS_PER_JOIN) measured = [this.#join(measured)];
        }
        if (measured.length === 0) return metricsOf(new Float32Array(0));
        measured = [this.#join(measured)];
        // The only wait for the device in the whole segment.
        const metrics = metricsOf(await this.#device.read(measured[0]!));
        checkMetrics(metrics);
        return metrics;
      } finally {
        tf.dispose(measured);
      }
    });
  }

  forward(inputsNI: Float32Array): Promise<Float32Array> {
    return this.#guarded(async () => {
      const { inputDim, outputs } = this.shape;
      const count = checkInputs(inputsNI, this.shape, "cannot run the network");
      const outputsNE = new Float32Array(count * outputs);
      const rowsPerPass = Math.max(1, Math.floor(FORWARD_NUMBERS / Math.max(inputDim, this.shape.hiddenDim, outputs)));
      for (let start = 0; start < count; start += rowsPerPass) {
        const end = Math.min(start + rowsPerPass, count);
        const inputsBI = inputsNI.slice(start * inputDim, end * inputDim);
        const passBE = this.#device.run(() => forward(this.#layers(), this.#scaled(inputsBI)).at(-1)!);
        try {
          outputsNE.set(await this.#device.read(passBE), start * outputs);
        } finally {
          passBE.dispose();
        }
      }
      return outputsNE;
    });
  }

  /** Frees every tensor and forgets the uploaded set. Calling it again does nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#disposed) {
      this.#replace([], 0);
      this.#inputsNI = new Float32Array(0);
      this.#device.close();
      this.#disposed = true;
    }
    return Promise.resolve();
  }

  /** One optimizer step over `rows[start..end)`; returns what it measured, in the order of {@link metricsOf}. */
  #trainStep(segment: TrainingSegment, start: number, end: number): tf.Tensor1D {
    const { optimizer } = segment;
    const step = this.#step + 1;
    const { tensors, metrics } = this.#device.run(() => {
      const layers = this.#layers();
      const activations = forward(layers, this.#scaled(this.#gather(segment.rows.subarray(start, end))));
      const head = TENSOR_HEADS[segment.head](activations.at(-1)!, this.#batch(segment, start, end));
      const gradients = backward(layers, activations, head.gradientBE).flatMap((g) => [g.weightIO, g.biasO]);
      const norm = globalNorm(gradients);
      const { loss, entropy, kl = tf.scalar(0), clipFraction = tf.scalar(0) } = head;
      const metrics = tf.stack([loss, entropy, norm, kl, clipFraction]) as tf.Tensor1D;
      if (optimizer === null) return { tensors: [], metrics };
      const factor = clipFactor(norm, optimizer.clipGradNorm);
      const tensors = this.#tensors.map((tensor, i) => adamW(tensor, tf.mul(gradients[i]!, factor), step, optimizer));
      return { tensors, metrics };
    });
    if (optimizer !== null) this.#replace(tensors, step);
    return metrics;
  }

  /** The parameters in the form that the forward and backward pass read. */
  #layers(): DenseLayer[] {
    return layersOf(this.shape).map((_layer, i) => ({
      weightIO: this.#tensors[2 * i]!.value as tf.Tensor2D,
      biasO: this.#tensors[2 * i + 1]!.value as tf.Tensor1D,
    }));
  }

  #scaled(inputsBI: Float32Array): tf.Tensor2D {
    const { inputDim, inputScale } = this.shape;
    return tf.mul(tf.tensor2d(inputsBI, [inputsBI.length / inputDim, inputDim]), inputScale);
  }

  /** A fresh array each time: the cpu backend keeps the array that it is given. */
  #gather(rows: Uint32Array): Float32Array {
    const width = this.shape.inputDim;
    const inputsBI = new Float32Array(rows.length * width);
    for (const [b, row] of rows.entries()) {
      inputsBI.set(this.#inputsNI.subarray(row * width, (row + 1) * width), b * width);
    }
    return inputsBI;
  }

  #batch(
    { coefficients, targets, sampleWeights, entropyCoef, clipRatio }: TrainingSegment,
    start: number,
    end: number,
  ): TensorBatch {
    const [size, { outputs }] = [end - start, this.shape];
    return {
      coefficientsBE: tf.tensor2d(coefficients.slice(start * outputs, end * outputs), [size, outputs]),
      targetsB1: tf.tensor2d(targets.slice(start, end), [size, 1]),
      scaleB1: tf.tensor2d(sampleWeights.slice(start, end).map((weight) => weight / size), [size, 1]),
      entropyCoef,
      clipRatio,
    };
  }

  /** One tensor with the contents of all, which are freed. */
  #join(parts: readonly tf.Tensor1D[]): tf.Tensor1D {
    const joined = this.#device.run(() => tf.concat1d([...parts]));
    for (const part of parts) part.dispose();
    return joined;
  }

  #replace(tensors: OptimizedTensor[], step: number): void {
    for (const { value, first, second } of this.#tensors) tf.dispose([value, first, second]);
    this.#tensors = tensors;
    this.#step = step;
  }

  #checkBatchFits(batchSize: number): void {
    const bytes = 4 * batchSize * Math.max(this.shape.inputDim, this.shape.hiddenDim, this.shape.outputs);
    if (bytes <= this.#device.maxTensorBytes) return;
    throw new RlcfError(
      "usage",
      `cannot train: a batch of ${batchSize} rows takes ${bytes} bytes, and ${this.device} reads at most ` +
        `${this.#device.maxTensorBytes} at once`,
      { hint: "Choose a smaller batch size." },
    );
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
 * @throws {RlcfError} of kind `backend` when the backend is not available or cannot hold the network
 */
export async function createTfjsEngine(shape: NetworkShape, backend: TfjsBackendName): Promise<TfjsEngine> {
  checkShape(shape);
  const device = await openTfjsDevice(backend);
  const largest = 4 * Math.max(...layersOf(shape).map((layer) => layer.inputs * layer.outputs));
  if (largest > device.maxTensorBytes) {
    device.close();
    throw new RlcfError(
      "backend",
      `cannot use backend "${backend}": a layer of this network takes ${largest} bytes, and ${device.device} reads at ` +
        `most ${device.maxTensorBytes} at once`,
    );
  }
  const engine = new TfjsEngine(shape, device);
  await engine.load(initialState(shape, 0));
  return engine;
}

/** Sorts [loss, entropy, gradNorm, kl, clipFraction] of each step into columns. */
function metricsOf(measured: Float32Array): StepMetrics {
  const column = (offset: number): Float32Array =>
    Float32Array.from({ length: measured.length / 5 }, (_, step) => measured[5 * step + offset]!);
  return { loss: column(0), entropy: column(1), gradNorm: column(2), kl: column(3), clipFraction: column(4) };
}
