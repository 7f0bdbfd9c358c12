/** What can befall a real GPU (a software adapter will do) in the middle of a session: the run ends on the CPU. */
import assert from "node:assert/strict";
import { createLastingEngine } from "../../src/engine/create.ts";
import { FallbackEngine } from "../../src/engine/fallback.ts";
import { createSimdEngine } from "../../src/engine/simd/engine.ts";
import { createWebgpuEngine } from "../../src/engine/webgpu/engine.ts";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { runBench } from "../../src/bench/run.ts";
import { chooseVariants } from "../../src/bench/variants.ts";
import type { TrainProgress, TrainReport } from "../../src/session/report.ts";
import { plainCase } from "../engine/engine_cases.ts";
import { gpuTest, replaced } from "../engine/webgpu/support.ts";
import { settings, Workplace } from "../session/support.ts";
import { gpuDevice, reviveGpu } from "./gpu_support.ts";

const FLAGS = { "checkpoint.activate": "always", "compute.backend": "webgpu" } as const;

/** A session whose GPU suffers something after so many calls of `onProgress`. */
async function trainThrough(
  work: Workplace,
  after: number,
  fault: () => void,
  flags = {},
): Promise<{ readonly report: TrainReport; readonly at: number }> {
  let [calls, at] = [0, 0];
  const onProgress = ({ episodes }: TrainProgress): void => {
    if (++calls !== after) return;
    at = episodes;
    fault();
  };
  return { report: await work.train({ ...FLAGS, ...flags }, { onProgress }), at };
}

/** Asserts that a session fell back at an episode, and that its policy is sound. */
async function endedOnCpu(work: Workplace, report: TrainReport, at: number, reason: RegExp): Promise<void> {
  assert.equal(report.status, "completed");
  assert.equal(report.backend, "simd");
  assert.deepEqual(report.fallbacks.map(({ from, to, at_episode }) => [from, to, at_episode]), [[
    "webgpu",
    "simd",
    at,
  ]]);
  assert.match(report.fallbacks[0]!.reason, reason);
  const { manifest } = await loadCheckpoint(work.root, report.checkpoint.path, report.checkpoint.sha256);
  assert.equal(manifest.engine.backend, "simd");
  assert.equal(manifest.metrics.num_updates, report.updates);
}

for (const after of [1, 2, 3]) {
  gpuTest(`a device that is lost after segment ${after}`, async () => {
    await using work = await Workplace.open(200);
    const { report, at } = await trainThrough(work, after, () => gpuDevice().destroy());
    reviveGpu();
    await endedOnCpu(work, report, at, /cannot train: the webgpu backend failed: .*lost/);
  });
}

gpuTest("a device that is lost after the last segment, before the new policy is read", async () => {
  await using work = await Workplace.open(200);
  const onProgress = ({ episodes, total }: TrainProgress): void => {
    if (episodes === total) gpuDevice().destroy();
  };
  const report = await work.train(FLAGS, { onProgress });
  reviveGpu();
  await endedOnCpu(work, report, 2 * report.episodes.trained, /the webgpu backend failed: .*lost/);
});

gpuTest("memory that runs out behind the engine's back", async () => {
  await using work = await Workplace.open(200);
  const { report, at } = await trainThrough(work, 2, () => {
    const error = new GPUOutOfMemoryError("not enough memory left");
    gpuDevice().dispatchEvent(Object.assign(new Event("uncapturederror"), { error }));
  });
  await endedOnCpu(work, report, at, /cannot train: the webgpu backend failed: not enough memory left/);
});

gpuTest("a buffer that the device refuses", async () => {
  await using work = await Workplace.open(200);
  const create = GPUDevice.prototype.createBuffer;
  let full: Disposable | undefined;
  const { report, at } = await trainThrough(work, 2, () => {
    full = replaced(GPUDevice.prototype, "createBuffer", function (this: GPUDevice, descriptor): GPUBuffer {
      return create.call(this, { ...descriptor, size: 2 ** 50 });
    });
  });
  full?.[Symbol.dispose]();
  await endedOnCpu(work, report, at, /cannot train: the webgpu backend failed: .*[Bb]uffer/);
});

gpuTest("a kernel that is compiled later and rejected", async () => {
  const { shape, state, inputsNI, segment } = plainCase({
    shape: { inputDim: 12, hiddenDim: 6, outputs: 3, inputScale: 4 },
    seed: 1,
    batchSize: 5,
    visits: 20,
  });
  const { engine } = await createLastingEngine(shape, { backend: "webgpu" });
  await using lasting = engine as FallbackEngine;
  await lasting.load(state);
  await lasting.upload(inputsNI);
  const create = GPUDevice.prototype.createShaderModule;
  {
    // Only the kernels of `policy_gain` are compiled at the start.
    using _broken = replaced(GPUDevice.prototype, "createShaderModule", function (this: GPUDevice): GPUShaderModule {
      return create.call(this, { code: "this is no kernel" });
    });
    await lasting.train({ ...segment, head: "soft_target" });
  }
  assert.match(lasting.fallbacks[0]!.reason, /cannot train: the webgpu backend failed: /);
  await using wanted = await createSimdEngine(shape);
  await wanted.load(state);
  await wanted.upload(inputsNI);
  await wanted.train({ ...segment, head: "soft_target" });
  assert.deepEqual(await lasting.read(), await wanted.read());
});

gpuTest("a batch beyond what the device can read at once", async () => {
  const shape = { inputDim: 2 ** 20, hiddenDim: 0, outputs: 1, inputScale: 1 };
  await using engine = new FallbackEngine(await createWebgpuEngine(shape), () => createSimdEngine(shape));
  await engine.upload(new Float32Array(shape.inputDim));
  const rows = gpuDevice().limits.maxStorageBufferBindingSize / (4 * shape.inputDim) + 1;
  const ones = new Float32Array(rows).fill(1);
  const { loss } = await engine.train({
    head: "policy_gain",
    rows: new Uint32Array(rows),
    coefficients: ones,
    targets: ones,
    sampleWeights: ones,
    batchSize: rows,
    entropyCoef: 0,
    optimizer: { learningRate: 0.1, weightDecay: 0, clipGradNorm: 0 },
  });
  assert.equal(loss.length, 1);
  assert.match(engine.fallbacks[0]!.reason, /a batch of 33 rows takes \d+ bytes, and .* reads at most \d+ at once/);
});

gpuTest("with auto, an adapter that lacks a limit leaves the session to the CPU from the start", async () => {
  const request = GPU.prototype.requestAdapter;
  reviveGpu();
  {
    using _poor = replaced(
      GPU.prototype,
      "requestAdapter",
      async function (this: GPU, options): Promise<GPUAdapter | null> {
        const adapter = await request.call(this, options);
        if (adapter === null) return null;
        return new Proxy(adapter, {
          get(target, name): unknown {
            if (name === "info") return { ...describe(target.info), isFallbackAdapter: false };
            if (name === "requestDevice") {
              return () =>
                Promise.reject(new TypeError("requested limit maxStorageBuffersPerShaderStage is not supported"));
            }
            const value: unknown = Reflect.get(target, name);
            return typeof value === "function" ? value.bind(target) : value;
          },
        });
      },
    );
    await using work = await Workplace.open(60);
    const report = await work.train({ ...FLAGS, "compute.backend": "auto" });
    assert.deepEqual([report.backend, report.fallbacks], ["simd", []]);
    await assert.rejects(work.train(FLAGS), /cannot use backend "webgpu"/);
  }
  reviveGpu();
});

function describe({ description, vendor, device }: GPUAdapterInfo): Record<string, string> {
  return { description, vendor, device };
}

gpuTest("a benchmark leaves out the variant during which the device was lost, and measures the others", async () => {
  await using work = await Workplace.open(60);
  const scratch = await Deno.makeTempDir({ prefix: "rlcf-bench-" });
  const result = await runBench({
    store: work.store,
    config: settings(work.root).config,
    backends: ["webgpu", "simd"],
    batchSizes: [8],
    seconds: 0.1,
    simulatedEpisodes: 50,
    scratch,
    onProgress: (what) => what === "webgpu tfjs: training steps, batch 8" && gpuDevice().destroy(),
  }).finally(() => Deno.remove(scratch, { recursive: true }));
  reviveGpu();
  assert.deepEqual(result.skipped.map(({ backend }) => backend), ["webgpu tfjs"]);
  assert.match(result.skipped[0]!.reason, /the webgpu backend failed: /);
  assert.ok(result.rows.every(({ backend }) => backend !== "webgpu tfjs"));
  assert.deepEqual(result.rows.filter(({ op }) => op === "train_step").map(({ backend }) => backend).slice(0, 2), [
    "webgpu fused",
    "simd 1 thread",
  ]);
  assert.ok(result.agreement.every(({ agrees }) => agrees));
  assert.equal(result.rows.at(-1)!.backend, "simd");
});

// Last, because the GPU is gone afterwards.
gpuTest("both ways of the benchmark to use the GPU fail with an error of the backend, never with zeros", async () => {
  const { inputsNI, state, shape } = plainCase({
    shape: { inputDim: 12, hiddenDim: 6, outputs: 3, inputScale: 4 },
    seed: 1,
    batchSize: 5,
    visits: 20,
  });
  const { variants } = await chooseVariants(["webgpu"]);
  const engines = await Promise.all(variants.map(({ create }) => create(shape)));
  for (const engine of engines) await engine.load(state);
  gpuDevice().destroy();
  for (const engine of engines) {
    await assert.rejects(engine.forward(inputsNI), { name: "RlcfError", code: "backend" });
    await engine[Symbol.asyncDispose]();
  }
});
