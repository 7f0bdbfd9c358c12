/** A GPU's failures are errors of kind `backend`, never silent zeros. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { RlcfError } from "../../../src/base/errors.ts";
import { createEngine } from "../../../src/engine/create.ts";
import type { TrainingState } from "../../../src/engine/engine.ts";
import { layersOf } from "../../../src/engine/network.ts";
import { createWebgpuEngine } from "../../../src/engine/webgpu/engine.ts";
import { LOSS_HEADS, type LossHeadName } from "../../../src/loss/heads.ts";
import { plainCase } from "../engine_cases.ts";
import { gpuTest, replaced } from "./support.ts";

const SHAPE = { inputDim: 12, hiddenDim: 6, outputs: 3, inputScale: 4 };
const GIVEN = plainCase({ shape: SHAPE, seed: 1, batchSize: 5, visits: 20 });

const fails = (work: Promise<unknown>, message: RegExp, code = "backend"): Promise<void> =>
  assert.rejects(work, (error) => error instanceof RlcfError && error.code === code && message.test(error.message));

/** The device of TensorFlow.js' webgpu backend, which must have started. */
const device = (): GPUDevice => (tf.findBackend("webgpu") as unknown as { device: GPUDevice }).device;

gpuTest("a kernel that the device rejects is named with the compiler's words", async () => {
  const create = GPUDevice.prototype.createShaderModule;
  using _broken = replaced(
    GPUDevice.prototype,
    "createShaderModule",
    function (this: GPUDevice, descriptor): GPUShaderModule {
      return create.call(this, {
        ...descriptor,
        code: descriptor.code.replace("var square = 0.0;", "var square = 0u;"),
      });
    },
  );
  const refused = /cannot use backend "webgpu": the webgpu backend failed: [^]*'(gradients_of|adamw)'[^]*square/;
  await fails(createWebgpuEngine(SHAPE), refused);
  // Asked for by name, it is not replaced by another engine.
  await fails(createEngine(SHAPE, { backend: "webgpu" }), refused);
});

gpuTest("a network or a batch beyond what a kernel can read is refused", async () => {
  await (await createWebgpuEngine(SHAPE))[Symbol.asyncDispose]();
  const limit = device().limits.maxStorageBufferBindingSize;
  const huge = { inputDim: limit / 32, hiddenDim: 0, outputs: 4, inputScale: 1 };
  await fails(createWebgpuEngine(huge), /cannot use backend "webgpu": this network takes a buffer of \d+ bytes, and/);

  const wide = { inputDim: 2 ** 20, hiddenDim: 0, outputs: 1, inputScale: 1 };
  await using engine = await createWebgpuEngine(wide);
  await engine.upload(new Float32Array(wide.inputDim));
  const rows = limit / (4 * wide.inputDim) + 1;
  const ones = new Float32Array(rows).fill(1);
  const columns = { rows: new Uint32Array(rows), coefficients: ones, targets: ones, sampleWeights: ones };
  const segment = { ...GIVEN.segment, ...columns, batchSize: rows };
  await fails(engine.train(segment), /cannot train: a batch of \d+ rows takes \d+ bytes/);
});

gpuTest("a GPU without room for the set says so, and works on with a smaller one", async () => {
  await using engine = await createWebgpuEngine(SHAPE, { blockBytes: 1000 });
  const create = GPUDevice.prototype.createBuffer;
  let blocks = 0;
  {
    using _full = replaced(GPUDevice.prototype, "createBuffer", function (this: GPUDevice, descriptor): GPUBuffer {
      const full = descriptor.label === "block" && ++blocks === 3;
      return create.call(this, full ? { ...descriptor, size: 2 ** 50 } : descriptor);
    });
    await fails(engine.upload(GIVEN.inputsNI), /cannot upload inputs: the webgpu backend failed: /);
  }
  await fails(engine.train(GIVEN.segment), /a row is .*uploaded inputs/, "usage");
  await engine.upload(GIVEN.inputsNI);
  assert.equal((await engine.train(GIVEN.segment)).loss.length, 4);
});

gpuTest("work that the GPU refuses or drops is no success", async () => {
  await using engine = await createWebgpuEngine(SHAPE);
  await engine.load(GIVEN.state);
  await engine.upload(GIVEN.inputsNI);
  const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
  {
    using _invalid = replaced(GPUComputePassEncoder.prototype, "dispatchWorkgroups", function (
      this: GPUComputePassEncoder,
    ): undefined {
      return dispatch.call(this, 2 ** 31);
    });
    await fails(engine.train(GIVEN.segment), /cannot train: the webgpu backend failed: /);
    await fails(engine.forward(GIVEN.inputsNI), /cannot run the network: the webgpu backend failed: /);
  }
  await engine.train(GIVEN.segment);
  {
    using _lazy = replaced(GPUComputePassEncoder.prototype, "dispatchWorkgroups", () => {});
    // The ring still holds the marks of the training before.
    await fails(engine.train(GIVEN.segment), /did not run step 1,/);
  }
});

for (const head of Object.keys(LOSS_HEADS) as LossHeadName[]) {
  gpuTest(`NaN in a hidden unit is not swallowed by its ReLU: ${head}`, async () => {
    const { segment, inputsNI } = plainCase({ shape: SHAPE, seed: 2, batchSize: 5, visits: 20, head });
    await using engine = await createWebgpuEngine(SHAPE);
    await engine.load(overflowing(GIVEN.state));
    await engine.upload(inputsNI.fill(1));
    await fails(engine.train(segment), /training broke down: loss is NaN at step 1 of 4/, "usage");
  });
}

/** The first layer overflows to Infinity; the second makes Infinity - Infinity of it. */
function overflowing(state: TrainingState): TrainingState {
  const [first, second] = layersOf(SHAPE);
  const parameters = state.parameters.slice();
  parameters.fill(3e38, first!.weightOffset, first!.biasOffset);
  for (let i = second!.weightOffset; i < second!.biasOffset; i++) parameters[i] = i % 2 === 0 ? 1 : -1;
  return { ...state, parameters };
}

gpuTest("an error that the device reports outside the engine's calls stops it, and no later engine", async () => {
  await using engine = await createWebgpuEngine(SHAPE);
  await engine.upload(GIVEN.inputsNI);
  device().createBuffer({ size: 2 ** 50, usage: GPUBufferUsage.STORAGE });
  await new Promise((resolve) => setTimeout(resolve));
  await fails(engine.train(GIVEN.segment), /cannot train: the webgpu backend failed: Buffer size/);
  await using other = await createWebgpuEngine(SHAPE);
  assert.equal((await other.forward(GIVEN.inputsNI)).length, 300);
});

// Last, because the GPU is gone afterwards.
gpuTest("a GPU that is lost fails every call", async () => {
  await using engine = await createWebgpuEngine(SHAPE);
  await engine.upload(GIVEN.inputsNI);
  await engine.train(GIVEN.segment);
  device().destroy();
  await fails(engine.train(GIVEN.segment), /cannot train: the webgpu backend failed: .*lost/);
  await fails(engine.forward(GIVEN.inputsNI), /cannot run the network: the webgpu backend failed: .*lost/);
  await fails(engine.read(), /cannot read weights: the webgpu backend failed: .*lost/);
  await fails(engine.load(GIVEN.state), /cannot load weights: the webgpu backend failed: .*lost/);
  await fails(engine.upload(GIVEN.inputsNI), /cannot upload inputs: the webgpu backend failed: .*lost/);
  await fails(engine.weightTensors(), /cannot share weights: the webgpu backend failed: .*lost/);
  await fails(createWebgpuEngine(SHAPE), /cannot use backend "webgpu"/);
});
