/**
 * One network's place in WebAssembly memory: parameters, gradients and moments at fixed addresses, then everything
 * whose size goes with the batch. Writes the plan that the kernels read.
 *
 * Nothing here grows with the number of episodes or of steps.
 *
 * @module
 */
import { RlcfError } from "../../base/errors.ts";
import { ADAMW, type NetworkShape } from "../engine.ts";
import { layersOf } from "../network.ts";
import * as Plan from "./plan.ts";

/** One layer as the kernels see it. */
export interface PackedLayer {
  /** Inputs, padded. */
  readonly inputs: number;
  /** Outputs, padded. */
  readonly outputs: number;
  /** Place of the weights in the packed parameters, in floats. */
  readonly weightOffset: number;
  /** Place of the biases in the packed parameters, in floats. */
  readonly biasOffset: number;
}

/** What one optimizer step multiplies with. */
export interface UpdateFactors {
  /** Factor on the gradients that clips them. */
  readonly clipFactor: number;
  /** Factor on the parameters: 1 - learning rate * weight decay. */
  readonly decay: number;
  /** Learning rate, corrected for the first moments' start at 0. */
  readonly stepSize: number;
  /** Factor on sqrt(second moment) that corrects for its start at 0. */
  readonly correction: number;
}

const PAGE = 65536;
const CACHE_LINE = 64;
/** All that 32-bit addresses reach; what the modules were compiled for. Only what is used is ever committed. */
const MAX_PAGES = 65536;

/** Memory, plan and views of one network. */
export class SimdNetwork {
  /** The sizes without padding. */
  readonly shape: NetworkShape;
  /** The sizes with padding, first layer first. */
  readonly layers: readonly PackedLayer[];
  /** Number of packed parameters, padding included. */
  readonly parameterCount: number;
  /** Shared, so that threads can work on it. */
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true });
  readonly #parametersAt: number;
  readonly #gradientsAt: number;
  readonly #firstMomentsAt: number;
  readonly #secondMomentsAt: number;
  readonly #squaresAt: number;
  readonly #packedAt: number;
  /** Where the arrays begin whose size goes with the batch. */
  readonly #batchAt: number;
  /** Rows that there is room for. */
  #capacity = 0;
  #inputsAt = 0;
  #inputStride = 0;
  #outputsAt = 0;
  #outputGradientsAt = 0;
  #floats: Float32Array = new Float32Array(0);
  #words: Uint32Array = new Uint32Array(0);
  #squares: Float64Array = new Float64Array(0);

  /** Takes memory for parameters, all 0; for batches only when they are announced. */
  constructor(shape: NetworkShape) {
    this.shape = shape;
    this.layers = packedLayers(shape);
    const last = this.layers.at(-1)!;
    this.parameterCount = last.biasOffset + last.outputs;
    const place = placer(Plan.DATA);
    const bytes = 4 * this.parameterCount;
    this.#parametersAt = place(bytes);
    this.#gradientsAt = place(bytes);
    this.#firstMomentsAt = place(bytes);
    this.#secondMomentsAt = place(bytes);
    this.#squaresAt = place(8 * Math.ceil(this.parameterCount / Plan.SQUARES_CHUNK));
    this.#packedAt = place(Plan.MAX_THREADS * Plan.PACKED_BYTES);
    this.#batchAt = place(0);
    this.#grow(this.#batchAt);
    this.#writePlan();
  }

  /** [packed parameters]; valid until the next {@link reserve}. */
  get parameters(): Float32Array {
    return this.#view(this.#parametersAt, this.parameterCount);
  }

  /** [packed parameters] gradients of the last step; valid until the next {@link reserve}. */
  get gradients(): Float32Array {
    return this.#view(this.#gradientsAt, this.parameterCount);
  }

  /** [packed parameters] AdamW's first moments; valid until the next {@link reserve}. */
  get firstMoments(): Float32Array {
    return this.#view(this.#firstMomentsAt, this.parameterCount);
  }

  /** [packed parameters] AdamW's second moments; valid until the next {@link reserve}. */
  get secondMoments(): Float32Array {
    return this.#view(this.#secondMomentsAt, this.parameterCount);
  }

  /**
   * Makes room for batches of so many rows.
   *
   * @throws {RlcfError} of kind `usage` when 32-bit addresses or the machine's memory do not suffice
   */
  reserve(rows: number): void {
    if (rows <= this.#capacity) return;
    const place = placer(this.#batchAt);
    const strides = [this.layers[0]!.inputs, ...this.layers.map(({ outputs }) => outputs)].map(rowStride);
    // activations[i] are the inputs of layer i; the last one's rows are only the outputs before they are packed.
    const activations = strides.map((stride) => place(stride * rows));
    const errors = this.layers.map(({ outputs }) => place(4 * outputs * rows));
    const transposed = this.layers.map(({ inputs, outputs }, i) => i === 0 ? 0 : place(4 * inputs * outputs));
    const outputsAt = place(4 * this.shape.outputs * rows);
    const outputGradientsAt = place(4 * this.shape.outputs * rows);
    this.#grow(place(0));
    // Padding must be 0, and arrays of a smaller layout may have lain there.
    this.#floats.fill(0, this.#batchAt / 4);
    for (const i of this.layers.keys()) {
      const row = Plan.LAYERS + i * Plan.LAYER_BYTES;
      this.#setWord(row + Plan.LAYER_INPUT, activations[i]!);
      this.#setWord(row + Plan.LAYER_INPUT_STRIDE, strides[i]!);
      this.#setWord(row + Plan.LAYER_OUTPUT, activations[i + 1]!);
      this.#setWord(row + Plan.LAYER_OUTPUT_STRIDE, strides[i + 1]!);
      this.#setWord(row + Plan.LAYER_ERRORS, errors[i]!);
      this.#setWord(row + Plan.LAYER_TRANSPOSED, transposed[i]!);
    }
    this.#setWord(Plan.PLAN + Plan.PLAN_OUTPUTS, outputsAt);
    this.#setWord(Plan.PLAN + Plan.PLAN_OUTPUT_GRADIENTS, outputGradientsAt);
    [this.#inputsAt, this.#inputStride] = [activations[0]! / 4, strides[0]! / 4];
    [this.#outputsAt, this.#outputGradientsAt] = [outputsAt, outputGradientsAt];
    this.#capacity = rows;
  }

  /** Copies one unscaled input row [I] into the batch. */
  setInput(b: number, rowI: Float32Array): void {
    this.#floats.set(rowI, this.#inputsAt + b * this.#inputStride);
  }

  /** Tells the kernels how many rows the batch has. */
  setRows(rows: number): void {
    this.#setWord(Plan.PLAN + Plan.PLAN_ROWS, rows);
  }

  /** [B, E] outputs, there after the forward phase. */
  outputs(rows: number): Float32Array {
    return this.#view(this.#outputsAt, rows * this.shape.outputs);
  }

  /** [B, E] the loss's gradient at the outputs, to be there before the backward phase. */
  outputGradients(rows: number): Float32Array {
    return this.#view(this.#outputGradientsAt, rows * this.shape.outputs);
  }

  /** The l2 norm of all gradients, from the partial sums of the squares phase. */
  gradientNorm(): number {
    let sum = 0;
    for (let chunk = 0; chunk < this.#squares.length; chunk++) sum += this.#squares[chunk]!;
    return Math.sqrt(sum);
  }

  /** Tells the kernels how to update the parameters. */
  setUpdate({ clipFactor, decay, stepSize, correction }: UpdateFactors): void {
    this.#setFloat(Plan.PLAN_CLIP_FACTOR, clipFactor);
    this.#setFloat(Plan.PLAN_DECAY, decay);
    this.#setFloat(Plan.PLAN_STEP_SIZE, stepSize);
    this.#setFloat(Plan.PLAN_CORRECTION, correction);
  }

  #writePlan(): void {
    const plan = Plan.PLAN;
    this.#setWord(plan + Plan.PLAN_LAYERS, this.layers.length);
    this.#setWord(plan + Plan.PLAN_PARAMETERS, this.parameterCount);
    this.#setWord(plan + Plan.PLAN_VALUES, this.#parametersAt);
    this.#setWord(plan + Plan.PLAN_GRADIENTS, this.#gradientsAt);
    this.#setWord(plan + Plan.PLAN_FIRST_MOMENTS, this.#firstMomentsAt);
    this.#setWord(plan + Plan.PLAN_SECOND_MOMENTS, this.#secondMomentsAt);
    this.#setWord(plan + Plan.PLAN_SQUARES, this.#squaresAt);
    this.#setWord(plan + Plan.PLAN_PACKED, this.#packedAt);
    this.#setWord(plan + Plan.PLAN_OUTPUT_COUNT, this.shape.outputs);
    this.#setFloat(Plan.PLAN_INPUT_SCALE, this.shape.inputScale);
    this.#setFloat(Plan.PLAN_BETA1, ADAMW.beta1);
    this.#setFloat(Plan.PLAN_ONE_LESS_BETA1, 1 - ADAMW.beta1);
    this.#setFloat(Plan.PLAN_BETA2, ADAMW.beta2);
    this.#setFloat(Plan.PLAN_ONE_LESS_BETA2, 1 - ADAMW.beta2);
    this.#setFloat(Plan.PLAN_EPSILON, ADAMW.epsilon);
    for (const [i, layer] of this.layers.entries()) {
      const row = Plan.LAYERS + i * Plan.LAYER_BYTES;
      this.#setWord(row + Plan.LAYER_INPUTS, layer.inputs);
      this.#setWord(row + Plan.LAYER_OUTPUTS, layer.outputs);
      this.#setWord(row + Plan.LAYER_WEIGHTS, 4 * layer.weightOffset);
      this.#setWord(row + Plan.LAYER_BIASES, 4 * layer.biasOffset);
    }
  }

  /** Makes the memory so many bytes large, and the views as large as the memory. */
  #grow(bytes: number): void {
    const missing = Math.ceil(bytes / PAGE) - this.memory.buffer.byteLength / PAGE;
    try {
      if (missing > 0) this.memory.grow(missing);
    } catch (error) {
      throw new RlcfError(
        "usage",
        `cannot make room for the batch: the network and the batch take ${bytes} bytes, wanted at most ` +
          `${MAX_PAGES * PAGE} and no more than the machine has free`,
        { hint: "Choose a smaller batch size.", cause: error },
      );
    }
    this.#floats = new Float32Array(this.memory.buffer);
    this.#words = new Uint32Array(this.memory.buffer);
    const chunks = Math.ceil(this.parameterCount / Plan.SQUARES_CHUNK);
    this.#squares = new Float64Array(this.memory.buffer, this.#squaresAt, chunks);
  }

  #view(address: number, length: number): Float32Array {
    return this.#floats.subarray(address / 4, address / 4 + length);
  }

  #setWord(address: number, value: number): void {
    this.#words[address / 4] = value;
  }

  #setFloat(word: number, value: number): void {
    this.#floats[(Plan.PLAN + word) / 4] = value;
  }
}

/** The layers with their sizes padded, each layer's weights followed by its biases. */
function packedLayers(shape: NetworkShape): PackedLayer[] {
  let offset = 0;
  return layersOf(shape).map((layer) => {
    const [inputs, outputs] = [padded(layer.inputs), padded(layer.outputs)];
    const packed = { inputs, outputs, weightOffset: offset, biasOffset: offset + inputs * outputs };
    offset = packed.biasOffset + outputs;
    return packed;
  });
}

/** The next multiple of the panel width. */
function padded(size: number): number {
  return Math.ceil(size / Plan.PANEL) * Plan.PANEL;
}

/**
 * Bytes from one row of activations to the next: an odd number of cache lines. With a power of two, the rows of one
 * column would all fall into the same few places of the first-level cache and throw each other out.
 */
function rowStride(width: number): number {
  const lines = Math.ceil(4 * width / CACHE_LINE);
  return CACHE_LINE * (lines % 2 === 0 ? lines + 1 : lines);
}

/** Hands out addresses one after the other, each at the start of a cache line. */
function placer(start: number): (bytes: number) => number {
  let next = start;
  return (bytes) => {
    const address = next;
    next = CACHE_LINE * Math.ceil((address + bytes) / CACHE_LINE);
    return address;
  };
}
