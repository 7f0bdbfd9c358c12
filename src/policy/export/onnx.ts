/**
 * ONNX: `onnxruntime`, and whatever else reads the format, runs the policy from one file. Input `embedding`
 * [batch, inputDim], output `weights` [batch, experts].
 *
 * Field numbers are those of `onnx.proto` (github.com/onnx/onnx, IR version 8); the operators Gemm, Relu and Softmax
 * are those of operator set 13. The wire format is written by Protobuf's own library.
 *
 * @module
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type ExportedFiles, type ExportedLayer, exportedLayers, type ExportedPolicy } from "./exported.ts";

const IR_VERSION = 8;
const OPERATOR_SET = 13;
/** `TensorProto.DataType.FLOAT`. */
const FLOAT = 1;
/** `AttributeProto.AttributeType.INT`. */
const INT = 2;

/** One file; its metadata say policy type, version and the experts, as a JSON array. */
export function exportOnnx({ state, policyType, version, experts }: ExportedPolicy): ExportedFiles {
  const layers = exportedLayers(state);
  const model = new BinaryWriter();
  model.tag(1, WireType.Varint).int64(IR_VERSION);
  model.tag(2, WireType.LengthDelimited).string("rlcf");
  model.tag(7, WireType.LengthDelimited).bytes(graph(layers, policyType));
  model.tag(8, WireType.LengthDelimited).bytes(
    new BinaryWriter().tag(1, WireType.LengthDelimited).string("").tag(2, WireType.Varint).int64(OPERATOR_SET).finish(),
  );
  const metadata = { policy_type: policyType, version, experts: JSON.stringify(experts) };
  for (const [key, value] of Object.entries(metadata)) {
    model.tag(14, WireType.LengthDelimited).bytes(
      new BinaryWriter().tag(1, WireType.LengthDelimited).string(key).tag(2, WireType.LengthDelimited).string(value)
        .finish(),
    );
  }
  return new Map([["policy.onnx", model.finish()]]);
}

/** `GraphProto`: for each layer `Gemm` with the weight transposed, then its activation. */
function graph(layers: readonly ExportedLayer[], name: string): Uint8Array {
  const writer = new BinaryWriter();
  let input = "embedding";
  for (const [i, { activation }] of layers.entries()) {
    const [sum, output] = [`sum_${i}`, i === layers.length - 1 ? "weights" : `hidden_${i}`];
    const gemm = node("Gemm", [input, `weight_${i}`, `bias_${i}`], sum, { transB: 1 });
    const nonlinear = activation === "relu"
      ? node("Relu", [sum], output)
      : node("Softmax", [sum], output, { axis: -1 });
    for (const part of [gemm, nonlinear]) writer.tag(1, WireType.LengthDelimited).bytes(part);
    input = output;
  }
  writer.tag(2, WireType.LengthDelimited).string(name);
  for (const [i, { inputs, outputs, weight, bias }] of layers.entries()) {
    writer.tag(5, WireType.LengthDelimited).bytes(tensor(`weight_${i}`, [outputs, inputs], weight));
    writer.tag(5, WireType.LengthDelimited).bytes(tensor(`bias_${i}`, [outputs], bias));
  }
  writer.tag(11, WireType.LengthDelimited).bytes(matrix("embedding", layers[0]!.inputs));
  writer.tag(12, WireType.LengthDelimited).bytes(matrix("weights", layers.at(-1)!.outputs));
  return writer.finish();
}

/** `NodeProto`. */
function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, number>> = {},
): Uint8Array {
  const writer = new BinaryWriter();
  for (const input of inputs) writer.tag(1, WireType.LengthDelimited).string(input);
  writer.tag(2, WireType.LengthDelimited).string(output);
  writer.tag(3, WireType.LengthDelimited).string(output);
  writer.tag(4, WireType.LengthDelimited).string(operator);
  for (const [name, value] of Object.entries(attributes)) {
    const attribute = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name)
      .tag(3, WireType.Varint).int64(value).tag(20, WireType.Varint).int32(INT).finish();
    writer.tag(5, WireType.LengthDelimited).bytes(attribute);
  }
  return writer.finish();
}

/** `TensorProto` of float32, little-endian as the format wants it. */
function tensor(name: string, shape: readonly number[], data: Float32Array): Uint8Array {
  const writer = new BinaryWriter();
  for (const size of shape) writer.tag(1, WireType.Varint).int64(size);
  writer.tag(2, WireType.Varint).int32(FLOAT);
  writer.tag(8, WireType.LengthDelimited).string(name);
  writer.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return writer.finish();
}

/** `ValueInfoProto` of a float32 matrix [batch, size] with any number of rows. */
function matrix(name: string, size: number): Uint8Array {
  const rows = new BinaryWriter().tag(2, WireType.LengthDelimited).string("batch").finish();
  const columns = new BinaryWriter().tag(1, WireType.Varint).int64(size).finish();
  const shape = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(rows).tag(1, WireType.LengthDelimited)
    .bytes(columns).finish();
  const type = new BinaryWriter().tag(1, WireType.Varint).int32(FLOAT).tag(2, WireType.LengthDelimited).bytes(shape)
    .finish();
  const any = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(type).finish();
  return new BinaryWriter().tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.LengthDelimited).bytes(any)
    .finish();
}
