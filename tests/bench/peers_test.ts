/** The comparison with PyTorch: ratios pair by pair, and what a process took. */
import assert from "node:assert/strict";
import { measureProcess } from "../../bench/peers/process.ts";
import { compareSteps, type StepTimes } from "../../bench/peers/ratios.ts";

const PEER = "torch 1 thread";
const times: StepTimes[] = [
  { variant: PEER, round: 1, ms: { 1: 1, 32: 2 } },
  { variant: "simd 1 thread", round: 1, ms: { 1: 0.5, 32: 1 } },
  { variant: "simd 1 thread", round: 2, ms: { 1: 1, 32: 3 } },
  { variant: PEER, round: 2, ms: { 1: 4, 32: 4 } },
  { variant: "simd 1 thread", round: 3, ms: { 1: 99, 32: 99 } },
];

Deno.test("ratios are taken within a round, and a round without the peer counts for nothing", () => {
  const [one, many] = compareSteps(times, PEER);
  assert.deepEqual(one, {
    variant: "simd 1 thread",
    batch_size: 1,
    ms: 0.75,
    peer_ms: 2.5,
    ratios: [0.5, 0.25],
    ratio: 0.375,
    best_ratio: 0.5,
    target: 0.25,
    met: false,
  });
  assert.deepEqual([many!.batch_size, many!.ratios, many!.met], [32, [0.5, 0.75], false]);
});

Deno.test("a target is met at its limit, and a variant without one is only reported", () => {
  const half: StepTimes[] = [
    { variant: PEER, round: 1, ms: { 32: 2 } },
    { variant: "simd 1 thread", round: 1, ms: { 32: 1 } },
    { variant: "wasm", round: 1, ms: { 32: 1 } },
  ];
  const [simd, wasm] = compareSteps(half, PEER);
  assert.equal(simd!.met, true);
  assert.ok(!("met" in wasm!));
});

Deno.test("without the peer there is nothing to compare", () => {
  assert.deepEqual(compareSteps(times.filter(({ variant }) => variant !== PEER), PEER), []);
});

Deno.test("a process is timed and its memory is known, and a failing one says why", async () => {
  const hold = "const held = new Uint8Array(96e6).fill(1); console.log(held[5])";
  const [program, cwd] = [Deno.execPath(), "."];
  const { seconds, megabytes, stdout } = await measureProcess([program, "eval", "--no-lock", hold], { cwd });
  assert.equal(stdout, "1\n");
  assert.ok(seconds > 0);
  // Outside Linux nobody tells.
  if (Deno.build.os === "linux") assert.ok(megabytes! > 96, `found ${megabytes} MB`);
  await assert.rejects(
    measureProcess([program, "eval", "--no-lock", "throw new Error('no luck')"], { cwd }),
    /no luck/,
  );
});
