/** The comparison with PyTorch: ratios pair by pair, what a process took, and what is refused. */
import assert from "node:assert/strict";
import { parsePeersArguments } from "../../bench/peers/arguments.ts";
import { machineName } from "../../bench/peers/machine.ts";
import { measureProcess } from "../../bench/peers/process.ts";
import { compareSteps, type StepTimes } from "../../bench/peers/ratios.ts";
import { stepTable, type WholeRun, wholeTable } from "../../bench/peers/table.ts";

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

Deno.test("the table has two verdicts for each target, and none where nothing was promised or measured", () => {
  const twice = [
    ...times.slice(0, 4),
    { variant: "wasm", round: 1, ms: { 32: 3 } },
    { variant: "wasm", round: 2, ms: { 32: 9 } },
  ];
  // As it comes, the peer takes three times as long; at batch size 1 it was not measured.
  const slow = twice.map((one) => one.variant === PEER ? { ...one, ms: { 32: 3 * one.ms[32]! } } : one);
  const [title, head, ...lines] = stepTable(compareSteps(slow, PEER), compareSteps(twice, PEER));
  assert.deepEqual([head, ...lines.slice(0, 3)], [
    "variant        batch  ours ms  torch ms  ratio  target  verdict  ratio  verdict",
    "simd 1 thread      1    0.750         -      -    0.25            0.38  MISSED",
    "simd 1 thread     32    2.000     9.000   0.21    0.50  met       0.63  MISSED",
    "wasm              32    6.000     9.000   0.63       -            1.88",
  ]);
  assert.equal(title, `${" ".repeat(head!.lastIndexOf("ratio"))}to its fastest`);
  assert.deepEqual(stepTable([], []), []);
});

Deno.test("the whole program is judged by its medians, and what nobody measured is left out", () => {
  const run = (round: number, command: WholeRun["command"], seconds: number, megabytes: number | null): WholeRun => ({
    ...{ round, command, seconds, megabytes },
  });
  const runs = [run(1, "train", 1, 251.4), run(2, "train", 2.5, 252.6), run(3, "train", 9, 250.6)];
  const small = [run(1, "stats", 0.2, null), run(1, "nothing", 0.03, 40)];
  assert.deepEqual(wholeTable([...runs, ...small], 10_000), [
    "10,000 stored traces   median  target  verdict  rounds",
    "train, one pass, s       2.50    2.50  met      1.00 2.50 9.00",
    "train, peak MB            251     250  MISSED   251 253 251",
    "stats, s                 0.20    0.25  met      0.20",
    "Deno doing nothing, s    0.03       -           0.03",
  ]);
  assert.equal(wholeTable([run(1, "train", 1, null)], 10_000).length, 2);
  assert.deepEqual(wholeTable([], 10_000), []);
});

Deno.test("the command line of the comparison is read, and what it cannot mean is refused", () => {
  const plain = { rounds: 5, seconds: 2, json: "peers-bench.json", skip: undefined };
  assert.deepEqual(parsePeersArguments([]), plain);
  assert.deepEqual(
    parsePeersArguments(["--rounds", "2", "--seconds=.5", "--json", "a.json", "--skip", "end-to-end"]),
    { rounds: 2, seconds: 0.5, json: "a.json", skip: "end-to-end" },
  );
  const refused: [string[], RegExp][] = [
    [["--skip", "stepz"], /^--skip: found "stepz", wanted steps or end-to-end$/],
    [["--rounds", "many"], /^--rounds: found "many", wanted a whole number from 1 to 999$/],
    [["--rounds", "0"], /^--rounds: found "0", /],
    [["--rounds", "1.5"], /^--rounds: found "1.5", /],
    [["--seconds", "soon"], /^--seconds: found "soon", wanted a number above 0, at most 600$/],
    [["--seconds", ""], /^--seconds: found "", /],
    [["--seconds", "0"], /^--seconds: found "0", /],
    [["--seconds", "1.2.3"], /^--seconds: found "1.2.3", /],
    [["--json", ""], /^--json: found "", wanted the name of a file$/],
    [["--round", "1"], /^Unknown option '--round'.*; wanted \[--rounds N\]/],
  ];
  for (const [args, message] of refused) assert.throws(() => parsePeersArguments(args), { message });
});

Deno.test("a wrong command line is one line on stderr and exit code 2, before anything is measured", async () => {
  const program = new URL("../../bench/peers/compare.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-read", program, "--skip", "all"],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assert.deepEqual([code, text.decode(stdout)], [2, ""]);
  assert.equal(text.decode(stderr), 'bench:peers: --skip: found "all", wanted steps or end-to-end\n');
});

Deno.test("the machine is told by the name of its processor, as far as lscpu knows it", async () => {
  const name = await machineName();
  assert.match(name, /^\S.*, \d+ cores?, \w+$/);
  const listed = await new Deno.Command("lscpu", { env: { LC_ALL: "C" } }).output()
    .then(({ stdout }) => new TextDecoder().decode(stdout), () => "");
  if (listed.includes("Model name:")) assert.ok(!name.startsWith(Deno.build.arch), name);
});

/** Holds 96 MB for as long as it takes to be seen. */
const HOLD = "const held = new Uint8Array(96e6).fill(1); setTimeout(() => console.log(held[5]), 300)";
const FAIL = "throw new Error('no luck')";
const evaluated = (code: string): string[] => [Deno.execPath(), "eval", "--no-lock", code];
const NOWHERE = "/nowhere/time";

for (const [how, gnuTime] of [["GNU time", undefined], ["looks at /proc", NOWHERE]] as const) {
  Deno.test(`a process is timed and its memory is known by ${how}, and a failing one says why`, async () => {
    const options = { cwd: ".", ...gnuTime === undefined ? {} : { gnuTime } };
    const { seconds, megabytes, stdout } = await measureProcess(evaluated(HOLD), options);
    assert.equal(stdout, "1\n");
    assert.ok(seconds > 0.3);
    // Outside Linux nobody tells.
    if (Deno.build.os === "linux") assert.ok(megabytes! > 96 && megabytes! < 500, `found ${megabytes} MB`);
    else assert.equal(megabytes, null);
    await assert.rejects(measureProcess(evaluated(FAIL), options), /failed: .*no luck/s);
  });
}

Deno.test("a process leaves nothing in the folder of temporary files, however it ends", async () => {
  const folder = await Deno.makeTempDir({ prefix: "rlcf-peers-test-" });
  const before = Deno.env.get("TMPDIR");
  Deno.env.set("TMPDIR", folder);
  try {
    await measureProcess(["true"], { cwd: "." });
    await assert.rejects(measureProcess(["false"], { cwd: "." }), /failed/);
    await assert.rejects(measureProcess(["/nowhere/program"], { cwd: ".", gnuTime: NOWHERE }));
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    if (before === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", before);
    await Deno.remove(folder, { recursive: true });
  }
});
