/** Engines are compared on data on which none of them may rightly differ. */
import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { answersOf, compareAnswers, largestError } from "../../src/bench/agreement.ts";
import { type ComparableData, comparableData } from "../../src/bench/comparable_data.ts";
import { forward64 } from "../../src/bench/forward64.ts";
import { randomSegment, type SegmentOptions, unitRows } from "../../src/bench/workload.ts";
import type { PolicyEngine, TrainingState } from "../../src/engine/engine.ts";
import { initialState, layersOf, stateOf } from "../../src/engine/network.ts";
import { createSimdEngine } from "../../src/engine/simd/engine.ts";
import { ReferenceEngine } from "../support/reference_engine.ts";

const SHAPE = { inputDim: 24, hiddenDim: 10, outputs: 3, inputScale: 4 };
const SEED = 2;
/** What `answersOf` asks for. */
const OPTIONS: SegmentOptions = { shape: SHAPE, rows: 64, steps: 3, batchSize: 32 };

/** The data that come first, whatever stands at a kink. */
function firstData(options = OPTIONS): Omit<ComparableData, "clear"> {
  const random = new Random(SEED);
  return { inputsNI: unitRows(random, options.rows, SHAPE.inputDim), segment: randomSegment(random, options) };
}

/** The value in front of the ReLU of a unit of the first hidden layer, at the input of a visit of the first data. */
function valueAt(parameters: Float32Array, unit: number, visit: number): number {
  const { inputsNI, segment: { rows } } = firstData();
  const { weightOffset, biasOffset, inputs } = layersOf(SHAPE)[0]!;
  let value = parameters[biasOffset + unit]!;
  for (let i = 0; i < inputs; i++) {
    const weight = parameters[weightOffset + unit * inputs + i]!;
    value += weight * SHAPE.inputScale * inputsNI[rows[visit]! * inputs + i]!;
  }
  return value;
}

/** Fresh weights with the bias of such a unit moved. */
function moved(unit: number, by: number): TrainingState {
  const { parameters } = initialState(SHAPE, 7);
  parameters[layersOf(SHAPE)[0]!.biasOffset + unit]! += by;
  return stateOf(SHAPE, parameters);
}

/** Norms of the gradient on the first data. */
async function gradNorms(engine: PolicyEngine, state: TrainingState): Promise<Float32Array> {
  const { inputsNI, segment } = firstData();
  await engine.load(state);
  await engine.upload(inputsNI);
  return (await engine.train(segment)).gradNorm;
}

Deno.test("a unit on its kink sets sound engines apart, and they are compared on other data instead", async () => {
  await using simd = await createSimdEngine(SHAPE, { threads: 1 });
  await using float64 = new ReferenceEngine(SHAPE);
  let apart: TrainingState | undefined;
  for (let unit = 0; unit < SHAPE.hiddenDim && apart === undefined; unit++) {
    // Exactly 0 but for the rounding of the bias.
    const state = moved(unit, -valueAt(initialState(SHAPE, 7).parameters, unit, 0));
    const error = largestError([await gradNorms(simd, state)], [await gradNorms(float64, state)]);
    if (error > 1e-5) apart = state;
  }
  assert.ok(apart !== undefined, "no unit falls on two sides");

  const { inputsNI, segment, clear } = await comparableData(float64, apart, OPTIONS, SEED);
  assert.equal(clear, true);
  assert.notDeepEqual(segment.rows, firstData().segment.rows);
  assert.notDeepEqual(inputsNI, firstData().inputsNI);

  const answers = [await answersOf("simd", simd, apart), await answersOf("float64 engine", float64, apart)];
  const verdicts = compareAnswers(answers, apart, "simd");
  assert.equal(verdicts.length, 3);
  for (const { agrees, not_compared } of verdicts) assert.deepEqual([agrees, not_compared], [true, undefined]);
});

Deno.test("data without a unit on a kink are taken as they come", async () => {
  await using float64 = new ReferenceEngine(SHAPE);
  const data = await comparableData(float64, initialState(SHAPE, 7), OPTIONS, SEED);
  assert.deepEqual(data, { ...firstData(), clear: true });
  assert.ok(float64.kinkMargin > 2e-6);
});

Deno.test("a unit that comes to its kink only by training is seen", async () => {
  await using float64 = new ReferenceEngine(SHAPE);
  const { inputsNI, segment } = firstData();
  const first = { ...segment, rows: segment.rows.slice(0, segment.batchSize) };
  await float64.upload(inputsNI);
  // The bias that the first step leaves at the kink: each try moves it by what the one before was off.
  let [state, bias] = [moved(0, 0), 0];
  for (let i = 0; i < 8; i++) {
    await float64.load(state);
    await float64.train(first);
    bias -= valueAt((await float64.read()).parameters, 0, segment.batchSize);
    state = moved(0, bias);
  }
  assert.ok(forward64(state, inputsNI).kinkMargin > 2e-6);
  assert.notDeepEqual((await comparableData(float64, state, OPTIONS, SEED)).segment.rows, segment.rows);
});

Deno.test("a ratio of PPO at an end of its clip range is a kink too", async () => {
  const options = { ...OPTIONS, head: "ppo_actor" as const };
  const { inputsNI, segment } = firstData(options);
  const state = initialState(SHAPE, 7);
  await using float64 = new ReferenceEngine(SHAPE);
  assert.equal((await comparableData(float64, state, options, SEED)).segment.rows[0], segment.rows[0]);
  // The last layer's biases move the first visit's ratio to 1.2.
  const action = segment.coefficients.subarray(0, SHAPE.outputs).findIndex((inverse) => inverse !== 0);
  const row = inputsNI.subarray(segment.rows[0]! * SHAPE.inputDim, (segment.rows[0]! + 1) * SHAPE.inputDim);
  const logits = forward64(state, row).outputsNE;
  const wanted = 1.2 / segment.coefficients[action]!;
  const others = logits.reduce((sum, logit, e) => e === action ? sum : sum + Math.exp(logit), 0);
  const { biasOffset } = layersOf(SHAPE).at(-1)!;
  state.parameters[biasOffset + action]! += Math.log(wanted / (1 - wanted) * others) - logits[action]!;
  assert.notDeepEqual((await comparableData(float64, state, options, SEED)).segment.rows, segment.rows);
});
