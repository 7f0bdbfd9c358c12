/**
 * Whether the kernels compute on this GPU what float64 computes: loss, entropy, norm of the gradient and weights after
 * some steps of every loss head.
 *
 * @module
 */
import { Random } from "../../src/base/random.ts";
import { messageOf } from "../../src/base/errors.ts";
import { unitRows } from "../../src/bench/workload.ts";
import { createEngine } from "../../src/engine/create.ts";
import type { PolicyEngine } from "../../src/engine/engine.ts";
import { initialState } from "../../src/engine/network.ts";
import { LOSS_HEADS, type LossHeadName } from "../../src/loss/heads.ts";
import { relativeError } from "../../tests/support/numbers.ts";
import { ReferenceEngine } from "../../tests/support/reference_engine.ts";
import { randomSegment, type Sizes } from "./sizes.ts";

/** Largest relative l2 error that counts as agreement. */
const LIMIT = 1e-5;

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
  /** Whether it is at most 1e-5. */
  readonly agrees: boolean;
  /** Why it could not be compared. */
  readonly missing?: string;
}

/** Compares an engine with float64 for every head and size, and with the CPU engine. */
export async function compareAll(engine: PolicyEngine, sizes: Sizes): Promise<Agreement[]> {
  const found: Agreement[] = [];
  for (const head of Object.keys(LOSS_HEADS) as LossHeadName[]) {
    for (const { batchSize, steps } of sizes.checks) {
      found.push(await compare("float64", engine, new ReferenceEngine(sizes.shape), sizes, head, batchSize, steps));
    }
  }
  const last = sizes.checks[0]!;
  try {
    await using simd = (await createEngine(sizes.shape, { backend: "simd" })).engine;
    found.push(await compare("simd", engine, simd, sizes, "policy_gain", last.batchSize, last.steps));
  } catch (error) {
    const given = { head: "policy_gain", batch_size: last.batchSize, steps: last.steps } as const;
    found.push({ against: "simd", ...given, agrees: false, missing: messageOf(error) });
  }
  return found;
}

async function compare(
  against: Agreement["against"],
  engine: PolicyEngine,
  oracle: PolicyEngine,
  sizes: Sizes,
  head: LossHeadName,
  batchSize: number,
  steps: number,
): Promise<Agreement> {
  const [found, wanted] = [await run(engine), await run(oracle)];
  const error = Math.max(...found.map((values, i) => relativeError(values, wanted[i]!)));
  return { against, head, batch_size: batchSize, steps, max_rel_error: error, agrees: error <= LIMIT };

  async function run(one: PolicyEngine): Promise<Float32Array[]> {
    const random = new Random(batchSize);
    await one.load(initialState(sizes.shape, 1));
    await one.upload(unitRows(random, sizes.rows, sizes.shape.inputDim));
    const { loss, entropy, gradNorm } = await one.train(randomSegment(random, sizes, steps, batchSize, head));
    return [loss, entropy, gradNorm, (await one.read()).parameters];
  }
}
