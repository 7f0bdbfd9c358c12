/**
 * Between the flat array of a state (torch's layout, weight [out, in]) and the packed parameters of the kernels
 * (panels of 8 outputs, `[out / 8][in][8]`, padded with zeros).
 *
 * @module
 */
import type { NetworkShape } from "../engine.ts";
import { layersOf } from "../network.ts";
import type { PackedLayer } from "./network.ts";
import { PANEL } from "./plan.ts";

/**
 * Writes a flat array into packed parameters; padding becomes 0.
 *
 * @param flatP [P] parameters or moments
 */
export function pack(
  shape: NetworkShape,
  layers: readonly PackedLayer[],
  flatP: Float32Array,
  packed: Float32Array,
): void {
  packed.fill(0);
  forEachParameter(shape, layers, (flat, place) => packed[place] = flatP[flat]!);
}

/**
 * Reads packed parameters into a flat array.
 *
 * @param flatP [P] parameters or moments, written
 */
export function unpack(
  shape: NetworkShape,
  layers: readonly PackedLayer[],
  packed: Float32Array,
  flatP: Float32Array,
): void {
  forEachParameter(shape, layers, (flat, place) => flatP[flat] = packed[place]!);
}

/** Calls back with every parameter's place in the flat array and in the packed one. */
function forEachParameter(
  shape: NetworkShape,
  layers: readonly PackedLayer[],
  visit: (flat: number, place: number) => void,
): void {
  for (const [l, { inputs, outputs, weightOffset, biasOffset }] of layersOf(shape).entries()) {
    const layer = layers[l]!;
    for (let o = 0; o < outputs; o++) {
      const column = layer.weightOffset + Math.floor(o / PANEL) * layer.inputs * PANEL + o % PANEL;
      for (let i = 0; i < inputs; i++) visit(weightOffset + o * inputs + i, column + i * PANEL);
      visit(biasOffset + o, layer.biasOffset + o);
    }
  }
}
