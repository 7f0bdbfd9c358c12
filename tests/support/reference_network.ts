/**
 * The oracle's network: outputs and gradients in float64, by plain loops that share with the engines only the layout of
 * the parameters and the definitions of the loss heads, which have tests of their own.
 *
 * @module
 */
import type { NetworkShape } from "../../src/engine/engine.ts";
import { type Layer, layersOf } from "../../src/engine/network.ts";
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
  /** How large the errors of a regression are beside the terms that they are sums of; Infinity for the other heads. */
  readonly residualShare: number;
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
    for (let first = 0; first < size; first += 4) {
      const rows4 = fourRows(inputs, first, layer.inputs);
      for (let o = 0; o < layer.outputs; o++) {
        const weights = layer.weightOffset + o * layer.inputs;
        const sums4 = products(parametersP.subarray(weights, weights + layer.inputs), rows4);
        for (let k = 0; k < 4 && first + k < size; k++) {
          outputs[(first + k) * layer.outputs + o] = parametersP[layer.biasOffset + o]! + sums4[k]!;
        }
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

type Four<T> = readonly [T, T, T, T];

/** Rows `first` to `first + 3` of a matrix, zeros beyond the last: work on four at once is three times as fast. */
function fourRows(matrix: Float64Array, first: number, width: number): Four<Float64Array> {
  const row = (b: number): Float64Array =>
    b * width < matrix.length ? matrix.subarray(b * width, (b + 1) * width) : new Float64Array(width);
  return [row(first), row(first + 1), row(first + 2), row(first + 3)];
}

/** The products of one row with four. */
function products(row: Float64Array, [row0, row1, row2, row3]: Four<Float64Array>): Four<number> {
  let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
  for (let i = 0; i < row.length; i++) {
    sum0 += row[i]! * row0[i]!;
    sum1 += row[i]! * row1[i]!;
    sum2 += row[i]! * row2[i]!;
    sum3 += row[i]! * row3[i]!;
  }
  return [sum0, sum1, sum2, sum3];
}

/** Adds four rows, each times its factor, to one. */
function addRows(target: Float64Array, factors4: Float64Array, [row0, row1, row2, row3]: Four<Float64Array>): void {
  const [factor0, factor1, factor2, factor3] = factors4 as unknown as Four<number>;
  for (let i = 0; i < target.length; i++) {
    target[i]! += factor0 * row0[i]! + factor1 * row1[i]! + factor2 * row2[i]! + factor3 * row3[i]!;
  }
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
    addGradient(layer, activations[i]!, errorsBO, gradientP);
    if (i > 0) errorsBO = errorsBelow(layer, parametersP, activations[i]!, errorsBO);
  }
  const margin = batch.head === "ppo_actor" ? clipMargin(activations.at(-1)!, batch) : Infinity;
  const share = batch.head === "masked_regression" ? residualShare(activations.at(-1)!, batch) : Infinity;
  return { ...measured, gradientP, kinkMargin: Math.min(kinkMargin, margin), residualShare: share };
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

/**
 * The l2 norm of a regression's weighted errors over that of what they are sums of: targets, and outputs times their
 * coefficients.
 */
function residualShare(outputsBE: Float64Array, batch: HeadBatch): number {
  const { size, outputs, coefficientsBE, targetsB, sampleWeightsB } = batch;
  let [errors, terms] = [0, 0];
  for (let b = 0; b < size; b++) {
    let [error, squares] = [-targetsB[b]!, targetsB[b]! ** 2];
    for (let k = b * outputs; k < (b + 1) * outputs; k++) {
      const term = coefficientsBE[k]! * outputsBE[k]!;
      error += term;
      squares += term ** 2;
    }
    errors += (sampleWeightsB[b]! * error) ** 2;
    terms += sampleWeightsB[b]! ** 2 * squares;
  }
  return Math.sqrt(errors / terms);
}

/** Adds up one layer's gradient. */
function addGradient(layer: Layer, inputsBI: Float64Array, errorsBO: Float64Array, gradientP: Float64Array): void {
  const { inputs, outputs, weightOffset, biasOffset } = layer;
  const errors4 = new Float64Array(4);
  for (let first = 0; first < errorsBO.length / outputs; first += 4) {
    const rows4 = fourRows(inputsBI, first, inputs);
    for (let o = 0; o < outputs; o++) {
      for (let k = 0; k < 4; k++) errors4[k] = errorsBO[(first + k) * outputs + o] ?? 0;
      for (const error of errors4) gradientP[biasOffset + o]! += error;
      const weights = weightOffset + o * inputs;
      addRows(gradientP.subarray(weights, weights + inputs), errors4, rows4);
    }
  }
}

/** The errors at a layer's inputs, zero where the ReLU below was off. */
function errorsBelow(
  layer: Layer,
  parametersP: Float64Array,
  inputsBI: Float64Array,
  errorsBO: Float64Array,
): Float64Array<ArrayBuffer> {
  const { inputs, outputs, weightOffset } = layer;
  const errorsBI = new Float64Array(inputsBI.length);
  for (let k = 0; k < inputsBI.length; k++) {
    if (inputsBI[k]! <= 0) continue;
    const [b, i] = [Math.floor(k / inputs), k % inputs];
    for (let o = 0; o < outputs; o++) {
      errorsBI[k]! += errorsBO[b * outputs + o]! * parametersP[weightOffset + o * inputs + i]!;
    }
  }
  return errorsBI;
}
