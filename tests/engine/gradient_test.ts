/** The gradients of the loss heads, and of a whole network under each, against central differences in float64. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import { randomActions } from "../../src/bench/workload.ts";
import { initialState } from "../../src/engine/network.ts";
import { type HeadBatch, LOSS_HEADS, type LossHeadName } from "../../src/loss/heads.ts";
import { distance, norm } from "../support/numbers.ts";
import { clipMargin, referenceGradient } from "../support/reference_network.ts";

const HEADS = Object.keys(LOSS_HEADS) as LossHeadName[];

/** Central differences of a function at a point; error about h^2. */
function numericGradient(f: (point: Float64Array) => number, point: Float64Array, h = 1e-5): Float64Array {
  return point.map((value, i) => {
    const moved = point.slice();
    moved[i] = value + h;
    const above = f(moved);
    moved[i] = value - h;
    return (above - f(moved)) / (2 * h);
  });
}

function randomBatch(random: Random, head: LossHeadName, size: number, outputs: number): HeadBatch {
  const normals = (n: number): Float64Array => Float64Array.from({ length: n }, () => random.normal());
  return {
    size,
    outputs,
    coefficientsBE: head === "ppo_actor"
      ? Float64Array.from(randomActions(random, size, outputs))
      : normals(size * outputs),
    targetsB: normals(size),
    sampleWeightsB: normals(size).map((w) => Math.abs(w)),
    entropyCoef: 0.3,
  };
}

function assertGradient(found: Float64Array, wanted: Float64Array): void {
  const error = distance(found, wanted);
  assert.ok(error <= 1e-7 * (1 + norm(wanted)), `gradient is off by ${error} of ${norm(wanted)}`);
}

for (const head of HEADS) {
  Deno.test(`the gradient of ${head} equals its finite differences`, () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 6 }),
        (seed, size, outputs) => {
          const random = new Random(seed);
          const batch = randomBatch(random, head, size, outputs);
          const spread = head === "ppo_actor" ? 0.5 : 3;
          const outputsBE = Float64Array.from({ length: size * outputs }, () => spread * random.normal());
          // Nor is one taken across an end of PPO's clip range.
          fc.pre(head !== "ppo_actor" || clipMargin(outputsBE, batch) > 1e-3);
          const found = new Float64Array(outputsBE.length);
          LOSS_HEADS[head](outputsBE, batch, found);
          const loss = (at: Float64Array): number => LOSS_HEADS[head](at, batch, new Float64Array(at.length)).loss;
          assertGradient(found, numericGradient(loss, outputsBE));
        },
      ),
      { seed: 1, numRuns: 50 },
    );
  });

  for (const hiddenDim of [0, 6]) {
    Deno.test(`the gradient of a ${hiddenDim ? "hidden-layer" : "linear"} network under ${head} equals its finite differences`, () => {
      fc.assert(
        fc.property(fc.integer(), fc.integer({ min: 1, max: 5 }), (seed, size) => {
          const random = new Random(seed);
          const shape = { inputDim: 5, hiddenDim, outputs: 3, inputScale: 2 };
          const parametersP = Float64Array.from(initialState(shape, seed).parameters);
          const inputsBI = Float64Array.from({ length: size * 5 }, () => random.normal());
          const batch = { ...randomBatch(random, head, size, 3), head, inputsBI };
          const { gradientP, kinkMargin } = referenceGradient(shape, parametersP, batch);
          // A difference taken across the kink of a ReLU is not a derivative.
          fc.pre(kinkMargin > 1e-3);
          assertGradient(
            gradientP,
            numericGradient((at) => referenceGradient(shape, at, batch).loss, parametersP),
          );
        }),
        { seed: 2, numRuns: 25 },
      );
    });
  }
}
