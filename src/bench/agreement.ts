/**
 * Whether all ways to compute give the same answers: to the same queries, and after the same training steps.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import type { PolicyEngine, TrainingState } from "../engine/engine.ts";
import { layersOf } from "../engine/network.ts";
import type { LossHeadName } from "../loss/heads.ts";
import { randomSegment, unitRows } from "./workload.ts";

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
}

/** What a variant answered. */
export interface Answers {
  /** The variant. */
  readonly backend: string;
  /** [64, outputs] of the given weights. */
  readonly outputs: Float32Array;
  /** Losses, gradient norms and parameters of three steps. */
  readonly trained: readonly Float32Array[];
}

/** Lets an engine answer and train from a state; leaves other weights and another set in it. */
export async function answersOf(
  backend: string,
  engine: PolicyEngine,
  state: TrainingState,
  head?: LossHeadName,
): Promise<Answers> {
  const inputsNI = queriesFor(state);
  await engine.load(state);
  await engine.upload(inputsNI);
  const outputs = await engine.forward(inputsNI);
  const { shape } = state;
  const segment = randomSegment(new Random(2), { shape, rows: QUERIES, steps: STEPS, batchSize: BATCH, head });
  const { loss, gradNorm } = await engine.train(segment);
  return { backend, outputs, trained: [loss, gradNorm, (await engine.read()).parameters] };
}

/** Compares each variant's answers with float64, and with the variant that is called the reference. */
export function compareAnswers(answers: readonly Answers[], state: TrainingState, reference: string): Agreement[] {
  const exact = forward64(state, queriesFor(state));
  const wanted = answers.find(({ backend }) => backend === reference);
  return answers.flatMap(({ backend, outputs, trained }) => {
    const against = [agreement(backend, "float64", [relativeError(outputs, exact)])];
    if (wanted !== undefined && backend !== reference) {
      const errors = [outputs, ...trained].map((values, i) =>
        relativeError(values, [wanted.outputs, ...wanted.trained][i]!)
      );
      against.push(agreement(backend, reference, errors));
    }
    return against;
  });
}

function agreement(backend: string, against: string, errors: readonly number[]): Agreement {
  // Not finite where weights are broken; JSON has no word for it, and it is no agreement.
  const error = errors.every(Number.isFinite) ? Math.max(...errors) : Number.MAX_VALUE;
  return { backend, against, max_rel_error: error, agrees: error <= AGREEMENT_LIMIT };
}

function queriesFor({ shape }: TrainingState): Float32Array {
  return unitRows(new Random(1), QUERIES, shape.inputDim);
}

/** The network in float64, layer by layer: outputs [n, outputs] of inputs [n, inputDim]. */
export function forward64({ shape, parameters }: TrainingState, inputsNI: Float32Array): Float64Array {
  const layers = layersOf(shape);
  let activations = Float64Array.from(inputsNI, (entry) => entry * shape.inputScale);
  for (const [place, { inputs, outputs, weightOffset, biasOffset }] of layers.entries()) {
    const rows = activations.length / inputs;
    const next = new Float64Array(rows * outputs);
    for (let n = 0; n < rows; n++) {
      for (let o = 0; o < outputs; o++) {
        let sum = parameters[biasOffset + o]!;
        for (let i = 0; i < inputs; i++) {
          sum += parameters[weightOffset + o * inputs + i]! * activations[n * inputs + i]!;
        }
        next[n * outputs + o] = place < layers.length - 1 ? Math.max(0, sum) : sum;
      }
    }
    activations = next;
  }
  return activations;
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
