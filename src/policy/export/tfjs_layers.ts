/**
 * A layers model of TensorFlow.js: `tf.loadLayersModel(".../model.json")` in a browser or a Node service gives a model
 * whose `predict` on [n, inputDim] is the routing [n, experts].
 *
 * The format is that of `tf.LayersModel.save` (js.tensorflow.org/tutorials/conversion/save_load; tfjs-core
 * `io/types.ts`, `ModelJSON`): the topology in Keras' JSON, and the weights one after another as little-endian float32,
 * a kernel as [inputs, outputs].
 *
 * @module
 */
import { type ExportedFiles, type ExportedLayer, exportedLayers, type ExportedPolicy } from "./exported.ts";

const WEIGHTS_FILE = "weights.bin";

/** `weights.bin`, then `model.json`, which refers to it. */
export function exportTfjsLayers({ state, policyType, version, experts }: ExportedPolicy): ExportedFiles {
  const layers = exportedLayers(state);
  const tensors = layers.flatMap((layer, i) => [
    { name: `dense_${i}/kernel`, shape: [layer.inputs, layer.outputs], data: transposed(layer) },
    { name: `dense_${i}/bias`, shape: [layer.outputs], data: layer.bias },
  ]);
  const weights = new Uint8Array(tensors.reduce((sum, { data }) => sum + data.byteLength, 0));
  let offset = 0;
  for (const { data } of tensors) {
    weights.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  const model = {
    format: "layers-model",
    generatedBy: "rlcf",
    convertedBy: null,
    modelTopology: {
      class_name: "Sequential",
      config: { name: policyType, layers: layers.map(layerConfig) },
      keras_version: "2.15.0",
      backend: "tensorflow",
    },
    weightsManifest: [{
      paths: [WEIGHTS_FILE],
      weights: tensors.map(({ name, shape }) => ({ name, shape, dtype: "float32" })),
    }],
    userDefinedMetadata: { policy_type: policyType, version, experts },
  };
  return new Map([
    [WEIGHTS_FILE, weights],
    ["model.json", new TextEncoder().encode(`${JSON.stringify(model, null, 2)}\n`)],
  ]);
}

function layerConfig({ inputs, outputs, activation }: ExportedLayer, i: number): unknown {
  return {
    class_name: "Dense",
    config: {
      name: `dense_${i}`,
      trainable: true,
      dtype: "float32",
      ...(i === 0 ? { batch_input_shape: [null, inputs] } : {}),
      units: outputs,
      activation,
      use_bias: true,
    },
  };
}

/** The weight [outputs, inputs] as a kernel [inputs, outputs]. */
function transposed({ inputs, outputs, weight }: ExportedLayer): Float32Array {
  const kernel = new Float32Array(weight.length);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) kernel[i * outputs + o] = weight[o * inputs + i]!;
  }
  return kernel;
}
