/**
 * Whether all ways to compute give the same answers: to the same queries, and after the same training steps.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import { RlcfError } from "../base/errors.ts";
import { createEngine } from "../engine/create.ts";
import type { PolicyEngine, TrainingState } from "../engine/engine.ts";
import type { LossHeadName } from "../loss/heads.ts";
import { comparableData, NO_CLEAR_DATA } from "./comparable_data.ts";
import { forward64 } from "./forward64.ts";
import { unitRows } from "./workload.ts";

/** Largest relative error that counts as agreement. */
export const AGREEMENT_LIMIT = 1e-5;

const QUERIES = 64;
const STEPS = 3;
const BATCH = 32;

/** One comparison; the field names are those of `bench --json`. */
export interface Agreement {
  /** The variant that is judged. */
  readonly backend: string;
  /** `float64`, for the answers to 64 queries; or another variant, for those and three training steps. */
  readonly against: string;
  /** l2 norm of the difference over the l2 norm of what was wanted, the largest over all that is compared. */
  readonly max_rel_error: number;
  /** Whether it is at most {@link AGREEMENT_LIMIT}. */
  readonly agrees: boolean;
  /** Why training steps were not compared; absent where they were, and where only answers ever are. */
  readonly not_compared?: string;
}

/** What a variant answered. */
export interface Answers {
  /** The variant. */
  readonly backend: string;
  /** [64, outputs] of the given weights. */
  readonly outputs: Float32Array;
  /** Losses, gradient norms and parameters of three steps; null where no data were found to compare them on. */
  readonly trained: readonly Float32Array[] | null;
}

/** Lets an engine answer and train from a state; leaves other weights and another set in it. */
export async function answersOf(
  backend: string,
  engine: PolicyEngine,
  state: TrainingState,
  head?: LossHeadName,
): Promise<Answers> {
  const { shape } = state;
  await engine.load(state);
  const outputs = await engine.forward(queriesFor(state));
  // Where this machine cannot run simd there is nothing that all could follow; each engine then goes by itself.
  const simd = await createEngine(shape, { backend: "simd" }).catch((error: unknown) => {
    if (error instanceof RlcfError && error.code === "backend") return undefined;
    throw error;
  });
  await using walker = simd?.engine;
  const options = { shape, rows: QUERIES, steps: STEPS, batchSize: BATCH, head };
  const { inputsNI, segment, clear } = await comparableData(walker ?? engine, state, options, 2);
  if (!clear) return { backend, outputs, trained: null };
  await engine.load(state);
  await engine.upload(inputsNI);
  const { loss, gradNorm } = await engine.train(segment);
  return { backend, outputs, trained: [loss, gradNorm, (await engine.read()).parameters] };
}

/** Compares each variant's answers with float64, and with the variant that is called the reference. */
export function compareAnswers(answers: readonly Answers[], state: TrainingState, reference: string): Agreement[] {
  const { outputsNE } = forward64(state, queriesFor(state));
  const wanted = answers.find(({ backend }) => backend === reference);
  return answers.flatMap(({ backend, outputs, trained }) => {
    const toExact = agreement(backend, "float64", [outputs], [outputsNE]);
    if (wanted === undefined || backend === reference) return [toExact];
    if (trained === null || wanted.trained === null) {
      return [toExact, { ...agreement(backend, reference, [outputs], [wanted.outputs]), not_compared: NO_CLEAR_DATA }];
    }
    return [toExact, agreement(backend, reference, [outputs, ...trained], [wanted.outputs, ...wanted.trained])];
  });
}

function agreement(
  backend: string,
  against: string,
  found: readonly ArrayLike<number>[],
  wanted: readonly ArrayLike<number>[],
): Agreement {
  const error = largestError(found, wanted);
  return { backend, against, max_rel_error: error, agrees: error <= AGREEMENT_LIMIT };
}

function queriesFor({ shape }: TrainingState): Float32Array {
  return unitRows(new Random(1), QUERIES, shape.inputDim);
}

/**
 * The largest of the relative l2 errors of several arrays. It is not finite where weights are broken; JSON has no word
 * for that, and it is no agreement: the largest number that there is stands for it.
 */
export function largestError(found: readonly ArrayLike<number>[], wanted: readonly ArrayLike<number>[]): number {
  const errors = found.map((values, i) => relativeError(values, wanted[i]!));
  return errors.every(Number.isFinite) ? Math.max(...errors) : Number.MAX_VALUE;
}

/** l2 norm of the difference over the l2 norm of what was wanted; 0 for two zero vectors. */
function relativeError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let [error, norm] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    error += (found[i]! - wanted[i]!) ** 2;
    norm += wanted[i]! ** 2;
  }
  return error === 0 ? 0 : Math.sqrt(error / norm);
}
