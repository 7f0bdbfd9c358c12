/**
 * Clipping by the global norm and AdamW, as tensor operations.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { ADAMW, type OptimizerSettings } from "../engine.ts";

/** A parameter with the two moments of AdamW; the three have one shape. */
export type OptimizedTensor = {
  readonly value: tf.Tensor;
  /** Exponential mean of the gradients. */
  readonly first: tf.Tensor;
  /** Exponential mean of the squared gradients. */
  readonly second: tf.Tensor;
};

/** The l2 norm of all gradients together. */
export function globalNorm(gradients: readonly tf.Tensor[]): tf.Scalar {
  // Rows first, then their sums: one running float32 sum over 200,000 squares would lose two digits (wasm has no other).
  const squares = gradients.map((gradient) => tf.sum(tf.sum(tf.square(gradient), -1)));
  return tf.sqrt(tf.addN(squares)) as tf.Scalar;
}

/** The factor `min(1, clip / (norm + 1e-6))` on every gradient, or 1 where clipping is off. */
export function clipFactor(norm: tf.Scalar, clipGradNorm: number): tf.Scalar {
  if (clipGradNorm === 0) return tf.scalar(1);
  return tf.minimum(1, tf.div(clipGradNorm, tf.add(norm, ADAMW.clipEpsilon)));
}

/**
 * One step of AdamW (Loshchilov and Hutter, 2019, algorithm 2) for one parameter:
 * `p <- p (1 - lr wd) - lr mhat / (sqrt(vhat) + eps)`, with mhat and vhat the moments corrected for their start at 0.
 *
 * @param gradient already clipped
 * @param step number of this step, from 1
 */
export function adamW(
  { value, first, second }: OptimizedTensor,
  gradient: tf.Tensor,
  step: number,
  { learningRate, weightDecay }: OptimizerSettings,
): OptimizedTensor {
  const { beta1, beta2, epsilon } = ADAMW;
  const newFirst = tf.add(tf.mul(first, beta1), tf.mul(gradient, 1 - beta1));
  const newSecond = tf.add(tf.mul(second, beta2), tf.mul(tf.square(gradient), 1 - beta2));
  const stepSize = learningRate / (1 - beta1 ** step);
  const correction = 1 / Math.sqrt(1 - beta2 ** step);
  const denominator = tf.add(tf.mul(tf.sqrt(newSecond), correction), epsilon);
  const change = tf.mul(tf.div(newFirst, denominator), stepSize);
  return {
    value: tf.sub(tf.mul(value, 1 - learningRate * weightDecay), change),
    first: newFirst,
    second: newSecond,
  };
}
