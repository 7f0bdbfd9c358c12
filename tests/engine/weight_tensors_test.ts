import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { type LayerTensors, weightTensors } from "../../src/engine/weight_tensors.ts";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import { relativeError } from "../support/numbers.ts";
import { gpuDevice, reviveGpu } from "../faults/gpu_support.ts";
import { gpuTest } from "./webgpu/support.ts";

const INPUTS = Float32Array.from({ length: 3 * 24 }, (_, i) => Math.sin(i));

/** What the layers make of the inputs [3, 24] in TensorFlow.js; the tensors are disposed of. */
async function softmaxIn(layers: readonly LayerTensors[], inputScale: number): Promise<Float32Array> {
  const weights = tf.tidy(() => {
    let outputs: tf.Tensor = tf.mul(tf.tensor2d(INPUTS, [3, 24]), inputScale);
    for (const [i, { weightIO, biasO }] of layers.entries()) {
      outputs = tf.add(tf.matMul(outputs as tf.Tensor2D, weightIO), biasO);
      if (i + 1 < layers.length) outputs = tf.relu(outputs);
    }
    return tf.softmax(outputs);
  });
  const data = await weights.data<"float32">();
  tf.dispose([weights, layers] as unknown as tf.TensorContainer);
  return data;
}

async function givesTheSameRouting(backend: "simd" | "wasm" | "cpu" | "webgpu"): Promise<void> {
  await using policy = await GatingPolicy.create({ inputDim: 24, hiddenDim: 10, numExperts: 3, seed: 5, backend });
  const { weights } = await policy.forward(INPUTS);
  // Without a backend TensorFlow.js cannot even say that it holds nothing.
  const before = tf.getBackend() === undefined ? 0 : tf.memory().numTensors;
  const found = await softmaxIn(await weightTensors(policy.engine), policy.shape.inputScale);
  assert.equal(tf.memory().numTensors, before);
  assert.ok(relativeError(found, weights) < 1e-5, `${found} and ${weights}`);
}

for (const backend of ["simd", "cpu", "wasm"] as const) {
  Deno.test(`the weights of ${backend} as tensors route as the policy does`, () => givesTheSameRouting(backend));
}

gpuTest("the weights of webgpu as tensors route as the policy does", () => givesTheSameRouting("webgpu"));

gpuTest("after the GPU is lost the tensors come from the engine that goes on", async () => {
  await using policy = await GatingPolicy.create({ inputDim: 768, hiddenDim: 256, numExperts: 3, backend: "webgpu" });
  try {
    gpuDevice().destroy();
    await policy.forward(new Float32Array(768).fill(0.1));
    assert.equal(policy.engine.backend, "simd");
    const layers = await weightTensors(policy.engine);
    const { parameters } = await policy.engine.read();
    const first = await layers[0]!.weightIO.data();
    assert.deepEqual([first[0], first[256]], [parameters[0], parameters[1]]);
    tf.dispose(layers as unknown as tf.TensorContainer);
  } finally {
    reviveGpu();
  }
});
