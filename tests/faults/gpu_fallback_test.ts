/** A GPU that fails in the middle of the work is replaced, and the work ends as if it had never been there. */
import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import type { PolicyEngine, TrainingSegment, TrainingState } from "../../src/engine/engine.ts";
import { FallbackEngine } from "../../src/engine/fallback.ts";
import { createSimdEngine } from "../../src/engine/simd/engine.ts";
import { createTfjsEngine } from "../../src/engine/tfjs/engine.ts";
import { plainCase } from "../engine/engine_cases.ts";
import { DoomedEngine } from "./gpu_support.ts";

const SHAPE = { inputDim: 12, hiddenDim: 6, outputs: 3, inputScale: 4 };
const FIRST = plainCase({ shape: SHAPE, seed: 1, batchSize: 5, visits: 40 });
const SECOND = plainCase({ shape: SHAPE, seed: 2, batchSize: 5, visits: 40 });
/** Most rows that are done again in these tests. */
const LIMITS = { rowsBetweenCopies: 50, keptBytes: 2 ** 20 };

const simd = (): Promise<PolicyEngine> => createSimdEngine(SHAPE, { threads: 1 });

/** A part of a segment: visits [from, to), whole batches. */
function part(segment: TrainingSegment, from: number, to: number): TrainingSegment {
  return {
    ...segment,
    rows: segment.rows.slice(from, to),
    coefficients: segment.coefficients.slice(from * SHAPE.outputs, to * SHAPE.outputs),
    targets: segment.targets.slice(from, to),
    sampleWeights: segment.sampleWeights.slice(from, to),
  };
}

/** Everything that an engine is used for, and all that it answers. */
async function wholeUse(engine: PolicyEngine): Promise<unknown[]> {
  const answers: unknown[] = [];
  await engine.load(FIRST.state);
  await engine.upload(FIRST.inputsNI);
  for (const from of [0, 10, 20, 30]) answers.push(await engine.train(part(FIRST.segment, from, from + 10)));
  answers.push(await engine.forward(FIRST.inputsNI));
  // The rows of what follows are those of another set, and the copy is older than it.
  await engine.upload(SECOND.inputsNI);
  answers.push(await engine.train(SECOND.segment));
  answers.push(await engine.read());
  answers.push(await engine.train(part(SECOND.segment, 0, 10)));
  answers.push(await engine.read());
  return answers;
}

Deno.test("wherever the device is lost, every answer is the one of an undisturbed engine, bit for bit", async () => {
  const wanted = await wholeUse(await simd());
  let [failures, k] = [0, 0];
  while (failures === k++) {
    const gpu = new DoomedEngine(await simd(), k);
    await using engine = new FallbackEngine(gpu, simd, LIMITS);
    assert.deepEqual(await wholeUse(engine), wanted, `lost at call ${k}`);
    failures += engine.fallbacks.length;
    assert.equal(gpu.disposed, engine.fallbacks.length === 1);
    for (const { from, to, reason } of engine.fallbacks) {
      assert.deepEqual([from, to, reason, engine.backend], [
        "webgpu",
        "simd",
        `the device was lost at call ${k}`,
        "simd",
      ]);
    }
  }
  // 11 calls as above, and the copies that were made in between.
  assert.ok(failures > 12, String(failures));
});

Deno.test("the other engine goes on from the last copy, not from the device's later steps", async () => {
  const segments = [0, 10, 20, 30].map((from) => part(FIRST.segment, from, from + 10));
  const gpu = new DoomedEngine(await createTfjsEngine(SHAPE, "cpu"), 7);
  await using engine = new FallbackEngine(gpu, simd, { ...LIMITS, rowsBetweenCopies: 20 });
  await engine.load(FIRST.state);
  await engine.upload(FIRST.inputsNI);
  // Calls 3, 4 and a copy; 6; 7 is lost.
  for (const segment of segments) await engine.train(segment);
  assert.deepEqual(engine.fallbacks.map(({ trainedRows, repeatedRows }) => [trainedRows, repeatedRows]), [[30, 10]]);

  await using before = await createTfjsEngine(SHAPE, "cpu");
  await before.load(FIRST.state);
  await before.upload(FIRST.inputsNI);
  for (const segment of segments.slice(0, 2)) await before.train(segment);
  await using after = await simd();
  await after.load(await before.read());
  await after.upload(FIRST.inputsNI);
  for (const segment of segments.slice(2)) await after.train(segment);
  assert.deepEqual(await engine.read(), await after.read());
});

Deno.test("what the caller writes into its arrays afterwards does not reach what is done again", async () => {
  const run = async (engine: PolicyEngine, reuse: boolean): Promise<TrainingState> => {
    const state = { ...FIRST.state, parameters: FIRST.state.parameters.slice() };
    await engine.load(state);
    if (reuse) state.parameters.fill(0);
    await engine.upload(FIRST.inputsNI);
    const segment = part(FIRST.segment, 0, 20);
    await engine.train(segment);
    if (reuse) segment.coefficients.fill(0);
    await engine.train(part(FIRST.segment, 20, 40));
    return await engine.read();
  };
  await using engine = new FallbackEngine(new DoomedEngine(await simd(), 4), simd);
  assert.deepEqual(await run(engine, true), await run(await simd(), false));
  assert.equal(engine.fallbacks.length, 1);
});

Deno.test("many small sets are copied away before they fill the memory", async () => {
  const gpu = new DoomedEngine(await simd(), Infinity);
  await using engine = new FallbackEngine(gpu, simd, { rowsBetweenCopies: 1000, keptBytes: FIRST.inputsNI.byteLength });
  for (let i = 0; i < 9; i++) {
    await engine.upload(FIRST.inputsNI);
    await engine.train(part(FIRST.segment, 0, 5));
  }
  // 9 uploads, 9 segments, and a copy whenever more than one set besides the first was kept: before uploads 4 and 7.
  assert.equal(gpu.calls, 20);
});

Deno.test("an error that is not the device's changes no engine", async () => {
  const gpu = new DoomedEngine(await simd(), Infinity);
  await using engine = new FallbackEngine(gpu, simd);
  await assert.rejects(engine.load({ ...FIRST.state, step: -1 }), /step is -1/);
  await engine.upload(FIRST.inputsNI);
  const stray = { ...FIRST.segment, rows: FIRST.segment.rows.map(() => 10_000) };
  await assert.rejects(engine.train(stray), /a row is 10000/);
  assert.deepEqual([engine.fallbacks, engine.backend], [[], "webgpu"]);
});

Deno.test("where there is no other engine, the device's own failure is what is thrown", async () => {
  const none = (): Promise<PolicyEngine> => Promise.reject(new RlcfError("backend", "found no backend to compute on"));
  await using engine = new FallbackEngine(new DoomedEngine(await simd(), 2), none);
  await engine.load(FIRST.state);
  await assert.rejects(engine.upload(FIRST.inputsNI), /the device was lost at call 2/);
  assert.deepEqual(engine.fallbacks, []);
});

Deno.test("a second failure has nothing left to fall back on", async () => {
  const second = async (): Promise<PolicyEngine> => new DoomedEngine(await simd(), 3);
  await using engine = new FallbackEngine(new DoomedEngine(await simd(), 2), second);
  await engine.load(FIRST.state);
  await engine.upload(FIRST.inputsNI);
  await assert.rejects(engine.train(FIRST.segment), /the device was lost at call 3/);
});
