/** What only engines on TensorFlow.js have to prove: no tensor is left behind, and several backends share one process. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { RlcfError } from "../../../src/base/errors.ts";
import { listBackends } from "../../../src/engine/create.ts";
import { LOSS_HEADS, type LossHeadName } from "../../../src/loss/heads.ts";
import type { TfjsBackendName } from "../../../src/engine/tfjs/device.ts";
import { createTfjsEngine } from "../../../src/engine/tfjs/engine.ts";
import { type EngineCase, plainCase } from "../engine_cases.ts";

const gpu = (await listBackends()).find(({ name }) => name === "webgpu")!;
const BACKENDS: readonly TfjsBackendName[] = gpu.available ? ["webgpu", "wasm", "cpu"] : ["wasm", "cpu"];
const noGpu = gpu.available ? "" : ` (ignored: ${gpu.device})`;

const SHAPE = { inputDim: 12, hiddenDim: 6, outputs: 3, inputScale: 4 };
/** Weight, bias and their moments of three layers. */
const HELD = 18;

for (const backend of BACKENDS) {
  Deno.test(`tfjs on ${backend} leaves no tensor behind`, async () => {
    // The first engine starts the backend; before that there is nothing to count.
    await (await createTfjsEngine(SHAPE, backend))[Symbol.asyncDispose]();
    const start = tf.memory();
    const held = (): number => {
      const { numTensors, numDataBuffers } = tf.memory();
      assert.equal(numDataBuffers - start.numDataBuffers, numTensors - start.numTensors);
      return numTensors - start.numTensors;
    };
    const engine = await createTfjsEngine(SHAPE, backend);
    assert.equal(held(), HELD);
    for (const head of Object.keys(LOSS_HEADS) as LossHeadName[]) {
      const given = plainCase({ shape: SHAPE, seed: 1, batchSize: 7, visits: 50, head });
      for (
        const work of [
          () => engine.load(given.state),
          () => engine.upload(given.inputsNI),
          () => engine.train(given.segment),
          () => engine.forward(given.inputsNI),
          () => engine.read(),
          () => assert.rejects(engine.train({ ...given.segment, batchSize: 0 })),
          () => assert.rejects(engine.load({ ...given.state, step: -1 })),
        ]
      ) {
        await work();
        assert.equal(held(), HELD, `${head}: ${work}`);
      }
    }
    await engine[Symbol.asyncDispose]();
    assert.equal(held(), 0);
  });
}

Deno.test("more steps than are joined at once measure the same as in pieces, and leave no tensor behind", async () => {
  const given = plainCase({ shape: SHAPE, seed: 2, batchSize: 1, visits: 600 });
  await using engine = await createTfjsEngine(SHAPE, "wasm");
  await engine.load(given.state);
  await engine.upload(given.inputsNI);
  const held = tf.memory().numTensors;
  const whole = await engine.train(given.segment);
  assert.equal(tf.memory().numTensors, held);
  await engine.load(given.state);
  const pieces: number[] = [];
  for (const start of [0, 200, 400]) {
    const { rows, coefficients, targets, sampleWeights } = given.segment;
    const end = start + 200;
    const { loss } = await engine.train({
      ...given.segment,
      rows: rows.slice(start, end),
      coefficients: coefficients.slice(3 * start, 3 * end),
      targets: targets.slice(start, end),
      sampleWeights: sampleWeights.slice(start, end),
    });
    pieces.push(...loss);
  }
  assert.deepEqual([...whole.loss], pieces);
});

Deno.test("engines on different backends that work at the same time do not disturb each other", async () => {
  const given = plainCase({ shape: SHAPE, seed: 3, batchSize: 5, visits: 40 });
  const alone: Float32Array[] = [];
  for (const backend of BACKENDS) alone.push(await parametersAfter(backend, given));
  const together = await Promise.all(BACKENDS.map((backend) => parametersAfter(backend, given)));
  assert.deepEqual(together, alone);
});

async function parametersAfter(backend: TfjsBackendName, given: EngineCase): Promise<Float32Array> {
  await using engine = await createTfjsEngine(SHAPE, backend);
  await engine.load(given.state);
  await engine.upload(given.inputsNI);
  // Small segments, so that the engines take turns often.
  for (let i = 0; i < 5; i++) {
    await engine.train(given.segment);
    await engine.forward(given.inputsNI);
  }
  return (await engine.read()).parameters;
}

Deno.test({
  name: `a batch or a layer beyond what the GPU reads at once is refused${noGpu}`,
  ignore: !gpu.available,
  fn: async () => {
    const wide = { inputDim: 2 ** 20, hiddenDim: 0, outputs: 1, inputScale: 1 };
    await using engine = await createTfjsEngine(wide, "webgpu");
    const limit =
      (tf.findBackend("webgpu") as unknown as { device: GPUDevice }).device.limits.maxStorageBufferBindingSize;
    const rows = limit / (4 * wide.inputDim) + 1;
    await engine.upload(new Float32Array(wide.inputDim));
    const ones = new Float32Array(rows).fill(1);
    const segment = {
      ...plainCase({ shape: SHAPE, seed: 1, batchSize: 1, visits: 0 }).segment,
      rows: new Uint32Array(rows),
      coefficients: ones,
      targets: ones,
      sampleWeights: ones,
      batchSize: rows,
    };
    await assert.rejects(engine.train(segment), /cannot train: a batch of \d+ rows takes \d+ bytes/);
    const huge = { inputDim: limit / 8, hiddenDim: 0, outputs: 3, inputScale: 1 };
    await assert.rejects(
      createTfjsEngine(huge, "webgpu"),
      (error) =>
        error instanceof RlcfError && error.code === "backend" && /a layer of this network takes/.test(error.message),
    );
  },
});

// Last, because the GPU is gone afterwards.
Deno.test({
  name: `a failure of the GPU and its loss are reported as failures of the backend${noGpu}`,
  ignore: !gpu.available,
  fn: async () => {
    const given = plainCase({ shape: SHAPE, seed: 4, batchSize: 5, visits: 10 });
    const failed = (work: Promise<unknown>, message: RegExp): Promise<void> =>
      assert.rejects(
        work,
        (error) => error instanceof RlcfError && error.code === "backend" && message.test(error.message),
      );
    await using engine = await createTfjsEngine(SHAPE, "webgpu");
    await engine.upload(given.inputsNI);
    const { device } = tf.findBackend("webgpu") as unknown as { device: GPUDevice };
    device.createBuffer({ size: 2 ** 50, usage: GPUBufferUsage.STORAGE });
    await failed(engine.train(given.segment), /the webgpu backend failed: /);
    // Engines opened after the failure start with a clean slate.
    await using other = await createTfjsEngine(SHAPE, "webgpu");
    assert.equal((await other.forward(given.inputsNI)).length, 300);
    device.destroy();
    await failed(other.forward(given.inputsNI), /the webgpu backend failed: /);
    await failed(other.read(), /the webgpu backend failed: /);
    await failed(createTfjsEngine(SHAPE, "webgpu"), /cannot use backend "webgpu": the webgpu backend failed/);
  },
});
