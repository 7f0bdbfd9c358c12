/** The GPU benchmark reads the peer's report and judges by the right numbers. */
import assert from "node:assert/strict";
import type { Agreement } from "../../bench/gpu/agreement.ts";
import { disagreementOf, linesOf, type Row, targetsOf } from "../../bench/gpu/report.ts";
import { parseReport } from "../../bench/gpu/torch.ts";

const REPORT = `torch 2.11.0 threads 8 dropout 0.0 cuda NVIDIA H200
cuda eager adamw=loop        B=32       0.9000 ms/step        35556 episodes/s
cuda eager adamw=fused       B=32       0.5000 ms/step        64000 episodes/s
cuda eager adamw=fused       B=1024     0.6000 ms/step      1706667 episodes/s
cuda graph adamw=foreach B=32: RuntimeError: out of memory
cuda graph adamw=fused       B=32       0.0800 ms/step       400000 episodes/s
`;

const row = (backend: Row["backend"], op: string, batchSize: number, ms: number): Row => ({
  backend,
  round: 1,
  op,
  batch_size: batchSize,
  ms_median: ms,
  ms_p10: ms,
  per_second: 1e3 * batchSize / ms,
  samples: 7,
});

Deno.test("the peer's report is read line by line, and failed variants are left out", () => {
  const report = parseReport(REPORT);
  assert.ok("steps" in report);
  assert.match(report.version, /NVIDIA H200/);
  assert.deepEqual(report.steps.map(({ variant, batch_size, ms }) => [variant, batch_size, ms]), [
    ["cuda eager adamw=loop", 32, 0.9],
    ["cuda eager adamw=fused", 32, 0.5],
    ["cuda eager adamw=fused", 1024, 0.6],
    ["cuda graph adamw=fused", 32, 0.08],
  ]);
});

Deno.test("a peer that measured nothing is reported as missing, with its first line", () => {
  assert.deepEqual(parseReport("torch 1.13 threads 1 dropout 0.0 cuda no\n"), {
    missing: "the peer measured nothing: torch 1.13 threads 1 dropout 0.0 cuda no",
  });
});

Deno.test("targets compare the best fused step at batch size 32 with the peer's best of each kind", () => {
  const rows = [
    row("webgpu fused", "train_step", 32, 0.16),
    row("webgpu fused", "train_step", 32, 0.1),
    row("webgpu fused", "train_step", 1, 0.01),
    row("webgpu fused", "kernel rows", 32, 0.01),
    row("webgpu tfjs", "train_step", 32, 0.02),
  ];
  const targets = targetsOf(rows, [parseReport(REPORT)]);
  assert.deepEqual(targets.map(({ found, met }) => [found, met]), [[0.1, true], [5, true], [1.25, true]]);
  const slow = targetsOf(rows.map((r) => ({ ...r, ms_median: 2 * r.ms_median })), [parseReport(REPORT)]);
  assert.deepEqual(slow.map(({ met }) => met), [false, false, false]);
});

Deno.test("what was not measured meets no target and misses none", () => {
  for (const target of targetsOf([], [{ missing: "no torch" }])) assert.deepEqual(Object.keys(target), ["target"]);
});

const one = (against: Agreement["against"], changes: Partial<Agreement> = {}): Agreement => ({
  against,
  head: "policy_gain",
  batch_size: 32,
  steps: 20,
  max_rel_error: 1e-7,
  agrees: true,
  ...changes,
});
const wrong = { max_rel_error: 0.25, agrees: false };

Deno.test("a run fails when the kernels differ from float64 or from simd, not when the machine cannot run simd", () => {
  const { max_rel_error: _, ...missing } = one("simd", { agrees: false, missing: "no WebAssembly SIMD" });
  assert.equal(disagreementOf([one("float64"), one("simd")]), undefined);
  assert.equal(disagreementOf([one("float64"), missing]), undefined);
  assert.match(
    disagreementOf([one("float64"), one("simd", wrong)])!,
    /wrong: policy_gain, B=32, against simd: .* 2\.5e-1$/,
  );
  assert.match(disagreementOf([one("float64", wrong), missing])!, /wrong: policy_gain, B=32, against float64: [^;]+$/);
  assert.match(disagreementOf([])!, /compared with nothing/);
});

Deno.test("each comparison is a line that says what it found, or why nothing", () => {
  const { max_rel_error: _, ...missing } = one("simd", { agrees: false, missing: "no WebAssembly SIMD" });
  const agreement = [one("float64"), one("simd", wrong), missing, one("float64", { not_compared: "steps: a kink" })];
  const head = { dry_run: true, started_at: "", device: "GPU", deno: "2", rows: [], torch: [], targets: [] };
  assert.deepEqual(linesOf({ ...head, agreement }).slice(1), [
    "agrees: policy_gain, B=32, against float64: relative error 1.0e-7",
    "DIFFERS: policy_gain, B=32, against simd: relative error 2.5e-1",
    "unknown: policy_gain, B=32, against simd: not compared: no WebAssembly SIMD",
    "agrees: policy_gain, B=32, against float64: relative error 1.0e-7 of the answers; not compared: steps: a kink",
  ]);
});
