/**
 * The weights of any engine as tensors of TensorFlow.js, for whoever goes on with them there.
 *
 * @module
 */
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { PolicyEngine } from "./engine.ts";
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
 * backend without leaving the GPU, from `wasm` on that, from the others on its cpu backend. The caller disposes of them.
 *
 * @param engine e.g. `policy.engine`
 */
export async function weightTensors(engine: PolicyEngine & Partial<WeightSharing>): Promise<LayerTensors[]> {
  if (engine.weightTensors !== undefined) return await engine.weightTensors();
  const { shape, parameters } = await engine.read();
  const tf = await import("@tensorflow/tfjs-core");
  const { openTfjsDevice } = await import("./tfjs/device.ts");
  // Not the backend that TensorFlow.js happens to work on: that may be a GPU that was lost.
  const device = await openTfjsDevice(engine.backend === "wasm" ? "wasm" : "cpu");
  try {
    return layersOf(shape).map(({ inputs, outputs, weightOffset, biasOffset }) => ({
      weightIO: device.run(() =>
        tf.transpose(tf.tensor2d(parameters.subarray(weightOffset, biasOffset), [outputs, inputs]))
      ),
      biasO: device.run(() => tf.tensor1d(parameters.slice(biasOffset, biasOffset + outputs))),
    }));
  } finally {
    device.close();
  }
}
