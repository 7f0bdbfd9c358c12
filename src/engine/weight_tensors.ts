/**
 * The weights of any engine as tensors of TensorFlow.js, for whoever goes on with them there.
 *
 * @module
 */
import type { Tensor1D, Tensor2D, TensorContainer } from "@tensorflow/tfjs-core";
import type { PolicyEngine, TrainingState } from "./engine.ts";
import { layersOf } from "./network.ts";

/** One layer's weights as tensors of TensorFlow.js. */
export interface LayerTensors {
  /** [in, out], the transpose of torch's layout; inputs are to be multiplied by the shape's inputScale. */
  readonly weightIO: Tensor2D;
  /** [out] */
  readonly biasO: Tensor1D;
}

/** An engine whose weights lie where TensorFlow.js can have them without a way through main memory. */
export interface WeightSharing {
  /** See {@link weightTensors}. */
  weightTensors(): Promise<LayerTensors[]>;
}

/**
 * A snapshot of the weights, first layer first. From the webgpu engine they come as tensors of TensorFlow.js' webgpu
 * backend without leaving the GPU, from the others on the backend that TensorFlow.js works on (its cpu backend if none
 * was chosen). The caller disposes of them.
 *
 * @param engine e.g. `policy.engine`
 */
export async function weightTensors(engine: PolicyEngine & Partial<WeightSharing>): Promise<LayerTensors[]> {
  return engine.weightTensors === undefined ? await tensorsOf(await engine.read()) : await engine.weightTensors();
}

async function tensorsOf({ shape, parameters }: TrainingState): Promise<LayerTensors[]> {
  const tf = await import("@tensorflow/tfjs-core");
  if (tf.getBackend() === undefined) {
    await import("@tensorflow/tfjs-backend-cpu");
    tf.enableProdMode();
    await tf.setBackend("cpu");
  }
  return tf.tidy(() =>
    layersOf(shape).map(({ inputs, outputs, weightOffset, biasOffset }) => ({
      weightIO: tf.transpose(tf.tensor2d(parameters.subarray(weightOffset, biasOffset), [outputs, inputs])),
      biasO: tf.tensor1d(parameters.slice(biasOffset, biasOffset + outputs)),
    })) as unknown as TensorContainer
  ) as unknown as LayerTensors[];
}
