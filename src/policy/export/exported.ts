/**
 * What every export format is made from, and what it gives.
 *
 * @module
 */
import type { StateDict } from "../state_dict.ts";

/** A policy that leaves rlcf. */
export interface ExportedPolicy {
  /** The weights in torch's names and layout, for inputs as they are: the input scale is part of the first layer. */
  readonly state: StateDict;
  /** `gating`. */
  readonly policyType: string;
  /** E.g. `v1.0.2`. */
  readonly version: string;
  /** Names of the outputs, in their order. */
  readonly experts: readonly string[];
}

/** The files of an export by name, in the order in which they are to be written. */
export type ExportedFiles = ReadonlyMap<string, Uint8Array>;

/** One linear layer `y = x W^T + b`. */
export interface ExportedLayer {
  /** Length of its input. */
  readonly inputs: number;
  /** Length of its output. */
  readonly outputs: number;
  /** [outputs, inputs], row-major. */
  readonly weight: Float32Array;
  /** [outputs]. */
  readonly bias: Float32Array;
  /** What follows: softmax after the last layer, ReLU after every other. */
  readonly activation: "relu" | "softmax";
}

/** The layers of a state dict, first layer first. */
export function exportedLayers(state: StateDict): ExportedLayer[] {
  const indices = Object.keys(state).filter((name) => name.endsWith(".weight")).map((name) => parseInt(name))
    .toSorted((a, b) => a - b);
  return indices.map((index, i) => {
    const { shape, data } = state[`${index}.weight`]!;
    return {
      inputs: shape[1]!,
      outputs: shape[0]!,
      weight: data,
      bias: state[`${index}.bias`]!.data,
      activation: i === indices.length - 1 ? "softmax" : "relu",
    };
  });
}
