/**
 * Our engines and PyTorch on the same CPU in turn, and the whole program on 10,000 stored traces.
 *
 *     deno task bench:peers [--rounds 5] [--seconds 2] [--json peers-bench.json] [--skip steps|end-to-end]
 *
 * Every measurement is a fresh process, those of one batch size follow each other, the order is reversed every round,
 * and ratios are taken within a round; the ratio of the best times, in the JSON, is what is left where other programs
 * disturb both sides. PyTorch runs with one thread; one ratio is to PyTorch as it comes, which the targets were derived
 * from, another to PyTorch with its fastest AdamW. Its time is the best of three runs, ours is a median: the comparison
 * favours it.
 *
 * The two differ more than AdamW's arithmetic does: the loop makes temporary arrays of up to 0.8 MB, which glibc takes
 * from the kernel and gives back every time. Where touching new memory is slow, as on many virtual machines, a step at
 * batch 1 takes 5 ms instead of 1; with MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ at 1e9 in the environment the
 * two take the same.
 *
 * `apt-get install python3-torch libopenblas0-pthread` brings the peer; without it, that is said and ours are measured.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a benchmark prints what it measured
import { join } from "node:path";
import { messageOf } from "../../src/base/errors.ts";
import { storeSimulatedLog } from "../../src/bench/simulated_log.ts";
import type { Timing } from "../../src/bench/timing.ts";
import { createPersistence } from "../../src/store/create.ts";
import { programCommand } from "../../scripts/program_task.ts";
import { runTorch, type TorchReport } from "../gpu/torch.ts";
import { parsePeersArguments, type PeersOptions } from "./arguments.ts";
import { machineName } from "./machine.ts";
import { measureProcess } from "./process.ts";
import { compareSteps, type StepTimes } from "./ratios.ts";
import { stepTable, type WholeRun, wholeTable } from "./table.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** PyTorch with whichever AdamW is fastest at a batch size. */
const PEER = "torch 1 thread";
/** PyTorch as it comes: on a CPU its AdamW is a loop over the parameters. */
const PEER_DEFAULT = "torch 1 thread, adamw=loop";
/** `--threads 1` binds PyTorch's own threads; OpenBLAS would start one for each core all the same. */
const ONE_THREAD = { OPENBLAS_NUM_THREADS: "1", OMP_NUM_THREADS: "1" };
/** Debian's Python has Debian's torch; another one in front of it on the PATH has none. */
const PYTHON = "/usr/bin/python3";
const BATCHES = "1,32,256,1024";
const EPISODES = 10_000;
const EXPERTS = ["literal", "systemic", "principles", "precedent"];

const { rounds, seconds, json, skip } = optionsOrExit();
const started_at = new Date().toISOString();
const [steps, torch, whole]: [StepTimes[], TorchReport[], WholeRun[]] = [[], [], []];
const load: number[] = [];

if (skip !== "steps") await measureAllSteps();
if (skip !== "end-to-end") await measureWhole();

const comparisons = compareSteps(steps.filter(({ variant }) => variant !== PEER_DEFAULT), PEER);
const toDefault = compareSteps(steps.filter(({ variant }) => variant !== PEER), PEER_DEFAULT);
const report = {
  machine: await machineName(),
  started_at,
  deno: Deno.version.deno,
  torch: torch.find((one) => "version" in one) ?? torch[0] ?? null,
  load_average: load,
  torch_rounds: torch,
  steps,
  comparisons,
  against_default_adamw: toDefault,
  whole,
};
await Deno.writeTextFile(json, `${JSON.stringify(report, null, 2)}\n`);
print();

/** One process for each variant and batch size, those of one batch size right after each other. */
async function measureAllSteps(): Promise<void> {
  const script = join(ROOT, "bench/peers/torch_reinforce.py");
  /** Milliseconds by variant; empty where there is no PyTorch. */
  const peer = async (batchSize: string): Promise<Record<string, number>> => {
    const found = await runTorch(script, ["--threads", "1", "--batches", batchSize], ONE_THREAD, PYTHON);
    torch.push(found);
    if ("missing" in found) return {};
    const loop = found.steps.find(({ variant }) => variant.endsWith("adamw=loop"));
    return {
      [PEER]: Math.min(...found.steps.map(({ ms }) => ms)),
      ...loop === undefined ? {} : { [PEER_DEFAULT]: loop.ms },
    };
  };
  const engine =
    (variant: string, ...flags: string[]) => async (batchSize: string): Promise<Record<string, number>> => {
      const { stdout } = await measureProcess(
        [
          ...[Deno.execPath(), "run", "--quiet", "--no-prompt", "--ignore-env", "--allow-read", "bench/engine_step.ts"],
          ...["--json", "--batches", batchSize, "--seconds", String(seconds), ...flags],
        ],
        { cwd: ROOT },
      );
      const { rows: [row] } = JSON.parse(stdout) as { rows: Timing[] };
      return { [variant]: row!.ms_median };
    };
  const turns = [
    peer,
    engine("simd 1 thread", "--threads", "1"),
    ...navigator.hardwareConcurrency > 1 ? [engine("simd 2 threads", "--threads", "2")] : [],
    engine("wasm", "--backend", "wasm"),
  ];
  for (let round = 1; round <= rounds; round++) {
    console.error(`training steps, round ${round} of ${rounds}`);
    load.push(Deno.loadavg()[0]!);
    const found: Record<string, Record<string, number>> = {};
    for (const batchSize of BATCHES.split(",")) {
      for (const turn of round % 2 === 1 ? turns : turns.toReversed()) {
        for (const [variant, ms] of Object.entries(await turn(batchSize))) (found[variant] ??= {})[batchSize] = ms;
      }
    }
    for (const [variant, ms] of Object.entries(found)) steps.push({ variant, round, ms });
  }
}

/** `rlcf train` and `rlcf stats` on a fresh copy of the same database each time, as the task `rlcf` runs them. */
async function measureWhole(): Promise<void> {
  const program = programCommand("rlcf");
  const words = [Deno.execPath(), "run", "--quiet", "--config", join(ROOT, "deno.json"), ...program.flags]
    .concat(join(ROOT, "src/main.ts"));
  const home = await Deno.makeTempDir({ prefix: "rlcf-peers-" });
  try {
    console.error(`storing ${EPISODES} simulated traces`);
    const original = join(home, "log.db");
    {
      await using store = await createPersistence(`sqlite:///${original}`);
      await storeSimulatedLog(store, { episodes: EPISODES, inputDim: 768, experts: EXPERTS });
    }
    for (let round = 1; round <= rounds; round++) {
      console.error(`whole program, round ${round} of ${rounds}`);
      const directory = join(home, `round-${round}`);
      await Deno.mkdir(directory);
      const database = join(directory, "log.db");
      await Deno.copyFile(original, database);
      const measure = async (command: WholeRun["command"], words: readonly string[]): Promise<void> => {
        const environment = { ...program.environment, RLCF_CHECKPOINT_DIR: join(directory, "policies") };
        const { seconds, megabytes } = await measureProcess(words, { cwd: directory, environment });
        whole.push({ round, command, seconds, megabytes });
      };
      const run = (command: "train" | "stats", ...flags: readonly string[]): Promise<void> =>
        measure(command, [...words, command, "--json", "--database", `sqlite:///${database}`, ...flags]);
      const turns = [
        () => measure("nothing", [Deno.execPath(), "run", "--quiet", "data:text/javascript,"]),
        () => run("stats"),
        () => run("train", "--epochs", "1", "--max-episodes", String(EPISODES)),
      ];
      for (const turn of round % 2 === 1 ? turns : turns.toReversed()) await turn();
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

function optionsOrExit(): PeersOptions {
  try {
    return parsePeersArguments(Deno.args);
  } catch (error) {
    console.error(`bench:peers: ${messageOf(error)}`);
    Deno.exit(2);
  }
}

function print(): void {
  const { machine, deno, torch: peer } = report;
  console.log(`\n${machine}, deno ${deno}, load before each round ${load.map((one) => one.toFixed(1)).join(" ")}`);
  if (peer !== null) {
    console.log(
      "version" in peer
        ? peer.version
        : `NO PEER: ${peer.missing}; apt-get install python3-torch libopenblas0-pthread brings it`,
    );
  }
  for (const table of [stepTable(toDefault, comparisons), wholeTable(whole, EPISODES)]) {
    if (table.length > 0) console.log(`\n${table.join("\n")}`);
  }
  if (comparisons.length === 0) {
    for (const { variant, round, ms } of steps) console.log(`round ${round}  ${variant}: ${JSON.stringify(ms)} ms`);
  }
  console.log(
    `\nmedians of ${rounds} ${rounds === 1 ? "round" : "rounds"}; all of them, and the ratios of the best: ${json}`,
  );
}
