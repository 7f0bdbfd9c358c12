/**
 * Many callers on one engine: one call at a time, every caller its own rows.
 *
 * @module
 */
import assert from "node:assert/strict";
import { MicroBatcher } from "../../src/serve/micro_batch.ts";

const SHAPE = { inputDim: 2, outputs: 1 };

Deno.test("the engine is never called before it has answered, and every caller gets its own rows", async () => {
  let running = 0;
  const sizes: number[] = [];
  const batcher = new MicroBatcher(async (inputs) => {
    assert.equal(++running, 1);
    sizes.push(inputs.length / 2);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running--;
    return Float32Array.from({ length: inputs.length / 2 }, (_, i) => inputs[2 * i]! + inputs[2 * i + 1]!);
  }, SHAPE);
  const jobs = Array.from({ length: 20 }, async (_, i) => {
    await new Promise((resolve) => setTimeout(resolve, i % 7));
    const rows = 1 + i % 3;
    const outputs = await batcher.run(Float32Array.from({ length: 2 * rows }, (_, j) => 10 * i + j));
    assert.deepEqual(Array.from(outputs), Array.from({ length: rows }, (_, r) => 20 * i + 4 * r + 1));
  });
  await Promise.all(jobs);
  await batcher.idle();
  assert.ok(sizes.length < 20, `${sizes.length} calls for 20 callers`);
});

Deno.test("a call has at most 1024 rows unless one caller brings more", async () => {
  const sizes: number[] = [];
  const batcher = new MicroBatcher((inputs) => {
    sizes.push(inputs.length / 2);
    return Promise.resolve(new Float32Array(inputs.length / 2));
  }, SHAPE);
  await Promise.all([600, 600, 400, 3000, 1].map((rows) => batcher.run(new Float32Array(2 * rows))));
  assert.deepEqual(sizes, [600, 1000, 3000, 1]);
});

Deno.test("a call that fails fails for its callers, and the next one is made", async () => {
  let calls = 0;
  const batcher = new MicroBatcher(() => {
    return ++calls === 1 ? Promise.reject(new Error("lost")) : Promise.resolve(new Float32Array(1));
  }, SHAPE);
  await assert.rejects(batcher.run(new Float32Array(2)), /lost/);
  assert.equal((await batcher.run(new Float32Array(2))).length, 1);
});
