/**
 * Times one engine within a given time: training steps, and forward passes of one query and of many.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import type { PolicyEngine } from "../engine/engine.ts";
import { timed, type Timing, timingOf } from "./timing.ts";
import type { LossHeadName } from "../loss/heads.ts";
import { randomSegment } from "./workload.ts";

/** Share of the time that goes into warming up: compiling, starting threads, choosing their number. */
const WARM_UP = 0.25;
/** Samples that the rest of the time is cut into, where steps are short enough. */
const SAMPLES = 15;
/** Most steps of one sample. */
const MAX_STEPS = 4096;
/** Most visits of one sample, which bounds the memory of its columns. */
const MAX_VISITS = 2 ** 18;
/** Most samples of forward passes. */
const MAX_FORWARDS = 2000;

/**
 * Times training steps. A sample is the mean over one call of `train`, which is long enough to make the read-backs of a
 * GPU and the checks of a call small beside it. A step that takes more than the given time is timed once.
 *
 * @param engine with the weights loaded and `rows` inputs uploaded; its weights are trained
 * @param timeMs about how long to measure
 * @param head which loss; `policy_gain` by default
 */
export async function measureSteps(
  engine: PolicyEngine,
  rows: number,
  batchSize: number,
  timeMs: number,
  head?: LossHeadName,
): Promise<Timing> {
  const random = new Random(batchSize);
  const maxSteps = Math.max(1, Math.min(MAX_STEPS, Math.floor(MAX_VISITS / batchSize)));
  const sampler = (steps: number): () => Promise<number> => {
    const segment = randomSegment(random, { shape: engine.shape, rows, steps, batchSize, head });
    return async () => await timed(() => engine.train(segment)) / steps;
  };
  const startedAt = performance.now();
  const spent = (): number => performance.now() - startedAt;

  let [steps, last] = [1, await sampler(1)()];
  if (last > timeMs / 2) return timingOf("train_step", batchSize, [last]);
  while (spent() < WARM_UP * timeMs) {
    steps = Math.max(1, Math.min(maxSteps, 4 * steps, Math.round(timeMs / SAMPLES / last)));
    last = await sampler(steps)();
  }
  const sample = sampler(steps);
  const samples = [await sample()];
  while (spent() < timeMs) samples.push(await sample());
  return timingOf("train_step", batchSize, samples);
}

/**
 * Times forward passes, each one a sample.
 *
 * @param inputsNI [n, inputDim]
 * @param timeMs about how long to measure
 */
export async function measureForward(engine: PolicyEngine, inputsNI: Float32Array, timeMs: number): Promise<Timing> {
  const rows = inputsNI.length / engine.shape.inputDim;
  const startedAt = performance.now();
  const spent = (): number => performance.now() - startedAt;
  const sample = (): Promise<number> => timed(() => engine.forward(inputsNI));

  const first = await sample();
  if (first > timeMs / 2) return timingOf("forward", rows, [first]);
  while (spent() < WARM_UP * timeMs) await sample();
  const samples = [await sample()];
  while (spent() < timeMs && samples.length < MAX_FORWARDS) samples.push(await sample());
  return timingOf("forward", rows, samples);
}
