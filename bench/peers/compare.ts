/**
 * Our engines and PyTorch on the same CPU in turn, and the whole program on 10,000 stored traces.
 *
 *     deno task bench:peers [--rounds 5] [--seconds 2] [--json peers-bench.json] [--skip steps|end-to-end]
 *
 * Every measurement is a fresh process, those of one batch size follow each other, the order is reversed every round,
 * and ratios are taken within a round; "best to best" is what is left where other programs disturb both sides. PyTorch
 * runs with one thread; of its implementations of AdamW the fastest counts, and its default stands beside it. Its time
 * is the best of three runs, ours is a median: the comparison favours it.
 *
 * `apt-get install python3-torch libopenblas0-pthread` brings the peer; without it, that is said and ours are measured.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a benchmark prints what it measured
import { join } from "node:path";
import { parseArgs } from "node:util";
import { storeSimulatedLog } from "../../src/bench/simulated_log.ts";
import { percentile, type Timing } from "../../src/bench/timing.ts";
import { createPersistence } from "../../src/store/create.ts";
import manifest from "../../deno.json" with { type: "json" };
import { runTorch, type TorchReport } from "../gpu/torch.ts";
import { measureProcess } from "./process.ts";
import { compareSteps, type StepTimes } from "./ratios.ts";

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
/** What issue 3 asks of the whole program. */
const WHOLE = { trainSeconds: 2.5, trainMegabytes: 250, statsSeconds: 0.25 } as const;

/** One run of the whole program. */
interface WholeRun {
  readonly round: number;
  readonly command: "train" | "stats";
  readonly seconds: number;
  readonly megabytes: number | null;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    json: { type: "string", default: "peers-bench.json" },
    skip: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const started_at = new Date().toISOString();
const [steps, torch, whole]: [StepTimes[], TorchReport[], WholeRun[]] = [[], [], []];
const load: number[] = [];

if (values.skip !== "steps") await measureAllSteps();
if (values.skip !== "end-to-end") await measureWhole();

const comparisons = compareSteps(steps.filter(({ variant }) => variant !== PEER_DEFAULT), PEER);
const toDefault = compareSteps(steps.filter(({ variant }) => variant !== PEER), PEER_DEFAULT);
const report = {
  machine: machine(),
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
await Deno.writeTextFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
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
          ...["--json", "--batches", batchSize, "--seconds", values.seconds, ...flags],
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

/** `rlcf train` and `rlcf stats` on a fresh copy of the same database each time. */
async function measureWhole(): Promise<void> {
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
      const run = async (command: WholeRun["command"], flags: readonly string[]): Promise<void> => {
        const { seconds, megabytes } = await measureProcess(
          [...programOf("rlcf"), command, "--json", "--database", `sqlite:///${database}`, ...flags],
          { cwd: directory, environment: { RLCF_CHECKPOINT_DIR: join(directory, "policies") } },
        );
        whole.push({ round, command, seconds, megabytes });
      };
      const train = (): Promise<void> => run("train", ["--epochs", "1", "--max-episodes", String(EPISODES)]);
      const stats = (): Promise<void> => run("stats", []);
      for (const turn of round % 2 === 1 ? [stats, train] : [train, stats]) await turn();
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** The words of a task's command, to be run from anywhere, with the permissions that users run it with. */
function programOf(task: "rlcf"): string[] {
  const [, , ...words] = manifest.tasks[task].command.split(" ");
  const rest = words.map((word) => word === "src/main.ts" ? join(ROOT, word) : word);
  return [Deno.execPath(), "run", "--quiet", "--config", join(ROOT, "deno.json"), ...rest];
}

function machine(): string {
  const cores = `${navigator.hardwareConcurrency} cores`;
  try {
    const model = /^model name\s*:\s*(.+)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
    return `${model ?? Deno.build.arch}, ${cores}, ${Deno.build.os}`;
  } catch {
    return `${Deno.build.arch}, ${cores}, ${Deno.build.os}`;
  }
}

function print(): void {
  console.log(
    `\n${report.machine}, deno ${report.deno}, load before each round ${load.map((one) => one.toFixed(1)).join(" ")}`,
  );
  if (torch.length > 0) {
    console.log(
      report.torch !== null && "version" in report.torch
        ? report.torch.version
        : `NO PEER: ${report.torch?.missing}; apt-get install python3-torch libopenblas0-pthread brings it`,
    );
  }
  for (const { variant, batch_size, ms, peer_ms, ratios, ratio, best_ratio, target, met } of comparisons) {
    const pairs = ratios.map((one) => one.toFixed(2)).join(" ");
    const other = toDefault.find((one) => one.variant === variant && one.batch_size === batch_size);
    const beside = other === undefined
      ? ""
      : `, to torch's default AdamW ${other.ratio.toFixed(2)}${
        other.met === undefined ? "" : other.met ? " (met)" : " (MISSED)"
      }`;
    const verdict = target === undefined ? "" : `  target ${target}: ${met ? "met" : "MISSED"}`;
    console.log(
      `${variant.padEnd(14)} B=${String(batch_size).padEnd(5)} ${ms.toFixed(3).padStart(8)} ms, torch ` +
        `${peer_ms.toFixed(3).padStart(8)} ms, ratio ${ratio.toFixed(2)} (${pairs}), best to best ${
          best_ratio.toFixed(2)
        }${beside}${verdict}`,
    );
  }
  if (comparisons.length === 0) {
    for (const { variant, round, ms } of steps) console.log(`round ${round}  ${variant}: ${JSON.stringify(ms)} ms`);
  }
  const judged = (what: string, command: WholeRun["command"], pick: (run: WholeRun) => number | null, most: number) => {
    const found = whole.filter((run) => run.command === command).map(pick).filter((value) => value !== null);
    if (found.length === 0) return;
    const median = percentile(found, 0.5);
    const all = found.map((value) => value.toFixed(2)).join(" ");
    console.log(`${what}: ${median.toFixed(2)} (${all})  target ${most}: ${median <= most ? "met" : "MISSED"}`);
  };
  judged(`train, ${EPISODES} traces, one pass, s`, "train", ({ seconds }) => seconds, WHOLE.trainSeconds);
  judged(`train, ${EPISODES} traces, peak MB`, "train", ({ megabytes }) => megabytes, WHOLE.trainMegabytes);
  judged("stats, s", "stats", ({ seconds }) => seconds, WHOLE.statsSeconds);
  console.log(`raw rounds: ${values.json}`);
}
