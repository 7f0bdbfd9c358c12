/**
 * A benchmark's result as text: all of it in `policy show`, and bars where somebody watches.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { JsonObject } from "../../src/base/check.ts";
import type { BenchResult } from "../../src/bench/run.ts";
import { benchFacts } from "../../src/cli/bench_view.ts";
import { commandOf, Workplace } from "./support.ts";

const RESULT: BenchResult = {
  device: "linux x86_64, 2 cores",
  checkpoint: { policy_type: "gating", version: "v1.0.0", path: "gating-v1.0.0", sha256: "0" },
  rows: [
    {
      backend: "simd 1 thread",
      op: "forward",
      batch_size: 1000,
      ms_median: 12.34,
      ms_p10: 11.1,
      per_second: 81037,
      samples: 15,
    },
    {
      backend: "simd 1 thread",
      op: "train_step",
      batch_size: 32,
      ms_median: 0.8,
      ms_p10: 0.75,
      per_second: 40000,
      samples: 1,
    },
    { backend: "simd", op: "prepare", batch_size: 800, ms_median: 1234, ms_p10: 1200, per_second: 648.3, samples: 2 },
  ],
  agreement: [
    { backend: "simd 1 thread", against: "float64", max_rel_error: 2.12e-7, agrees: true },
    { backend: "wasm", against: "simd 1 thread", max_rel_error: 0.25, agrees: false },
    {
      backend: "cpu",
      against: "simd 1 thread",
      max_rel_error: 3e-7,
      agrees: true,
      not_compared: "training steps: a kink",
    },
  ],
  measured_at: "2026-11-28T03:04:18.870Z",
  deno: "2.9.6",
  network: { input_dim: 768, hidden_dim: 256, outputs: 4 },
  backends: [{ backend: "simd 1 thread", device: "relaxed SIMD, 2 cores", software: false }],
  skipped: [{ backend: "webgpu", reason: "no GPU adapter found" }],
  data: { source: "simulated", location: "a throw-away SQLite file", episodes: 2000, objective: "ppo" },
};

Deno.test("policy show tells all of a result: where, on what, every time with its p10, every comparison", () => {
  assert.deepEqual(benchFacts(RESULT as unknown as JsonObject), [
    ["machine", "linux x86_64, 2 cores"],
    ["when", "2026-11-28 03:04:18 UTC, deno 2.9.6"],
    ["network", "768 inputs, hidden 256, 4 outputs"],
    ["log", "2,000 episodes from a throw-away SQLite file, simulated; objective ppo"],
    ["no webgpu", "no GPU adapter found"],
    ["simd 1 thread on", "relaxed SIMD, 2 cores"],
    ["simd 1 thread, forward of 1,000", "12.3 ms, p10 11.1, 81,037/s, n 15"],
    ["simd 1 thread, train step of 32", "0.800 ms, p10 0.750, 40,000/s, n 1"],
    ["simd, upload, estimate the advantages", "1,234 ms, p10 1,200, 648/s, n 2"],
    ["simd 1 thread to float64", "relative error 2.1e-7"],
    ["wasm to simd 1 thread", "relative error 2.5e-1 DIFFERS"],
    ["cpu to simd 1 thread", "relative error 3.0e-7; not compared: training steps: a kink"],
  ]);
});

Deno.test("of a result that another version stored, what there is is told", () => {
  assert.deepEqual(benchFacts(null), []);
  assert.deepEqual(benchFacts({ rows: "none" }), []);
  assert.deepEqual(benchFacts({ rows: [] }), [["machine", null], ["when", "- UTC"]]);
});

/** One variant at one batch size would be a bar by itself: two batch sizes are the least that is drawn. */
const MEASURE = ["bench", "--seconds", "1", "--quick", "--backend", "cpu", "--batch-sizes", "2,3"];
const BAR = /^cpu {2}[█▏▎▍▌▋▊▉]+ [\d,]+$/;

const hasScript = await new Deno.Command("script", { args: ["--version"], stdout: "null", stderr: "null" })
  .output().then(({ success }) => success, () => false);

Deno.test({
  name: `on a terminal bench draws bars that fit under the times of the steps${
    hasScript ? "" : " (no script command)"
  }`,
  ignore: !hasScript,
  fn: async () => {
    using place = new Workplace();
    const quoted = [...commandOf("bench"), ...MEASURE.slice(1), ...place.here].map((word) => `'${word}'`);
    const { stdout } = await new Deno.Command("script", {
      args: ["--quiet", "--return", "--command", `stty cols 60; ${quoted.join(" ")}`, "/dev/null"],
      cwd: place.path,
      env: { NO_COLOR: "1", RLCF_ASYNC_DATABASE_URL: "" },
      stdin: "null",
    }).output();
    const lines = new TextDecoder().decode(stdout).split("\r\n").map((line) => line.split("\r").at(-1)!);
    for (const batchSize of [2, 3]) {
      const bar = lines[lines.indexOf(`episodes per second, batch ${batchSize}`) + 1]!;
      assert.match(bar, BAR);
      assert.ok([...bar].length <= 60, bar);
    }
    assert.equal(lines.filter((line) => BAR.test(line)).length, 2, lines.join("\n"));
  },
});

Deno.test("in a pipe bench draws no bars", async () => {
  using place = new Workplace();
  const { code, stderr } = await place.run(MEASURE);
  assert.equal(code, 0);
  assert.match(stderr, /training step, ms +batch 2 +batch 3\n/);
  assert.doesNotMatch(stderr, /[█▏▎▍▌▋▊▉]|episodes per second, batch/);
});
