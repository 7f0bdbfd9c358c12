/**
 * What every engine checks where arrays come in and where measurements go out. On a GPU a NaN can vanish (WGSL's
 * `max(NaN, 0)` is 0) and a read past the end of a buffer gives zeros, so nothing is left to the device.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { isFiniteVector } from "../base/finite.ts";
import { LOSS_HEADS } from "../loss/heads.ts";
import type { NetworkShape, StepMetrics, TrainingSegment, TrainingState } from "./engine.ts";
import { checkState } from "./network.ts";

/**
 * Throws unless all numbers are finite.
 *
 * @param valuesNK [n, width] row-major
 * @param doing what the caller was about to do, e.g. `cannot upload inputs`
 */
export function checkFinite(valuesNK: Float32Array, width: number, doing: string): void {
  if (isFiniteVector(valuesNK)) return;
  for (let i = 0; i < valuesNK.length; i++) {
    if (Number.isFinite(valuesNK[i])) continue;
    const place = `row ${Math.floor(i / width)}, column ${i % width}`;
    throw new RlcfError("usage", `${doing}: found ${valuesNK[i]} in ${place}, wanted finite numbers`);
  }
}

/**
 * Throws unless the array is a matrix of finite input vectors.
 *
 * @param doing what the caller was about to do, e.g. `cannot upload inputs`
 * @returns the number of rows
 */
export function checkInputs(inputsNI: Float32Array, shape: NetworkShape, doing: string): number {
  if (inputsNI.length % shape.inputDim !== 0) {
    throw new RlcfError(
      "usage",
      `${doing}: found ${inputsNI.length} numbers, wanted a multiple of the input length ${shape.inputDim}`,
    );
  }
  checkFinite(inputsNI, shape.inputDim, doing);
  return inputsNI.length / shape.inputDim;
}

/** Throws unless a state fits the shape and holds finite numbers and a possible step count. */
export function checkLoad(state: TrainingState, shape: NetworkShape): void {
  checkState(state, shape);
  if (!Number.isSafeInteger(state.step) || state.step < 0) {
    throw new RlcfError("usage", `cannot load weights: step is ${state.step}, wanted an integer >= 0`);
  }
  for (const name of ["parameters", "firstMoments", "secondMoments"] as const) {
    checkFinite(state[name], state[name].length, `cannot load weights: ${name}`);
  }
}

/** Throws unless a segment's columns fit together, are finite, and name rows of an uploaded set of the given size. */
export function checkSegment(segment: TrainingSegment, shape: NetworkShape, uploadedRows: number): void {
  const wrong = (what: string, found: unknown, wanted: string): never => {
    throw new RlcfError("usage", `cannot train: ${what} is ${found}, wanted ${wanted}`);
  };
  const { head, rows, coefficients, targets, sampleWeights, batchSize, entropyCoef, clipRatio, optimizer } = segment;
  if (!Object.hasOwn(LOSS_HEADS, head)) wrong("the loss head", head, `one of ${Object.keys(LOSS_HEADS).join(", ")}`);
  if (!Number.isInteger(batchSize) || batchSize < 1) wrong("batchSize", batchSize, "an integer >= 1");
  if (!Number.isFinite(entropyCoef)) wrong("entropyCoef", entropyCoef, "a finite number");
  if (clipRatio !== undefined && !(Number.isFinite(clipRatio) && clipRatio > 0)) {
    wrong("clipRatio", clipRatio, "a finite number > 0");
  }
  for (const name of optimizer === null ? [] : ["learningRate", "weightDecay", "clipGradNorm"] as const) {
    const value = optimizer![name];
    if (!Number.isFinite(value) || value < 0) wrong(name, value, "a finite number >= 0");
  }
  const lengths = [
    ["coefficients", coefficients, rows.length * shape.outputs],
    ["targets", targets, rows.length],
    ["sampleWeights", sampleWeights, rows.length],
  ] as const;
  for (const [name, column, wanted] of lengths) {
    if (column.length !== wanted) wrong(`the length of ${name}`, column.length, `${wanted} for ${rows.length} rows`);
    checkFinite(column, name === "coefficients" ? shape.outputs : 1, `cannot train: ${name}`);
  }
  if (head === "ppo_actor") checkActions(coefficients, shape.outputs);
  const stray = rows.find((row) => row >= uploadedRows);
  if (stray !== undefined) wrong("a row", stray, `a row below ${uploadedRows}, the number of uploaded inputs`);
}

/** Throws unless each row [E] holds one number: 1 over the probability of the action that was taken, at least 1. */
function checkActions(coefficientsME: Float32Array, outputs: number): void {
  for (let start = 0; start < coefficientsME.length; start += outputs) {
    let [taken, inverse] = [0, 0];
    for (let k = start; k < start + outputs; k++) {
      if (coefficientsME[k] === 0) continue;
      taken++;
      inverse = coefficientsME[k]!;
    }
    if (taken === 1 && inverse >= 1) continue;
    const found = taken === 1 ? `${inverse}` : `${taken} entries other than 0`;
    throw new RlcfError(
      "usage",
      `cannot train: coefficients: found ${found} in row ${start / outputs}, wanted one entry, ` +
        "1 over the probability of the action taken",
    );
  }
}

/**
 * Throws when a step measured something that is not finite, naming the first such step. The parameters are then not
 * finite either: the caller has to load an earlier state.
 */
export function checkMetrics(metrics: StepMetrics): void {
  for (let step = 0; step < metrics.loss.length; step++) {
    for (const name of ["loss", "gradNorm"] as const) {
      const value = metrics[name][step];
      if (Number.isFinite(value)) continue;
      throw new RlcfError(
        "usage",
        `training broke down: ${name} is ${value} at step ${
          step + 1
        } of ${metrics.loss.length}, wanted a finite number`,
        { hint: "Load the last saved state and train with a lower learning rate or stronger gradient clipping." },
      );
    }
  }
}
