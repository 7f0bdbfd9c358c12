/**
 * Training data on which no engine may rightly differ from another.
 *
 * A hidden unit on the kink of its ReLU is on one side of it in float32 and on the other in float64, and so is a ratio of
 * PPO at an end of the clip range. Both are right, but the norm of the gradient then differs by 1e-4 and more: a
 * comparison would call a sound engine wrong, again and again for the same weights. So data are drawn until nothing
 * stands there.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import type { PolicyEngine, TrainingSegment, TrainingState } from "../engine/engine.ts";
import { CLIP_RATIO, logSoftmax } from "../loss/heads.ts";
import { forward64 } from "./forward64.ts";
import { randomSegment, type SegmentOptions, unitRows } from "./workload.ts";

/** What is nearer to a kink than this may fall on either side in float32. */
const KINK_ROUNDING = 2e-6;
/** Sets of data that are tried. With 768-256-128-4 and 96 visits one in twelve has a unit at its kink. */
const TRIES = 32;

/** Why training steps cannot be compared where none of the sets was clear. */
export const NO_CLEAR_DATA =
  `training steps: on each of ${TRIES} sets of data a hidden unit or a ratio of PPO was within ` +
  `${KINK_ROUNDING} of its kink, where float32 may rightly differ from float64`;

/** Rows to upload, and steps on them. */
export interface ComparableData {
  /** [rows, inputDim] */
  readonly inputsNI: Float32Array;
  /** The steps. */
  readonly segment: TrainingSegment;
  /** Whether nothing stands at a kink in any of the steps; false if that was so on all the sets that were tried. */
  readonly clear: boolean;
}

/**
 * Data with the given seed, or with the next ones, until nothing stands at a kink.
 *
 * @param walker takes the steps, so that the weights before each are known; the same one for all that are compared, or
 * two of them may be given different data where a unit is just at the limit
 * @param state the weights before the first step
 */
export async function comparableData(
  walker: PolicyEngine,
  state: TrainingState,
  options: SegmentOptions,
  seed: number,
): Promise<ComparableData> {
  for (let attempt = 0;; attempt++) {
    const random = new Random(seed + attempt);
    const inputsNI = unitRows(random, options.rows, options.shape.inputDim);
    const segment = randomSegment(random, options);
    const clear = await keepsClear(walker, state, inputsNI, segment);
    if (clear || attempt + 1 === TRIES) return { inputsNI, segment, clear };
  }
}

/** Whether nothing comes near a kink in any step. */
async function keepsClear(
  walker: PolicyEngine,
  state: TrainingState,
  inputsNI: Float32Array,
  segment: TrainingSegment,
): Promise<boolean> {
  await walker.load(state);
  await walker.upload(inputsNI);
  let before: TrainingState | undefined;
  for (let start = 0; start < segment.rows.length; start += segment.batchSize) {
    const step = visitsOf(segment, start, start + segment.batchSize, state.shape.outputs);
    before = await walker.read(before);
    // Written this way round because weights that are not numbers have no margin.
    if (!(kinkMargin(before, inputsNI, step) > KINK_ROUNDING)) return false;
    await walker.train(step);
  }
  return true;
}

/** The visits [start, end) of a segment. */
function visitsOf(segment: TrainingSegment, start: number, end: number, outputs: number): TrainingSegment {
  return {
    ...segment,
    rows: segment.rows.subarray(start, end),
    coefficients: segment.coefficients.subarray(start * outputs, end * outputs),
    targets: segment.targets.subarray(start, end),
    sampleWeights: segment.sampleWeights.subarray(start, end),
  };
}

/** How near the units and the ratios of one step come to their kinks; Infinity where there are neither. */
function kinkMargin(state: TrainingState, inputsNI: Float32Array, step: TrainingSegment): number {
  const { inputDim, outputs } = state.shape;
  const inputsBI = new Float32Array(step.rows.length * inputDim);
  for (const [b, row] of step.rows.entries()) {
    inputsBI.set(inputsNI.subarray(row * inputDim, (row + 1) * inputDim), b * inputDim);
  }
  const { outputsNE, kinkMargin } = forward64(state, inputsBI);
  return step.head === "ppo_actor" ? Math.min(kinkMargin, clipMargin(outputsNE, step, outputs)) : kinkMargin;
}

/** How near PPO's ratios come to an end of the clip range. */
function clipMargin(outputsBE: Float64Array, step: TrainingSegment, outputs: number): number {
  const { coefficients, clipRatio = CLIP_RATIO } = step;
  const [piE, logPiE] = [new Float64Array(outputs), new Float64Array(outputs)];
  let margin = Infinity;
  for (let b = 0; b < step.rows.length; b++) {
    logSoftmax(outputsBE.subarray(b * outputs, (b + 1) * outputs), piE, logPiE);
    const ratio = piE.reduce((sum, pi, e) => sum + pi * coefficients[b * outputs + e]!, 0);
    margin = Math.min(margin, Math.abs(Math.abs(ratio - 1) - clipRatio));
  }
  return margin;
}
