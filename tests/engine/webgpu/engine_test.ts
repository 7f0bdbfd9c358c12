/** What only the fused engine has to prove: results do not depend on how sets, submits and batches are cut. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { Random } from "../../../src/base/random.ts";
import type { PolicyEngine, TrainingSegment } from "../../../src/engine/engine.ts";
import { createTfjsEngine } from "../../../src/engine/tfjs/engine.ts";
import { createWebgpuEngine } from "../../../src/engine/webgpu/engine.ts";
import { LOSS_HEADS, type LossHeadName } from "../../../src/loss/heads.ts";
import { distance, relativeError } from "../../support/numbers.ts";
import { ReferenceEngine } from "../../support/reference_engine.ts";
import { type EngineCase, plainCase } from "../engine_cases.ts";
import { gpuTest, replaced, trained } from "./support.ts";

// No width is a multiple of 4, so all are padded.
const SHAPE = { inputDim: 13, hiddenDim: 11, outputs: 3, inputScale: 4 };

gpuTest("a set in many blocks trains to the same bits as in one", async () => {
  const given = plainCase({ shape: SHAPE, seed: 1, batchSize: 7, visits: 60 });
  const whole = await trained(given);
  // 64 bytes a row: blocks of 1, 3 and 33 rows.
  for (const blockBytes of [64, 200, 2112]) assert.deepEqual(await trained(given, { blockBytes }), whole);
});

gpuTest("many steps in one submit end with the same bits as one at a time", async () => {
  const given = plainCase({ shape: SHAPE, seed: 2, batchSize: 7, visits: 250 });
  const whole = await trained(given);
  assert.equal(whole.metrics.loss.length, 36);
  assert.deepEqual(await trained(given, { submitSteps: 1 }), whole);
  assert.deepEqual(await trained(given, { submitSteps: 5, ringSteps: 11 }), whole);
});

for (const head of Object.keys(LOSS_HEADS) as LossHeadName[]) {
  gpuTest(`batches beyond the size where workgroups take four rows agree with float64: ${head}`, async () => {
    const given = plainCase({ shape: SHAPE, seed: 3, batchSize: 301, visits: 3 * 301 - 42, head });
    await assertNear(given, 1e-6);
  });
}

gpuTest("a linear network with padded widths agrees with float64", async () => {
  const shape = { ...SHAPE, hiddenDim: 0, outputs: 5 };
  await assertNear(plainCase({ shape, seed: 4, batchSize: 9, visits: 40 }), 1e-6);
});

gpuTest("a batch of more workgroups than one dimension of a dispatch holds agrees with float64", async () => {
  const shape = { inputDim: 2, hiddenDim: 0, outputs: 1, inputScale: 1 };
  // Four rows a workgroup, and a workgroup more than 65,535; sums over so many rows lose two digits in float32.
  await assertNear(plainCase({ shape, seed: 5, batchSize: 262_145, visits: 262_145, head: "masked_regression" }), 1e-4);
});

async function assertNear(given: EngineCase, limit: number): Promise<void> {
  const reference = new ReferenceEngine(given.shape);
  await reference.load(given.state);
  await reference.upload(given.inputsNI);
  const wanted = await reference.train(given.segment);
  const { metrics, state } = await trained(given);
  for (const name of ["loss", "entropy", "gradNorm"] as const) {
    const error = relativeError(metrics[name], wanted[name]);
    assert.ok(error <= limit, `${name} is off by ${error}`);
  }
  for (const name of ["parameters", "firstMoments", "secondMoments"] as const) {
    const error = relativeError(state[name], reference[name]);
    assert.ok(error <= limit, `${name} is off by ${error}`);
  }
}

gpuTest("a set sent in several pieces arrives whole", async () => {
  const shape = { inputDim: 1023, hiddenDim: 0, outputs: 2, inputScale: 1 };
  const rows = 9000;
  const random = new Random(6);
  const inputsNI = Float32Array.from({ length: rows * shape.inputDim }, () => random.uniform() - 0.5);
  // Both sides of the edges of the pieces (32 MiB, 8192 rows) and of blocks of 3000 rows.
  const visited = [0, 2999, 3000, 5999, 6000, 8191, 8192, rows - 1];
  const few = Float32Array.from(visited.flatMap((row) => [...inputsNI.subarray(row * 1023, (row + 1) * 1023)]));
  const given = plainCase({ shape, seed: 6, batchSize: 3, visits: visited.length });
  const alone = await trained({
    ...given,
    inputsNI: few,
    segment: { ...given.segment, rows: Uint32Array.from(visited.keys()) },
  });
  const segment: TrainingSegment = { ...given.segment, rows: Uint32Array.from(visited) };
  assert.deepEqual(await trained({ ...given, inputsNI, segment }), alone);
  assert.deepEqual(await trained({ ...given, inputsNI, segment }, { blockBytes: 3000 * 4096 }), alone);
});

gpuTest("a set beyond what the device reads at once trains to the same bits as its visited rows alone", async () => {
  // Padded to 4096 bytes a row.
  const shape = { inputDim: 1022, hiddenDim: 4, outputs: 3, inputScale: 32 };
  await (await createWebgpuEngine(shape))[Symbol.asyncDispose]();
  const { maxStorageBufferBindingSize, maxBufferSize } =
    (tf.findBackend("webgpu") as unknown as { device: GPUDevice }).device.limits;
  // The engine makes no block larger than 1 GiB, however much the device could read.
  const blockRows = Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize, 2 ** 30) / 4096);
  const rows = blockRows + 5;
  // Both sides of the edge, in no order; the rows between are only there to take room.
  const visited = [rows - 1, 0, blockRows, blockRows - 1, 1, blockRows + 2, blockRows >> 1];
  const given = plainCase({ shape, seed: 14, batchSize: 5, visits: 40 });
  const places = given.segment.rows.map((row) => row % visited.length);
  const inputsNI = new Float32Array(rows * shape.inputDim);
  for (const [place, row] of visited.entries()) {
    const start = place * shape.inputDim;
    inputsNI.set(given.inputsNI.subarray(start, start + shape.inputDim), row * shape.inputDim);
  }
  const alone = await trained({ ...given, segment: { ...given.segment, rows: places } });

  const blocks: number[] = [];
  const create = GPUDevice.prototype.createBuffer;
  using _create = replaced(GPUDevice.prototype, "createBuffer", function (this: GPUDevice, descriptor): GPUBuffer {
    if (descriptor.label === "block") blocks.push(descriptor.size);
    return create.call(this, descriptor);
  });
  const segment = { ...given.segment, rows: places.map((place) => visited[place]!) };
  const found = await trained({ ...given, inputsNI, segment });
  assert.deepEqual(blocks, [4096 * blockRows, 4096 * 5]);
  // The short arrays first: the difference of long ones takes half a minute to describe.
  assert.deepEqual(found.metrics, alone.metrics);
  assert.deepEqual(found.state, alone.state);
});

gpuTest("forward of more rows than a submit takes gives what float64 gives", async () => {
  const random = new Random(7);
  const inputsNI = Float32Array.from({ length: 17_000 * SHAPE.inputDim }, () => random.normal());
  const { state } = plainCase({ shape: SHAPE, seed: 7, batchSize: 1, visits: 1 });
  const reference = new ReferenceEngine(SHAPE);
  await reference.load(state);
  await using engine = await createWebgpuEngine(SHAPE);
  await engine.load(state);
  const error = relativeError(await engine.forward(inputsNI), await reference.forward(inputsNI));
  assert.ok(error < 1e-6, `outputs are off by ${error}`);
});

gpuTest("a new set replaces the old one", async () => {
  const given = plainCase({ shape: SHAPE, seed: 8, batchSize: 10, visits: 50 });
  await using engine = await createWebgpuEngine(SHAPE);
  await engine.upload(given.inputsNI.map((x) => 2 * x + 1));
  await engine.train(given.segment);
  await engine.load(given.state);
  await engine.upload(given.inputsNI);
  await engine.train(given.segment);
  assert.deepEqual(await engine.read(), (await trained(given)).state);
});

gpuTest("engines that share the GPU, fused or not, do not disturb each other", async () => {
  const cases = [9, 10].map((seed) => plainCase({ shape: SHAPE, seed, batchSize: 5, visits: 40 }));
  const makers = [() => createWebgpuEngine(SHAPE), () => createTfjsEngine(SHAPE, "webgpu")];
  const runs = cases.flatMap((given) =>
    makers.map((make) => async (): Promise<Float32Array> => {
      await using engine: PolicyEngine = await make();
      await engine.load(given.state);
      await engine.upload(given.inputsNI);
      for (let i = 0; i < 3; i++) await engine.train(given.segment);
      return (await engine.read()).parameters;
    })
  );
  const alone: Float32Array[] = [];
  for (const run of runs) alone.push(await run());
  assert.deepEqual(await Promise.all(runs.map((run) => run())), alone);
});

gpuTest("weights as tensors are a snapshot of the engine's, and outlive it", async () => {
  const given = plainCase({ shape: SHAPE, seed: 11, batchSize: 7, visits: 21 });
  const engine = await createWebgpuEngine(SHAPE);
  await engine.load(given.state);
  await engine.upload(given.inputsNI);
  await engine.train(given.segment);
  const before = await engine.forward(given.inputsNI);
  const tensors = await engine.weightTensors();
  // Neither reading a tensor first, nor more training, nor the end of the engine changes what it holds.
  await tensors[0]!.weightIO.data();
  await engine.train(given.segment);
  assert.notDeepEqual(await engine.forward(given.inputsNI), before);
  const after = await engine.weightTensors();
  await engine[Symbol.asyncDispose]();
  const run = (layers: typeof tensors): tf.Tensor =>
    tf.tidy(() => {
      let outputs: tf.Tensor = tf.mul(tf.tensor2d(given.inputsNI, [100, SHAPE.inputDim]), SHAPE.inputScale);
      for (const [i, { weightIO, biasO }] of layers.entries()) {
        outputs = tf.add(tf.matMul(outputs as tf.Tensor2D, weightIO), biasO);
        if (i + 1 < layers.length) outputs = tf.relu(outputs);
      }
      return outputs;
    });
  const outputs = run(tensors);
  assert.ok(relativeError(await outputs.data(), before) < 1e-6);
  assert.ok(distance(await after[2]!.biasO.data(), await tensors[2]!.biasO.data()) > 0);
  tf.dispose([outputs, tensors, after] as unknown as tf.TensorContainer);
});

gpuTest("no buffer and no tensor is left behind", async () => {
  // The engine labels all its buffers; TensorFlow.js, which keeps its own for later, does not.
  const held = new Set<GPUBuffer>();
  const [create, destroy] = [GPUDevice.prototype.createBuffer, GPUBuffer.prototype.destroy];
  using _create = replaced(GPUDevice.prototype, "createBuffer", function (this: GPUDevice, descriptor): GPUBuffer {
    const buffer = create.call(this, descriptor);
    if (buffer.label !== "") held.add(buffer);
    return buffer;
  });
  using _destroy = replaced(GPUBuffer.prototype, "destroy", function (this: GPUBuffer): undefined {
    held.delete(this);
    return destroy.call(this);
  });
  await (await createWebgpuEngine(SHAPE))[Symbol.asyncDispose]();
  assert.equal(held.size, 0);
  const { numTensors } = tf.memory();
  const engine = await createWebgpuEngine(SHAPE, { blockBytes: 1000 });
  const given = plainCase({ shape: SHAPE, seed: 12, batchSize: 7, visits: 50 });
  const round = async (batchSize: number, forwardRows: number): Promise<void> => {
    await engine.load(given.state);
    await engine.upload(given.inputsNI);
    await engine.train({ ...given.segment, batchSize });
    await engine.forward(new Float32Array(forwardRows * SHAPE.inputDim));
    await engine.read();
    tf.dispose(await engine.weightTensors() as unknown as tf.TensorContainer);
    await assert.rejects(engine.train({ ...given.segment, batchSize: 0 }));
  };
  await round(7, 1);
  const { size } = held;
  assert.ok(size > 10);
  // Workspaces that grow replace one another.
  for (const [batchSize, forwardRows] of [[7, 2000], [50, 1], [7, 30]] as const) await round(batchSize, forwardRows);
  assert.equal(held.size, size);
  await engine[Symbol.asyncDispose]();
  assert.equal(held.size, 0);
  assert.equal(tf.memory().numTensors, numTensors);
});
