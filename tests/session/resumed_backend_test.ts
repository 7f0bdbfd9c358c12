import assert from "node:assert/strict";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import type { EngineEntry } from "../../src/engine/create.ts";
import type { PolicyEngine } from "../../src/engine/engine.ts";
import { DoomedEngine, doomedMachine } from "../faults/gpu_support.ts";
import { refuses, Workplace } from "./support.ts";

const FLAGS = { "checkpoint.activate": "always", "compute.backend": "auto", "training.epochs": 3 } as const;

/** A machine with a GPU that works, and one whose GPU is gone. */
const WITH_GPU = doomedMachine(Infinity);
const WITHOUT_GPU = WITH_GPU.filter(({ name }) => name !== "webgpu");

async function interruptedOn(work: Workplace, engines: readonly EngineEntry[]): Promise<void> {
  const stop = new AbortController();
  const request = { engines, signal: stop.signal, onProgress: (): void => stop.abort() };
  await refuses(work.train(FLAGS, request), "interrupted", /was interrupted/);
}

/** Another GPU that computes the same. */
class OtherGpu extends DoomedEngine {
  override readonly device = "an imitation";

  constructor(inner: PolicyEngine) {
    super(inner, Infinity);
  }
}

/** Warnings of the session while `work` runs. */
async function warningsOf(work: () => Promise<unknown>): Promise<string[]> {
  const records: LogRecord[] = [];
  await configure({
    sinks: { records: (record) => records.push(record) },
    loggers: [
      { category: ["rlcf", "session"], sinks: ["records"], lowestLevel: "warning" },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  try {
    await work();
  } finally {
    await reset();
  }
  return records.map(({ message }) => message.join(""));
}

Deno.test("the reason for the backend stands in the report, the session's row and the manifest", async () => {
  await using work = await Workplace.open(60);
  const { backend, backend_reason, version, checkpoint } = await work.train(FLAGS, { engines: WITHOUT_GPU });
  assert.deepEqual([backend, backend_reason], ["simd", "simd is the fastest left"]);
  const [session] = await work.store.listTrainingSessions();
  const { manifest } = await loadCheckpoint(work.root, `gating-${version}`, checkpoint.sha256);
  assert.equal(session!.metrics.backend_reason, backend_reason);
  assert.equal(manifest.metrics.backend_reason, backend_reason);
});

Deno.test("an interrupted run goes on where it was, though auto would choose another backend by now", async () => {
  await using work = await Workplace.open(60);
  await interruptedOn(work, WITHOUT_GPU);
  const warnings = await warningsOf(async () => {
    const { backend, backend_reason } = await work.train(FLAGS, { engines: WITH_GPU, resume: true });
    assert.deepEqual([backend, backend_reason], ["simd", "the interrupted run was computed on it"]);
  });
  assert.deepEqual(warnings.filter((text) => /goes on on/.test(text)), []);
});

Deno.test("an interrupted run whose backend is gone goes on on the best one left, and says so", async () => {
  await using work = await Workplace.open(60);
  await interruptedOn(work, WITH_GPU);
  const warnings = await warningsOf(async () => {
    const { backend, backend_reason } = await work.train(FLAGS, { engines: WITHOUT_GPU, resume: true });
    assert.deepEqual([backend, backend_reason], ["simd", "simd is the fastest left"]);
  });
  assert.equal(warnings.filter((text) => /saved on webgpu \(.*\) and goes on on simd/.test(text)).length, 1);
});

Deno.test("where the GPU is another one by now, perhaps an imitation, auto chooses anew", async () => {
  await using work = await Workplace.open(60);
  await interruptedOn(work, WITH_GPU);
  const other: readonly EngineEntry[] = WITH_GPU.map((entry) => ({
    ...entry,
    probe: async () => ({ ...await entry.probe(), software: entry.name === "webgpu" }),
    create: async (shape) => entry.name === "webgpu" ? new OtherGpu(await entry.create(shape)) : entry.create(shape),
  }));
  const warnings = await warningsOf(async () => {
    const { backend, backend_reason } = await work.train(FLAGS, { engines: other, resume: true });
    assert.deepEqual([backend, backend_reason], ["simd", "webgpu has only test; simd is the fastest left"]);
  });
  assert.equal(warnings.filter((text) => /saved on webgpu \(.*\) and goes on on simd/.test(text)).length, 1);
});

Deno.test("a backend that is asked for by name is used, wherever the run was saved", async () => {
  await using work = await Workplace.open(60);
  await interruptedOn(work, WITHOUT_GPU);
  const flags = { ...FLAGS, "compute.backend": "webgpu" } as const;
  const { backend, backend_reason } = await work.train(flags, { engines: WITH_GPU, resume: true });
  assert.deepEqual([backend, backend_reason], ["webgpu", "webgpu was asked for"]);
});
