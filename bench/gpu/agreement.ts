/**
 * Whether the kernels compute on this GPU what float64 and the CPU engine compute: loss, entropy, norm of the gradient
 * and weights after some steps of every loss head.
 *
 * @module
 */
import { messageOf } from "../../src/base/errors.ts";
import { AGREEMENT_LIMIT, largestError } from "../../src/bench/agreement.ts";
import { type ComparableData, comparableData, NO_CLEAR_DATA } from "../../src/bench/comparable_data.ts";
import { createEngine } from "../../src/engine/create.ts";
import type { PolicyEngine } from "../../src/engine/engine.ts";
import { initialState } from "../../src/engine/network.ts";
import { LOSS_HEADS, type LossHeadName } from "../../src/loss/heads.ts";
import { ReferenceEngine } from "../../tests/support/reference_engine.ts";
import type { Sizes } from "./sizes.ts";

/** One comparison. */
export interface Agreement {
  /** What the engine is compared with. */
  readonly against: "float64" | "simd";
  /** Which loss. */
  readonly head: LossHeadName;
  /** Rows of a step. */
  readonly batch_size: number;
  /** Steps taken before the comparison. */
  readonly steps: number;
  /** Largest of the relative l2 errors of losses, entropies, norms and weights; absent where it could not be compared. */
  readonly max_rel_error?: number;
  /** Whether it is at most 1e-5; false where there is nothing to compare with. */
  readonly agrees: boolean;
  /** Why there is nothing to compare with: this machine cannot run simd. */
  readonly missing?: string;
  /** Why only answers were compared, and no steps. */
  readonly not_compared?: string;
}

/** Compares an engine with float64 and with the CPU engine, for every head and size. */
export async function compareAll(engine: PolicyEngine, sizes: Sizes): Promise<Agreement[]> {
  const { shape } = sizes;
  const float64 = new ReferenceEngine(shape);
  const simd = await createEngine(shape, { backend: "simd" }).then(({ engine }) => engine, messageOf);
  await using _simd = typeof simd === "string" ? undefined : simd;
  const found: Agreement[] = [];
  for (const head of Object.keys(LOSS_HEADS) as LossHeadName[]) {
    for (const { batchSize, steps } of sizes.checks) {
      const options = { shape, rows: sizes.checkedRows, steps, batchSize, head };
      const data = await comparableData(float64, initialState(shape, 1), options, 1);
      const [results, wanted] = [await resultsOf(engine, data), await resultsOf(float64, data)];
      const what = { head, batch_size: batchSize, steps, ...data.clear ? {} : { not_compared: NO_CLEAR_DATA } };
      found.push({ against: "float64", ...what, ...judged(results, wanted) });
      found.push({
        against: "simd",
        ...what,
        ...typeof simd === "string" ? { agrees: false, missing: simd } : judged(results, await resultsOf(simd, data)),
      });
    }
  }
  return found;
}

/** What an engine measures and ends with; where a unit stands at a kink only its answers, which have none. */
async function resultsOf(engine: PolicyEngine, { inputsNI, segment, clear }: ComparableData): Promise<Float32Array[]> {
  await engine.load(initialState(engine.shape, 1));
  if (!clear) return [await engine.forward(inputsNI)];
  await engine.upload(inputsNI);
  const { loss, entropy, gradNorm } = await engine.train(segment);
  return [loss, entropy, gradNorm, (await engine.read()).parameters];
}

function judged(
  found: readonly Float32Array[],
  wanted: readonly Float32Array[],
): Pick<Agreement, "max_rel_error" | "agrees"> {
  const error = largestError(found, wanted);
  return { max_rel_error: error, agrees: error <= AGREEMENT_LIMIT };
}
