/**
 * The engine's weights as tensors of TensorFlow.js, without a way through main memory.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { layersOf } from "../network.ts";
import type { LayerTensors } from "../weight_tensors.ts";
import type { Gpu } from "./device.ts";
import type { NetworkPlan } from "./plan.ts";

/** Copies all layers. Call inside `Gpu.attempt`. */
export function weightTensors(gpu: Gpu, plan: NetworkPlan, parameters: GPUBuffer): LayerTensors[] {
  return layersOf(plan.shape).map((layer, i) => {
    const { parameters4, inputs4, outputs4 } = plan.layers[i]!;
    // The bias is the matrix' last row.
    const shape: [number, number] = [4 * inputs4 + 1, 4 * outputs4];
    const bytes = 4 * shape[0] * shape[1];
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const copy = gpu.buffer("shared weights", bytes, STORAGE | COPY_SRC | COPY_DST);
    try {
      const encoder = gpu.device.createCommandEncoder();
      encoder.copyBufferToBuffer(parameters, 16 * parameters4, copy, 0, bytes);
      gpu.device.queue.submit([encoder.finish()]);
      return gpu.run(() => {
        // Without zeroCopy TensorFlow.js copies once more, into a buffer that it owns and frees by itself.
        const paddedIO = tf.tensor({ buffer: copy }, shape);
        return {
          weightIO: tf.slice(paddedIO, [0, 0], [layer.inputs, layer.outputs]) as tf.Tensor2D,
          biasO: tf.reshape(tf.slice(paddedIO, [shape[0] - 1, 0], [1, layer.outputs]), [layer.outputs]) as tf.Tensor1D,
        };
      });
    } finally {
      gpu.free(copy);
    }
  });
}
