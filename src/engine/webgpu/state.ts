/**
 * Between the flat array of a state (torch's layout, weight [out, in] then bias) and the padded buffers of the plan
 * (weight [in, out] with the bias as last row).
 *
 * @module
 */
import { type Layer, layersOf, parameterCount } from "../network.ts";
import type { NetworkPlan, PlannedLayer } from "./plan.ts";

/**
 * Parameters or moments as the GPU keeps them.
 *
 * @param flatP [P] in torch's layout
 */
export function padded(plan: NetworkPlan, flatP: Float32Array): Float32Array<ArrayBuffer> {
  const result = new Float32Array(4 * plan.parameters4);
  eachParameter(plan, (flat, place) => result[place] = flatP[flat]!);
  return result;
}

/**
 * The inverse of {@link padded}.
 *
 * @returns [P] in torch's layout
 */
export function unpadded(plan: NetworkPlan, values: Float32Array): Float32Array {
  const flatP = new Float32Array(parameterCount(plan.shape));
  eachParameter(plan, (flat, place) => flatP[flat] = values[place]!);
  return flatP;
}

/** The transposed weights of the upper layers, which are torch's own layout but for the padding. */
export function transposedWeights(plan: NetworkPlan, flatP: Float32Array): Float32Array<ArrayBuffer> {
  const result = new Float32Array(4 * plan.transposed4);
  for (const [layer, { transposed4, inputs4 }] of pairs(plan).slice(1)) {
    for (let o = 0; o < layer.outputs; o++) {
      const start = layer.weightOffset + o * layer.inputs;
      result.set(flatP.subarray(start, start + layer.inputs), 4 * (transposed4 + o * inputs4));
    }
  }
  return result;
}

/** Calls back with each parameter's place in the flat array and in the padded one. */
function eachParameter(plan: NetworkPlan, visit: (flat: number, place: number) => void): void {
  for (const [layer, { parameters4, inputs4, outputs4 }] of pairs(plan)) {
    for (let o = 0; o < layer.outputs; o++) {
      const place = 4 * parameters4 + o;
      for (let i = 0; i < layer.inputs; i++) {
        visit(layer.weightOffset + o * layer.inputs + i, place + 4 * i * outputs4);
      }
      visit(layer.biasOffset + o, place + 16 * inputs4 * outputs4);
    }
  }
}

function pairs(plan: NetworkPlan): [Layer, PlannedLayer][] {
  return layersOf(plan.shape).map((layer, i) => [layer, plan.layers[i]!]);
}
