/**
 * Exported files compute what the policy computes: safetensors by torch's rule, the layers model by TensorFlow.js
 * itself, ONNX by reading the file with Protobuf's own reader.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { decodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { initialState } from "../../src/engine/network.ts";
import type { ExportedFiles, ExportedPolicy } from "../../src/policy/export/exported.ts";
import { exportOnnx } from "../../src/policy/export/onnx.ts";
import { exportSafetensors } from "../../src/policy/export/safetensors.ts";
import { exportTfjsLayers } from "../../src/policy/export/tfjs_layers.ts";
import { exportStateDict, type StateDict } from "../../src/policy/state_dict.ts";
import { torchForward } from "./torch.ts";

const EXPERTS = ["literal", "systemic", "principles"];
const INPUT_DIM = 6;

/** A policy with scaled inputs; linear where hiddenDim is 0. */
function policyOf(hiddenDim: number): ExportedPolicy {
  const state = initialState({ inputDim: INPUT_DIM, hiddenDim, outputs: 3, inputScale: 4 }, 11);
  return { state: exportStateDict(state), policyType: "gating", version: "v1.0.3", experts: EXPERTS };
}

const INPUTS = Float32Array.from({ length: 5 * INPUT_DIM }, (_, i) => Math.sin(i));

function assertClose(found: ArrayLike<number>, wanted: ArrayLike<number>): void {
  assert.equal(found.length, wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    assert.ok(Math.abs(found[i]! - wanted[i]!) < 1e-6, `${i}: ${found[i]}, ${wanted[i]}`);
  }
}

const only = (files: ExportedFiles): Uint8Array => {
  assert.equal(files.size, 1);
  return [...files.values()][0]!;
};

for (const hiddenDim of [8, 0]) {
  const policy = policyOf(hiddenDim);
  const wanted = torchForward(policy.state, INPUTS).weights;
  const kind = hiddenDim === 0 ? "a linear policy" : "a policy";

  Deno.test(`safetensors: ${kind} comes back with its version and experts`, () => {
    const { tensors, metadata } = decodeSafetensors(only(exportSafetensors(policy)), "file");
    assert.deepEqual(tensors, policy.state);
    assert.deepEqual(metadata, {
      format: "pt",
      policy_type: "gating",
      version: "v1.0.3",
      experts: JSON.stringify(EXPERTS),
    });
  });

  Deno.test(`tfjs: TensorFlow.js loads ${kind} and routes alike`, async () => {
    const tf = await import("@tensorflow/tfjs-core");
    await import("@tensorflow/tfjs-backend-cpu");
    const { loadLayersModel } = await import("@tensorflow/tfjs-layers");
    tf.enableProdMode();
    await tf.setBackend("cpu");
    const files = exportTfjsLayers(policy);
    assert.deepEqual([...files.keys()], ["weights.bin", "model.json"]);
    const json = JSON.parse(new TextDecoder().decode(files.get("model.json")));
    assert.deepEqual(json.weightsManifest[0].paths, ["weights.bin"]);
    const model = await loadLayersModel({
      load: () =>
        Promise.resolve({
          modelTopology: json.modelTopology,
          weightSpecs: json.weightsManifest[0].weights,
          weightData: files.get("weights.bin")!.slice().buffer,
          userDefinedMetadata: json.userDefinedMetadata,
        }),
    });
    const output = model.predict(tf.tensor2d(INPUTS, [5, INPUT_DIM]));
    assert.ok(!Array.isArray(output));
    assertClose(await output.data(), wanted);
    assert.deepEqual(model.getUserDefinedMetadata(), {
      policy_type: "gating",
      version: "v1.0.3",
      experts: EXPERTS,
    });
    model.dispose();
  });

  Deno.test(`onnx: the graph of ${kind} computes the routing`, () => {
    const model = fieldsOf(only(exportOnnx(policy)));
    assert.equal(model.get(1)![0], 8);
    assert.equal(fieldsOf(bytes(model, 8)).get(2)![0], 13);
    const graph = fieldsOf(bytes(model, 7));
    const nodes = graph.get(1)!.map((node) => fieldsOf(node as Uint8Array));
    const operators = nodes.map((node) => text(bytes(node, 4)));
    assert.deepEqual(
      operators,
      hiddenDim === 0 ? ["Gemm", "Softmax"] : ["Gemm", "Relu", "Gemm", "Relu", "Gemm", "Softmax"],
    );
    // Each node takes what the one in front of it gives, the first one the input, and the last one gives the output.
    const values = nodes.map((node) => [text(bytes(node, 1)), text(bytes(node, 2))]);
    assert.deepEqual(["embedding", ...values.map(([, output]) => output)].slice(0, -1), values.map(([input]) => input));
    assert.equal(values.at(-1)![1], "weights");
    for (const [field, name] of [[11, "embedding"], [12, "weights"]] as const) {
      assert.equal(text(bytes(fieldsOf(bytes(graph, field)), 1)), name);
    }
    const state: Record<string, { shape: number[]; data: Float32Array }> = {};
    for (const part of graph.get(5)!) {
      const tensor = fieldsOf(part as Uint8Array);
      const [kind, layer] = text(bytes(tensor, 8)).split("_");
      const data = new Float32Array(bytes(tensor, 9).slice().buffer);
      state[`${3 * Number(layer)}.${kind}`] = { shape: tensor.get(1) as number[], data };
    }
    for (const node of nodes.filter((node) => text(bytes(node, 4)) === "Gemm")) {
      const attribute = fieldsOf(bytes(node, 5));
      assert.deepEqual([text(bytes(attribute, 1)), attribute.get(3)![0]], ["transB", 1]);
    }
    assertClose(torchForward(state as StateDict, INPUTS).weights, wanted);
  });
}

/** The fields of a message by number, as often as each comes: numbers, or bytes. */
function fieldsOf(message: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const reader = new BinaryReader(message);
  const fields = new Map<number, (number | Uint8Array)[]>();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const value = type === WireType.LengthDelimited ? reader.bytes() : Number(reader.int64());
    fields.set(number, [...fields.get(number) ?? [], value]);
  }
  return fields;
}

const bytes = (fields: Map<number, (number | Uint8Array)[]>, number: number): Uint8Array =>
  fields.get(number)![0] as Uint8Array;
const text = (value: Uint8Array): string => new TextDecoder().decode(value);
