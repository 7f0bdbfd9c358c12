/**
 * The oracle of the engine tests: the semantics of `PolicyEngine` in float64 and plain loops, sharing with the engines
 * only the layout of the parameters and the definitions of the loss heads, which have tests of their own.
 *
 * @module
 */
import {
  ADAMW,
  type NetworkShape,
  type OptimizerSettings,
  type PolicyEngine,
  type StepMetrics,
  type TrainingSegment,
  type TrainingState,
} from "../../src/engine/engine.ts";
import { checkState, type Layer, layersOf, parameterCount } from "../../src/engine/network.ts";
import {
  CLIP_RATIO,
  type HeadBatch,
  type HeadValue,
  logSoftmax,
  LOSS_HEADS,
  type LossHeadName,
} from "../../src/loss/heads.ts";

/** A batch as the reference sees it. */
export interface ReferenceBatch extends HeadBatch {
  /** Which loss. */
  readonly head: LossHeadName;
  /** [B, I] unscaled inputs. */
  readonly inputsBI: ArrayLike<number>;
}

/** What the head measured, and the gradient of every parameter. */
export interface ReferenceGradient extends HeadValue {
  /** [P] */
  readonly gradientP: Float64Array;
  /**
   * Smallest distance of a hidden unit from the kink of its ReLU, or of one of PPO's ratios from an end of the clip
   * range; Infinity where there is neither.
   */
  readonly kinkMargin: number;
}

/** All layers' outputs of one batch, the scaled inputs first; ReLU applied to all but the last. */
interface Pass {
  readonly activations: readonly Float64Array[];
  readonly kinkMargin: number;
}

/** Runs the network in float64. */
export function referenceForward(shape: NetworkShape, parametersP: Float64Array, inputsBI: ArrayLike<number>): Pass {
  const size = inputsBI.length / shape.inputDim;
  const activations = [Float64Array.from(inputsBI, (x) => x * shape.inputScale)];
  let kinkMargin = Infinity;
  const layers = layersOf(shape);
  for (const layer of layers) {
    const inputs = activations.at(-1)!;
    const outputs = new Float64Array(size * layer.outputs);
    for (let b = 0; b < size; b++) {
      for (let o = 0; o < layer.outputs; o++) {
        let sum = parametersP[layer.biasOffset + o]!;
        for (let i = 0; i < layer.inputs; i++) {
          sum += parametersP[layer.weightOffset + o * layer.inputs + i]! * inputs[b * layer.inputs + i]!;
        }
        outputs[b * layer.outputs + o] = sum;
      }
    }
    if (layer !== layers.at(-1)) {
      for (let k = 0; k < outputs.length; k++) {
        kinkMargin = Math.min(kinkMargin, Math.abs(outputs[k]!));
        outputs[k] = Math.max(outputs[k]!, 0);
      }
    }
    activations.push(outputs);
  }
  return { activations, kinkMargin };
}

/** Loss of a batch and its gradient by backpropagation, in float64. */
export function referenceGradient(
  shape: NetworkShape,
  parametersP: Float64Array,
  batch: ReferenceBatch,
): ReferenceGradient {
  const { activations, kinkMargin } = referenceForward(shape, parametersP, batch.inputsBI);
  let errorsBO = new Float64Array(batch.size * shape.outputs);
  const measured = LOSS_HEADS[batch.head](activations.at(-1)!, batch, errorsBO);
  const gradientP = new Float64Array(parametersP.length);
  for (const [i, layer] of [...layersOf(shape).entries()].reverse()) {
    errorsBO = backThrough(layer, parametersP, activations[i]!, errorsBO, gradientP);
  }
  const margin = batch.head === "ppo_actor" ? clipMargin(activations.at(-1)!, batch) : Infinity;
  return { ...measured, gradientP, kinkMargin: Math.min(kinkMargin, margin) };
}

/** Smallest distance of a ratio from an end of the clip range, where PPO's loss has a kink. */
export function clipMargin(logitsBE: Float64Array, batch: HeadBatch): number {
  const { size, outputs, coefficientsBE, clipRatio = CLIP_RATIO } = batch;
  const [piE, logPiE] = [new Float64Array(outputs), new Float64Array(outputs)];
  let margin = Infinity;
  for (let b = 0; b < size; b++) {
    logSoftmax(logitsBE.subarray(b * outputs, (b + 1) * outputs), piE, logPiE);
    const ratio = piE.reduce((sum, pi, e) => sum + pi * coefficientsBE[b * outputs + e]!, 0);
    for (const end of [1 - clipRatio, 1 + clipRatio]) margin = Math.min(margin, Math.abs(ratio - end));
  }
  return margin;
}

/** Adds up one layer's gradient; returns the errors at its inputs, zero where the ReLU below was off. */
function backThrough(
  layer: Layer,
  parametersP: Float64Array,
  inputsBI: Float64Array,
  errorsBO: Float64Array,
  gradientP: Float64Array,
): Float64Array<ArrayBuffer> {
  const errorsBI = new Float64Array(inputsBI.length);
  for (let b = 0; b < inputsBI.length / layer.inputs; b++) {
    for (let o = 0; o < layer.outputs; o++) {
      const error = errorsBO[b * layer.outputs + o]!;
      gradientP[layer.biasOffset + o]! += error;
      for (let i = 0; i < layer.inputs; i++) {
        const [weight, input] = [layer.weightOffset + o * layer.inputs + i, b * layer.inputs + i];
        gradientP[weight]! += error * inputsBI[input]!;
        if (inputsBI[input]! > 0) errorsBI[input]! += error * parametersP[weight]!;
      }
    }
  }
  return errorsBI;
}

/** What one step measured. */
type MeasuredStep = HeadValue & { readonly gradNorm: number };

/** The reference as an engine; float64 inside, rounded only where the interface asks for float32. */
export class ReferenceEngine implements PolicyEngine {
  readonly backend = "cpu";
  readonly device = "float64 reference";
  /** [P] parameters. */
  parameters: Float64Array;
  /** [P] AdamW's first moments. */
  firstMoments: Float64Array;
  /** [P] AdamW's second moments. */
  secondMoments: Float64Array;
  /** Smallest distance of a hidden unit from the kink of its ReLU in any step so far. */
  kinkMargin = Infinity;
  #step = 0;
  #inputsNI = new Float32Array(0);

  constructor(readonly shape: NetworkShape) {
    const zeros = (): Float64Array => new Float64Array(parameterCount(shape));
    [this.parameters, this.firstMoments, this.secondMoments] = [zeros(), zeros(), zeros()];
  }

  load(state: TrainingState): Promise<void> {
    checkState(state, this.shape);
    this.parameters = Float64Array.from(state.parameters);
    this.firstMoments = Float64Array.from(state.firstMoments);
    this.secondMoments = Float64Array.from(state.secondMoments);
    this.#step = state.step;
    return Promise.resolve();
  }

  read(): Promise<TrainingState> {
    return Promise.resolve({
      shape: this.shape,
      parameters: Float32Array.from(this.parameters),
      firstMoments: Float32Array.from(this.firstMoments),
      secondMoments: Float32Array.from(this.secondMoments),
      step: this.#step,
    });
  }

  upload(inputsNI: Float32Array): Promise<void> {
    this.#inputsNI = Float32Array.from(inputsNI);
    return Promise.resolve();
  }

  train(segment: TrainingSegment): Promise<StepMetrics> {
    const measured: MeasuredStep[] = [];
    for (let start = 0; start < segment.rows.length; start += segment.batchSize) {
      measured.push(this.#trainStep(segment, start, Math.min(start + segment.batchSize, segment.rows.length)));
    }
    const column = (name: keyof MeasuredStep): Float32Array => Float32Array.from(measured, (step) => step[name]);
    return Promise.resolve({
      loss: column("loss"),
      entropy: column("entropy"),
      gradNorm: column("gradNorm"),
      kl: column("kl"),
      clipFraction: column("clipFraction"),
    });
  }

  forward(inputsNI: Float32Array): Promise<Float32Array> {
    const { activations } = referenceForward(this.shape, this.parameters, inputsNI);
    return Promise.resolve(Float32Array.from(activations.at(-1)!));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #trainStep(
    segment: TrainingSegment,
    start: number,
    end: number,
  ): MeasuredStep {
    const { inputDim, outputs } = this.shape;
    const inputsBI: number[] = [];
    for (const row of segment.rows.subarray(start, end)) {
      inputsBI.push(...this.#inputsNI.subarray(row * inputDim, (row + 1) * inputDim));
    }
    const { gradientP, kinkMargin, ...measured } = referenceGradient(this.shape, this.parameters, {
      head: segment.head,
      inputsBI,
      size: end - start,
      outputs,
      coefficientsBE: segment.coefficients.subarray(start * outputs, end * outputs),
      targetsB: segment.targets.subarray(start, end),
      sampleWeightsB: segment.sampleWeights.subarray(start, end),
      entropyCoef: segment.entropyCoef,
      clipRatio: segment.clipRatio,
    });
    this.kinkMargin = Math.min(this.kinkMargin, kinkMargin);
    const gradNorm = Math.hypot(...chunkNorms(gradientP));
    if (segment.optimizer !== null) this.#adamW(gradientP, gradNorm, segment.optimizer);
    return { ...measured, gradNorm };
  }

  #adamW(gradientP: Float64Array, gradNorm: number, optimizer: OptimizerSettings): void {
    const { beta1, beta2, epsilon, clipEpsilon } = ADAMW;
    const { learningRate, weightDecay, clipGradNorm } = optimizer;
    const factor = clipGradNorm === 0 ? 1 : Math.min(1, clipGradNorm / (gradNorm + clipEpsilon));
    this.#step++;
    for (let p = 0; p < gradientP.length; p++) {
      const gradient = factor * gradientP[p]!;
      const m = this.firstMoments[p] = beta1 * this.firstMoments[p]! + (1 - beta1) * gradient;
      const v = this.secondMoments[p] = beta2 * this.secondMoments[p]! + (1 - beta2) * gradient * gradient;
      const mHat = m / (1 - beta1 ** this.#step);
      const vHat = v / (1 - beta2 ** this.#step);
      const decayed = this.parameters[p]! - learningRate * weightDecay * this.parameters[p]!;
      this.parameters[p] = decayed - learningRate * mHat / (Math.sqrt(vHat) + epsilon);
    }
  }
}

/** l2 norms of consecutive pieces: `Math.hypot` takes only so many arguments. */
function chunkNorms(values: Float64Array): number[] {
  const norms: number[] = [];
  for (let i = 0; i < values.length; i += 4096) norms.push(Math.hypot(...values.subarray(i, i + 4096)));
  return norms;
}
