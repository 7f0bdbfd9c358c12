/**
 * The arithmetic of a network's parameters: which layers a shape has, where each lies in the flat array, how it is
 * initialised. Shared by all engines and by the checkpoint.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import { RlcfError } from "../base/errors.ts";
import type { NetworkShape, TrainingState } from "./engine.ts";

/** One linear layer `y = x W^T + b` and its place in the flat parameter array. */
export interface Layer {
  /** torch's Sequential index: Linear, ReLU and Dropout each count, so the layers are 0, 3 and 6. */
  readonly index: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Offset of weight [outputs, inputs], row-major. */
  readonly weightOffset: number;
  /** Offset of bias [outputs]. */
  readonly biasOffset: number;
}

/** The layers of a network, first layer first. */
export function layersOf(shape: NetworkShape): Layer[] {
  const widths = shape.hiddenDim === 0
    ? [shape.inputDim, shape.outputs]
    : [shape.inputDim, shape.hiddenDim, Math.floor(shape.hiddenDim / 2), shape.outputs];
  const layers: Layer[] = [];
  let offset = 0;
  for (let i = 0; i + 1 < widths.length; i++) {
    const [inputs, outputs] = [widths[i]!, widths[i + 1]!];
    layers.push({ index: 3 * i, inputs, outputs, weightOffset: offset, biasOffset: offset + inputs * outputs });
    offset += (inputs + 1) * outputs;
  }
  return layers;
}

/** Number of parameters of a network. */
export function parameterCount(shape: NetworkShape): number {
  return layersOf(shape).reduce((count, layer) => count + (layer.inputs + 1) * layer.outputs, 0);
}

/** Throws unless the sizes make a network. */
export function checkShape(shape: NetworkShape): void {
  const whole = (name: string, value: number, min: number): void => {
    if (!Number.isInteger(value) || value < min) {
      throw new RlcfError("usage", `cannot build the network: ${name} is ${value}, wanted an integer >= ${min}`);
    }
  };
  whole("inputDim", shape.inputDim, 1);
  whole("outputs", shape.outputs, 1);
  if (shape.hiddenDim !== 0) whole("hiddenDim", shape.hiddenDim, 2);
  if (!Number.isFinite(shape.inputScale) || shape.inputScale <= 0) {
    throw new RlcfError("usage", `cannot build the network: inputScale is ${shape.inputScale}, wanted a number > 0`);
  }
}

/** The power of two nearest to sqrt(inputDim): brings the entries of unit-length embeddings near 1. */
export function defaultInputScale(inputDim: number): number {
  return 2 ** Math.round(Math.log2(Math.sqrt(inputDim)));
}

/** A fresh network: torch's Linear default, weights and biases uniform in +-1/sqrt(inputs of the layer). */
export function initialState(shape: NetworkShape, seed: number): TrainingState {
  checkShape(shape);
  const random = new Random(seed);
  const parameters = new Float32Array(parameterCount(shape));
  for (const layer of layersOf(shape)) {
    const bound = 1 / Math.sqrt(layer.inputs);
    const end = layer.biasOffset + layer.outputs;
    for (let i = layer.weightOffset; i < end; i++) parameters[i] = (2 * random.uniform() - 1) * bound;
  }
  return stateOf(shape, parameters);
}

/** Given parameters with an optimizer that has not moved yet. */
export function stateOf(shape: NetworkShape, parameters: Float32Array): TrainingState {
  const zeros = (): Float32Array => new Float32Array(parameters.length);
  return { shape, parameters, firstMoments: zeros(), secondMoments: zeros(), step: 0 };
}

/** Throws unless a state has the given shape and the array lengths that go with it. */
export function checkState(state: TrainingState, shape: NetworkShape): void {
  const sizes = (s: NetworkShape): string =>
    `${s.inputDim}-${s.hiddenDim}-${s.outputs} with inputs scaled by ${s.inputScale}`;
  if (sizes(state.shape) !== sizes(shape)) {
    throw new RlcfError("usage", `cannot load weights: found a network ${sizes(state.shape)}, wanted ${sizes(shape)}`);
  }
  const wanted = parameterCount(shape);
  for (const name of ["parameters", "firstMoments", "secondMoments"] as const) {
    const found = state[name].length;
    if (found !== wanted) {
      throw new RlcfError("usage", `cannot load weights: ${name} holds ${found} numbers, wanted ${wanted}`);
    }
  }
}
