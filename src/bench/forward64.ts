/**
 * The network in float64, layer by layer: what the engines' answers are compared with.
 *
 * @module
 */
import type { TrainingState } from "../engine/engine.ts";
import { layersOf } from "../engine/network.ts";

/**
 * Outputs [n, outputs] of inputs [n, inputDim], and how near a hidden unit comes to the kink of its ReLU; Infinity where
 * there is no hidden unit.
 */
export function forward64(
  { shape, parameters }: TrainingState,
  inputsNI: Float32Array,
): { readonly outputsNE: Float64Array; readonly kinkMargin: number } {
  const layers = layersOf(shape);
  let activations = Float64Array.from(inputsNI, (entry) => entry * shape.inputScale);
  let kinkMargin = Infinity;
  for (const [place, { inputs, outputs, weightOffset, biasOffset }] of layers.entries()) {
    const isHidden = place < layers.length - 1;
    const rows = activations.length / inputs;
    const next = new Float64Array(rows * outputs);
    for (let n = 0; n < rows; n++) {
      for (let o = 0; o < outputs; o++) {
        let sum = parameters[biasOffset + o]!;
        for (let i = 0; i < inputs; i++) {
          sum += parameters[weightOffset + o * inputs + i]! * activations[n * inputs + i]!;
        }
        if (isHidden) kinkMargin = Math.min(kinkMargin, Math.abs(sum));
        next[n * outputs + o] = isHidden ? Math.max(0, sum) : sum;
      }
    }
    activations = next;
  }
  return { outputsNE: activations, kinkMargin };
}
