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
  for (const { flat, place, step, length } of runsOf(shape, layers)) {
    for (let i = 0; i < length; i++) packed[place + i * step] = flatP[flat + i]!;
  }
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
  for (const { flat, place, step, length } of runsOf(shape, layers)) {
    for (let i = 0; i < length; i++) flatP[flat + i] = packed[place + i * step]!;
  }
}

/** Neighbours in the flat array that lie at equal distances in the packed one. */
interface Run {
  readonly flat: number;
  readonly place: number;
  readonly step: number;
  readonly length: number;
}

/** Every parameter, in runs: the weights of an output one by one, then the biases of a layer. */
function* runsOf(shape: NetworkShape, layers: readonly PackedLayer[]): Generator<Run> {
  for (const [l, { inputs, outputs, weightOffset, biasOffset }] of layersOf(shape).entries()) {
    const layer = layers[l]!;
    for (let o = 0; o < outputs; o++) {
      const place = layer.weightOffset + Math.floor(o / PANEL) * layer.inputs * PANEL + o % PANEL;
      yield { flat: weightOffset + o * inputs, place, step: PANEL, length: inputs };
    }
    yield { flat: biasOffset, place: layer.biasOffset, step: 1, length: outputs };
  }
}
