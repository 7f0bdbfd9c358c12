/**
 * Weights in torch's names and layout, the form in which a policy leaves rlcf and comes back.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { NetworkShape, TrainingState } from "../engine/engine.ts";
import { layersOf, parameterCount, stateOf } from "../engine/network.ts";

/** One named tensor, row-major float32. */
export interface StateTensor {
  /** Length of each dimension, outermost first: [out, in] for a weight, [out] for a bias. */
  readonly shape: readonly number[];
  /** As many numbers as the product of the shape. */
  readonly data: Float32Array;
}

/** `0.weight [out, in]`, `0.bias [out]`, `3.weight`, ...: what `load_state_dict` of a torch Sequential takes. */
export type StateDict = Readonly<Record<string, StateTensor>>;

/** The part of a network's flat array that one tensor of a state dict names. */
interface TensorPlace {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
}

/** Where each tensor of a state dict lies in the flat array, in torch's order. */
function placesOf(shape: NetworkShape): TensorPlace[] {
  return layersOf(shape).flatMap((layer) => [
    { name: `${layer.index}.weight`, shape: [layer.outputs, layer.inputs], offset: layer.weightOffset },
    { name: `${layer.index}.bias`, shape: [layer.outputs], offset: layer.biasOffset },
  ]);
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

/** Names a flat array's parts; the tensors are views of it. */
export function toStateDict(shape: NetworkShape, flat: Float32Array): StateDict {
  return Object.fromEntries(
    placesOf(shape).map((place) => [
      place.name,
      { shape: place.shape, data: flat.subarray(place.offset, place.offset + sizeOf(place.shape)) },
    ]),
  );
}

/** The flat array of a state dict. Throws unless it holds exactly the network's tensors in their shapes. */
export function fromStateDict(shape: NetworkShape, state: StateDict): Float32Array {
  const places = placesOf(shape);
  const flat = new Float32Array(parameterCount(shape));
  const expected = new Set(places.map((place) => place.name));
  for (const name of Object.keys(state)) {
    if (!expected.has(name)) {
      throw new RlcfError("usage", `cannot load weights: found tensor ${name}, wanted ${[...expected].join(", ")}`);
    }
  }
  for (const place of places) {
    const found = state[place.name];
    const wanted = `[${place.shape.join(", ")}]`;
    if (found === undefined) {
      throw new RlcfError("usage", `cannot load weights: found no tensor ${place.name}, wanted one of shape ${wanted}`);
    }
    if (String(found.shape) !== String(place.shape) || found.data.length !== sizeOf(place.shape)) {
      const shapeFound = `[${found.shape.join(", ")}] with ${found.data.length} numbers`;
      throw new RlcfError("usage", `cannot load weights: found ${place.name} of shape ${shapeFound}, wanted ${wanted}`);
    }
    if (!found.data.every(Number.isFinite)) {
      throw new RlcfError("usage", `cannot load weights: ${place.name} holds NaN or infinity, wanted finite numbers`);
    }
    flat.set(found.data, place.offset);
  }
  return flat;
}

/**
 * The weights as anyone can use them: the input scale is folded into the first layer, so that a plain network on the
 * unscaled embedding gives the same outputs.
 */
export function exportStateDict(state: TrainingState): StateDict {
  return toStateDict(state.shape, scaleFirstWeight(state.shape, state.parameters, state.shape.inputScale));
}

/** The inverse of {@link exportStateDict}; exact, since a default scale is a power of two. The optimizer starts afresh. */
export function importStateDict(shape: NetworkShape, state: StateDict): TrainingState {
  return stateOf(shape, scaleFirstWeight(shape, fromStateDict(shape, state), 1 / shape.inputScale));
}

function scaleFirstWeight(shape: NetworkShape, flat: Float32Array, factor: number): Float32Array {
  const scaled = flat.slice();
  const first = layersOf(shape)[0]!;
  for (let i = first.weightOffset; i < first.biasOffset; i++) scaled[i]! *= factor;
  return scaled;
}
