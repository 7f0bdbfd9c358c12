/**
 * A torch Sequential of Linear and ReLU in float64, knowing nothing of rlcf but the names of the tensors.
 *
 * @module
 */
import type { StateDict } from "../../src/policy/state_dict.ts";

/** Routing [n, experts] of inputs [n, inputDim] by the network that a state dict describes. */
export function torchForward(state: StateDict, inputs: ArrayLike<number>): { logits: number[]; weights: number[] } {
  let activations = Array.from(inputs);
  const indices = Object.keys(state).filter((name) => name.endsWith(".weight")).map((name) => parseInt(name));
  for (const index of indices) {
    const { shape: [outputs, width], data } = state[`${index}.weight`]!;
    const bias = state[`${index}.bias`]!.data;
    const next: number[] = [];
    for (let start = 0; start < activations.length; start += width!) {
      for (let o = 0; o < outputs!; o++) {
        let sum = bias[o]!;
        for (let i = 0; i < width!; i++) sum += data[o * width! + i]! * activations[start + i]!;
        next.push(index === indices.at(-1) ? sum : Math.max(0, sum));
      }
    }
    activations = next;
  }
  const experts = state[`${indices.at(-1)}.bias`]!.data.length;
  const weights: number[] = [];
  for (let start = 0; start < activations.length; start += experts) {
    const exps = activations.slice(start, start + experts).map((logit) => Math.exp(logit));
    weights.push(...exps.map((x) => x / exps.reduce((sum, y) => sum + y, 0)));
  }
  return { logits: activations, weights };
}

/** A state dict from nested lists, as the golden files have it. */
export function nestedState(
  params: Readonly<Record<string, readonly number[] | readonly (readonly number[])[]>>,
): StateDict {
  return Object.fromEntries(
    Object.entries(params).map(([name, values]) => {
      const shape = Array.isArray(values[0]) ? [values.length, values[0].length] : [values.length];
      return [name, { shape, data: Float32Array.from(values.flat() as number[]) }];
    }),
  );
}
