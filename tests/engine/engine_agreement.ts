/**
 * Whether an engine computes what float64 does. The reference's results are kept: all engines of a process are held to
 * the same ones.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { NetworkShape, PolicyEngine, StepMetrics, TrainingState } from "../../src/engine/engine.ts";
import { distance, norm, relativeError } from "../support/numbers.ts";
import { ReferenceEngine } from "../support/reference_engine.ts";
import { type CaseSettings, type EngineCase, plainCase, sliced } from "./engine_cases.ts";

/** Makes an engine with any weights. */
export type EngineMaker = (shape: NetworkShape) => Promise<PolicyEngine>;

/**
 * Hidden units nearer than this to the kink of their ReLU may fall on either side in float32. Sums of 1100 products in
 * any order, after twenty steps, are off by 5e-7 (root mean square), hence one unit in 10,000 by more than this.
 */
export const KINK_ROUNDING = 2e-6;

/**
 * Smallest size of a regression's errors beside their terms. Where all predictions of a batch happen to hit their targets,
 * in practice a batch of one row, the errors and with them the gradient are made of rounding: of 30 steps below this
 * size 9 had gradient norms that were off by more than 1e-5 (up to 7.5e-5, and by the same in every engine), of 3,400
 * above it none by more than 6e-6.
 */
const LEAST_RESIDUAL_SHARE = 0.15;

/** Data seeds that are tried for one random network. A seed in four will do for the largest that are drawn. */
const MOST_SEEDS = 200;

/** A case and what float64 makes of it. */
export interface ReferenceRun {
  /** What the case was made from. */
  readonly settings: CaseSettings;
  /** What was trained. */
  readonly given: EngineCase;
  /** What the steps measured. */
  readonly metrics: StepMetrics;
  /** After the last step; the parameters and moments in float64. */
  readonly reference: ReferenceEngine;
  /** Outputs for all uploaded rows after the last step. */
  readonly outputs: Float32Array;
}

const runs = new Map<string, Promise<ReferenceRun | undefined>>();

/**
 * What float64 makes of a case; undefined where float32 may rightly differ, because a hidden unit comes too near to its
 * kink or the errors of a regression cancel.
 */
export function referenceRun(settings: CaseSettings): Promise<ReferenceRun | undefined> {
  const key = JSON.stringify(settings);
  let run = runs.get(key);
  if (run === undefined) runs.set(key, run = runReference(settings));
  return run;
}

/** The same for the first data seed, from the settings' own on, whose results float32 must share. */
export async function nextReferenceRun(settings: CaseSettings): Promise<ReferenceRun> {
  for (let seed = settings.seed; seed < settings.seed + MOST_SEEDS; seed++) {
    const run = await referenceRun({ ...settings, seed });
    if (run !== undefined) return run;
  }
  throw new Error(`none of ${MOST_SEEDS} data seeds keeps clear of kinks: ${JSON.stringify(settings)}`);
}

async function runReference(settings: CaseSettings): Promise<ReferenceRun | undefined> {
  const given = plainCase(settings);
  const reference = new ReferenceEngine(given.shape);
  await reference.load(given.state);
  await reference.upload(given.inputsNI);
  const steps: StepMetrics[] = [];
  const visits = given.segment.rows.length;
  for (let start = 0; start < visits; start += settings.batchSize) {
    const end = Math.min(start + settings.batchSize, visits);
    steps.push(await reference.train(sliced(given, start, end)));
    // At once, because most seeds of a large case end here.
    if (reference.kinkMargin <= KINK_ROUNDING || reference.residualShare < LEAST_RESIDUAL_SHARE) return undefined;
  }
  const column = (name: keyof StepMetrics): Float32Array => Float32Array.from(steps, (step) => step[name][0]!);
  const metrics = {
    loss: column("loss"),
    entropy: column("entropy"),
    gradNorm: column("gradNorm"),
    kl: column("kl"),
    clipFraction: column("clipFraction"),
  };
  return { settings, given, metrics, reference, outputs: await reference.forward(given.inputsNI) };
}

/** What an engine makes of a case. */
export async function trained(
  create: EngineMaker,
  given: EngineCase,
): Promise<{ readonly state: TrainingState; readonly metrics: StepMetrics; readonly outputs: Float32Array }> {
  await using engine = await create(given.shape);
  await engine.load(given.state);
  await engine.upload(given.inputsNI);
  const metrics = await engine.train(given.segment);
  return { state: await engine.read(), metrics, outputs: await engine.forward(given.inputsNI) };
}

/**
 * Trains an engine as the reference was trained and compares everything that came out.
 *
 * Losses, norms, moments and parameters are held to 1e-5. So is nothing about the single entries of an update: where a
 * gradient is nearly 0, AdamW divides it by its own size, and float32 decides only the sign of what is left. The update
 * as a whole is held to 5e-3, which any wrong constant of the optimizer exceeds.
 */
export async function assertAgrees(create: EngineMaker, run: ReferenceRun): Promise<void> {
  const { settings, given, metrics: wanted, reference } = run;
  const { state, metrics, outputs } = await trained(create, given);
  const close = (what: string, error: number, limit: number): void => {
    assert.ok(error <= limit, `${what} is off by ${error}, allowed ${limit}; ${JSON.stringify(settings)}`);
  };
  for (const name of ["loss", "entropy", "gradNorm", "kl", "clipFraction"] as const) {
    assert.equal(metrics[name].length, wanted[name].length, `number of steps in ${name}`);
    // A loss is a mean of terms of size 1, a divergence one of differences of such terms: both may cancel to nearly 0,
    // and keep the rounding of their terms. Nothing but what `referenceRun` excludes cancels in the others.
    const least = name === "loss" || name === "kl" ? 1 : 0;
    for (const [step, value] of wanted[name].entries()) {
      const limit = 1e-5 * Math.max(least, Math.abs(value));
      close(`${name} of step ${step}`, Math.abs(metrics[name][step]! - value), limit);
    }
  }
  assert.equal(state.step, given.state.step + wanted.loss.length);
  close("first moments", distance(state.firstMoments, reference.firstMoments), 1e-5 * norm(reference.firstMoments));
  close("second moments", distance(state.secondMoments, reference.secondMoments), 1e-5 * norm(reference.secondMoments));
  close("parameters", relativeError(state.parameters, reference.parameters), 1e-5);
  const update = distance(reference.parameters, given.state.parameters);
  close("update", distance(state.parameters, reference.parameters), 5e-3 * update);
  close("outputs", relativeError(outputs, run.outputs), 2e-5);
}
