/** The benchmark finds out when an engine computes something else than the others. */
import assert from "node:assert/strict";
import { type Answers, answersOf, compareAnswers } from "../../src/bench/agreement.ts";
import { forward64 } from "../../src/bench/forward64.ts";
import type { TrainingState } from "../../src/engine/engine.ts";
import { initialState, stateOf } from "../../src/engine/network.ts";
import { createSimdEngine } from "../../src/engine/simd/engine.ts";
import { ReferenceEngine } from "../support/reference_engine.ts";

const SHAPE = { inputDim: 24, hiddenDim: 10, outputs: 3, inputScale: 4 };

async function answers(state: TrainingState = initialState(SHAPE, 7)): Promise<Answers[]> {
  await using simd = await createSimdEngine(SHAPE, { threads: 1 });
  await using reference = new ReferenceEngine(SHAPE);
  return [await answersOf("simd", simd, state), await answersOf("reference", reference, state)];
}

Deno.test("engines that compute the same agree with float64 and with each other", async () => {
  const agreement = compareAnswers(await answers(), initialState(SHAPE, 7), "simd");
  assert.deepEqual(agreement.map(({ backend, against, agrees }) => [backend, against, agrees]), [
    ["simd", "float64", true],
    ["reference", "float64", true],
    ["reference", "simd", true],
  ]);
  for (const { max_rel_error } of agreement) assert.ok(max_rel_error < 1e-5);
});

Deno.test("one wrong answer, one wrong parameter or one broken number is told", async () => {
  const [simd, other] = await answers();
  const state = initialState(SHAPE, 7);
  const verdicts = (changed: Answers): boolean[] =>
    compareAnswers([simd!, changed], state, "simd").filter(({ backend }) => backend === "reference")
      .map(({ agrees }) => agrees);
  const bent = (values: Float32Array, to: (value: number) => number): Float32Array =>
    values.map((value, i) => i === 5 ? to(value) : value);
  const [loss, gradNorm, parameters] = other!.trained as Float32Array[] as [Float32Array, Float32Array, Float32Array];
  assert.deepEqual(verdicts(other!), [true, true]);
  assert.deepEqual(verdicts({ ...other!, outputs: bent(other!.outputs, (value) => value + 0.01) }), [false, false]);
  const trained = [loss, gradNorm, bent(parameters, (value) => value + 0.01)];
  assert.deepEqual(verdicts({ ...other!, trained }), [true, false]);
  assert.deepEqual(verdicts({ ...other!, outputs: bent(other!.outputs, () => NaN) }), [false, false]);
});

Deno.test("where a unit stands on its kink whatever the data, answers alone are compared, and that is said", async () => {
  const { parameters } = initialState(SHAPE, 7);
  // The first hidden unit weighs nothing and has no bias: it is 0 for every row.
  parameters.fill(0, 0, SHAPE.inputDim);
  parameters[SHAPE.inputDim * SHAPE.hiddenDim] = 0;
  const state = stateOf(SHAPE, parameters);
  const [simd, other] = await answers(state);
  assert.deepEqual([simd!.trained, other!.trained], [null, null]);
  const [, , toSimd] = compareAnswers([simd!, other!], state, "simd");
  assert.equal(toSimd!.agrees, true);
  assert.match(toSimd!.not_compared!, /^training steps: on each of \d+ sets of data a hidden unit .* kink/);
  const outputs = other!.outputs.map((value) => value + 0.01);
  assert.equal(compareAnswers([simd!, { ...other!, outputs }], state, "simd")[2]!.agrees, false);
});

Deno.test("the float64 network is the one that its layers describe", () => {
  // One input of 3, scaled by 2; hidden units 3 * 2 * 1 - 1 = 5 and relu(-6) = 0; then relu(2 * 5 + 0) = 10; then -10 + 1.
  const shape = { inputDim: 1, hiddenDim: 2, outputs: 1, inputScale: 2 };
  const state = stateOf(shape, Float32Array.of(1, -1, -1, 0, 2, 3, 0, -1, 1));
  const { outputsNE, kinkMargin } = forward64(state, Float32Array.of(3));
  assert.deepEqual([[...outputsNE], kinkMargin], [[-9], 5]);
  const linear = { inputDim: 2, hiddenDim: 0, outputs: 1, inputScale: 1 };
  const straight = forward64(stateOf(linear, Float32Array.of(1, 2, -5)), Float32Array.of(1, 1, 3, 4));
  assert.deepEqual([[...straight.outputsNE], straight.kinkMargin], [[-2, 6], Infinity]);
});
