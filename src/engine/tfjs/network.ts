/**
 * Forward and backward pass of the network as tensor operations, written out by hand: the build of TensorFlow.js that
 * Deno loads registers no gradients.
 *
 * Weights are kept as [in, out], the transpose of torch's layout. Then the forward pass and the gradient of the weights
 * need no transposed weights, and only the two small upper layers transpose theirs to pass the error down.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";

/** One linear layer on the device; also used for a layer's gradients and moments. */
export interface DenseLayer {
  /** [in, out] */
  readonly weightIO: tf.Tensor2D;
  /** [out] */
  readonly biasO: tf.Tensor1D;
}

/**
 * Runs the network.
 *
 * @param inputsBI [B, inputDim], already scaled
 * @returns what each layer puts out, ReLU applied: first the inputs themselves, last the outputs [B, E] without ReLU
 */
export function forward(layers: readonly DenseLayer[], inputsBI: tf.Tensor2D): tf.Tensor2D[] {
  const activations = [inputsBI];
  for (const [i, { weightIO, biasO }] of layers.entries()) {
    const activation = i + 1 < layers.length ? "relu" : "linear";
    activations.push(tf.fused.matMul({ a: activations[i]!, b: weightIO, bias: biasO, activation }) as tf.Tensor2D);
  }
  return activations;
}

/**
 * The gradient of every layer by backpropagation.
 *
 * Transposes are separate operations rather than flags of matMul, because the wasm backend reaches its fast kernel
 * (XNNPACK) only without the flags.
 *
 * @param activations what {@link forward} returned
 * @param gradientBE [B, E] gradient of the loss at the outputs
 */
export function backward(
  layers: readonly DenseLayer[],
  activations: readonly tf.Tensor2D[],
  gradientBE: tf.Tensor2D,
): DenseLayer[] {
  const gradients: DenseLayer[] = [];
  let gradientBO = gradientBE;
  for (let i = layers.length - 1; i >= 0; i--) {
    const inputBI = activations[i]!;
    gradients.unshift({
      weightIO: tf.matMul(tf.transpose(inputBI), gradientBO),
      biasO: tf.sum(gradientBO, 0),
    });
    if (i === 0) break;
    const errorBI = tf.matMul(gradientBO, tf.transpose(layers[i]!.weightIO));
    // The derivative of ReLU: 1 where its output is above 0, else 0.
    gradientBO = tf.mul(errorBI, tf.step(inputBI));
  }
  return gradients;
}
