/**
 * Between the flat array of a state (torch's layout, weight [out, in]) and tensors (weight [in, out]).
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { NetworkShape } from "../engine.ts";
import { layersOf, parameterCount } from "../network.ts";
import type { TfjsDevice } from "./device.ts";

/**
 * The tensors of a flat array: weight [in, out] and bias [out] of each layer in turn.
 *
 * @param flatP [P] parameters or moments; copied
 */
export function tensorsOf(shape: NetworkShape, flatP: Float32Array): tf.Tensor[] {
  return layersOf(shape).flatMap(({ inputs, outputs, weightOffset, biasOffset }) => {
    const weightOI = flatP.subarray(weightOffset, biasOffset);
    return [
      tf.tensor2d(transposed(weightOI, outputs, inputs), [inputs, outputs]),
      tf.tensor1d(flatP.slice(biasOffset, biasOffset + outputs)),
    ];
  });
}

/**
 * The flat array of tensors in the order of {@link tensorsOf}. Transposes in main memory, so that reading a state
 * makes no tensor.
 *
 * @param read how to get the numbers of a tensor
 * @returns [P]
 */
export async function flatOf(
  shape: NetworkShape,
  tensors: readonly tf.Tensor[],
  read: TfjsDevice["read"],
): Promise<Float32Array> {
  const arrays = await Promise.all(tensors.map(read));
  const flatP = new Float32Array(parameterCount(shape));
  for (const [i, { inputs, outputs, weightOffset, biasOffset }] of layersOf(shape).entries()) {
    flatP.set(transposed(arrays[2 * i]!, inputs, outputs), weightOffset);
    flatP.set(arrays[2 * i + 1]!, biasOffset);
  }
  return flatP;
}

/** The transpose [columns, rows] of a matrix [rows, columns], as a new array. */
function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = matrix[r * columns + c]!;
  }
  return result;
}
