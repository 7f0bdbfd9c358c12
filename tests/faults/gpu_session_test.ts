/** A training session whose GPU is lost ends with a valid policy, and says what happened. */
import assert from "node:assert/strict";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import type { TrainReport } from "../../src/session/report.ts";
import { findStoredPolicy } from "../../src/session/open_policy.ts";
import { refuses, Workplace } from "../session/support.ts";
import { doomedMachine } from "./gpu_support.ts";

const EPISODES = 60;
const FLAGS = {
  "checkpoint.activate": "always",
  "checkpoint.save_frequency": 20,
  "compute.backend": "webgpu",
} as const;

/** A session on a machine whose GPU is lost at a call. */
async function trainOn(work: Workplace, failsAt: number, flags = {}): Promise<TrainReport> {
  return await work.train({ ...FLAGS, ...flags }, { engines: doomedMachine(failsAt) });
}

Deno.test("wherever the GPU is lost, the session makes the policy that the CPU alone would have made", async () => {
  await using undisturbed = await Workplace.open(EPISODES);
  await trainOn(undisturbed, Infinity, { "compute.backend": "simd" });
  const wanted = await undisturbed.read("gating-v1.0.0", "policy.safetensors");
  let [failures, k] = [0, 0];
  while (failures === k++) {
    await using work = await Workplace.open(EPISODES);
    const report = await trainOn(work, k);
    failures += report.fallbacks.length;
    assert.deepEqual(await work.read("gating-v1.0.0", "policy.safetensors"), wanted, `lost at call ${k}`);
    assert.deepEqual([report.status, report.activated], ["completed", true]);
    assert.equal(report.backend, report.fallbacks.length === 1 ? "simd" : "webgpu");
  }
  // Two loads or more, an upload, segments, snapshots, the routing of the holdout.
  assert.ok(failures > 8, String(failures));
});

Deno.test("the loss stands in the report, the session's row, the version's row and the manifest", async () => {
  await using work = await Workplace.open(EPISODES);
  const report = await trainOn(work, 6);
  const { fallbacks, version, device } = report;
  assert.equal(fallbacks.length, 1);
  const { at_episode, repeated, ...rest } = fallbacks[0]!;
  assert.deepEqual(rest, { from: "webgpu", to: "simd", reason: "the device was lost at call 6" });
  assert.ok(at_episode > 0 && at_episode < 2 * report.episodes.trained, String(at_episode));
  assert.ok(repeated >= 0 && repeated <= at_episode, String(repeated));

  const [session] = await work.store.listTrainingSessions();
  const row = await work.store.getActivePolicy("gating");
  const { manifest } = await loadCheckpoint(work.root, `gating-${version}`, report.checkpoint.sha256);
  assert.equal(session!.status, "completed");
  for (const metrics of [session!.metrics, row!.trainingMetrics, manifest.metrics]) {
    assert.deepEqual(metrics.fallbacks, fallbacks);
  }
  assert.deepEqual(manifest.engine, { backend: "simd", device });
  assert.equal((await findStoredPolicy(work.store, work.root, "gating")).checkpoint.version, version);
});

Deno.test("the log warns of the loss once", async () => {
  const records: LogRecord[] = [];
  await configure({
    sinks: { list: (record) => void records.push(record) },
    loggers: [
      { category: ["rlcf", "engine"], lowestLevel: "warning", sinks: ["list"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: [] },
    ],
  });
  try {
    await using work = await Workplace.open(EPISODES);
    await trainOn(work, 5);
  } finally {
    await reset();
  }
  assert.equal(records.length, 1);
  const text = records[0]!.message.map(String).join("");
  assert.match(
    text,
    /^the device was lost at call 5; going on with simd \(.+\) from the last/,
  );
});

Deno.test("a run that is taken up counts the episodes of the interrupted one", async () => {
  await using work = await Workplace.open(EPISODES);
  const controller = new AbortController();
  let visited = 0;
  const stop = (progress: { episodes: number }): void => {
    visited = progress.episodes;
    if (visited > 24) controller.abort();
  };
  const engines = doomedMachine(Infinity);
  await refuses(
    work.train(FLAGS, { engines, signal: controller.signal, onProgress: stop }),
    "interrupted",
    /was interrupted after/,
  );
  const report = await work.train(FLAGS, { engines: doomedMachine(4), resume: true });
  assert.deepEqual(report.fallbacks.map(({ at_episode }) => at_episode >= visited), [true]);
});

Deno.test("a GPU that cannot be had at the start is refused, as it was asked for by name", async () => {
  await using work = await Workplace.open(EPISODES);
  const engines = doomedMachine(1).map((entry) =>
    entry.name === "webgpu"
      ? { ...entry, probe: () => Promise.resolve({ available: false, device: "no adapter", software: false }) }
      : entry
  );
  await refuses(
    work.train(FLAGS, { engines }),
    "backend",
    /cannot use backend "webgpu": no adapter; available here: simd/,
  );
  assert.deepEqual(await work.store.listTrainingSessions(), []);
});
