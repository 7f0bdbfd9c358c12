/** Measuring does what it says to an engine, and ends. */
import assert from "node:assert/strict";
import { measureForward, measureSteps } from "../../src/bench/measure.ts";
import { Random } from "../../src/base/random.ts";
import { unitRows } from "../../src/bench/workload.ts";
import type { TrainingSegment } from "../../src/engine/engine.ts";
import { ReferenceEngine } from "../support/reference_engine.ts";

const SHAPE = { inputDim: 8, hiddenDim: 4, outputs: 2, inputScale: 2 };

/** Remembers what it was given. */
class Watched extends ReferenceEngine {
  readonly segments: TrainingSegment[] = [];
  readonly forwards: number[] = [];

  override train(segment: TrainingSegment): ReturnType<ReferenceEngine["train"]> {
    this.segments.push(segment);
    return super.train(segment);
  }

  override forward(inputsNI: Float32Array): Promise<Float32Array> {
    this.forwards.push(inputsNI.length / SHAPE.inputDim);
    return super.forward(inputsNI);
  }
}

Deno.test("every step that is measured is a whole batch of uploaded rows", async () => {
  await using engine = new Watched(SHAPE);
  await engine.upload(unitRows(new Random(1), 20, SHAPE.inputDim));
  const timing = await measureSteps(engine, 20, 3, 20);
  assert.deepEqual([timing.op, timing.batch_size], ["train_step", 3]);
  assert.ok(timing.samples >= 1 && timing.samples <= engine.segments.length);
  for (const { rows, batchSize } of engine.segments) {
    assert.equal(batchSize, 3);
    assert.equal(rows.length % 3, 0);
    assert.ok(rows.every((row) => row < 20));
  }
});

Deno.test("where there is no time, one step and one forward pass are measured", async () => {
  await using engine = new Watched(SHAPE);
  const rowsNI = unitRows(new Random(1), 5, SHAPE.inputDim);
  await engine.upload(rowsNI);
  assert.equal((await measureSteps(engine, 5, 5, 0)).samples, 1);
  assert.equal((await measureForward(engine, rowsNI, 0)).samples, 1);
  assert.deepEqual([engine.segments.map(({ rows }) => rows.length), engine.forwards], [[5], [5]]);
});
