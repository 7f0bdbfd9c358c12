/**
 * The benchmark of the GPU engines against PyTorch. Every engine and the peer run in a fresh process each, in turn; the
 * order is reversed every round. `run.sh` starts it on a machine with nothing but a driver.
 *
 * `main.js --json FILE [--dry-run] [--torch torch_reinforce.py]`; exit 1 when the kernels do not agree with float64 or
 * with the CPU engine.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a benchmark prints what it measured
import { parseArgs } from "node:util";
import type { Timing } from "../../src/bench/timing.ts";
import { findGpuAdapter } from "../../src/engine/devices.ts";
import { createTfjsEngine } from "../../src/engine/tfjs/engine.ts";
import { createWebgpuEngine } from "../../src/engine/webgpu/engine.ts";
import { type Agreement, compareAll } from "./agreement.ts";
import { measureEngine, measureKernels } from "./measure.ts";
import { disagreementOf, type EngineName, linesOf, type Report, type Row, targetsOf } from "./report.ts";
import { sizesOf } from "./sizes.ts";
import { runTorch, type TorchReport } from "./torch.ts";

/** What a child process answers on stdout. */
interface Answer {
  readonly agreement?: readonly Agreement[];
  readonly timings?: readonly Timing[];
}

const { values } = parseArgs({
  options: {
    "dry-run": { type: "boolean", default: false },
    json: { type: "string" },
    torch: { type: "string" },
    /** For the child processes: what to do, e.g. `agreement`, `webgpu fused`. */
    child: { type: "string" },
  },
});
const dryRun = values["dry-run"];
const sizes = sizesOf(dryRun);

if (values.child === undefined) await runAll();
else console.log(JSON.stringify(await answer(values.child)));

/** Starts the children and the peer in turn, and writes the report. */
async function runAll(): Promise<void> {
  const adapter = await findGpuAdapter();
  if ("missing" in adapter) throw new Error(adapter.missing);
  console.error(`running on ${adapter.device}`);
  const started = new Date().toISOString();
  const { agreement = [] } = await inChild("agreement");
  const [rows, torch]: [Row[], TorchReport[]] = [[], []];
  for (let round = 1; round <= sizes.rounds; round++) {
    const engine = (backend: EngineName) => async (): Promise<void> => {
      for (const timing of (await inChild(backend)).timings ?? []) rows.push({ backend, round, ...timing });
    };
    const peer = async (): Promise<void> => {
      if (values.torch !== undefined) torch.push(await runTorch(values.torch, sizes.torch, pythonEnvironment()));
    };
    const turns = [engine("webgpu fused"), engine("webgpu tfjs"), peer];
    for (const turn of round % 2 === 1 ? turns : turns.reverse()) await turn();
  }
  const targets = dryRun ? [] : targetsOf(rows, torch);
  const { device } = adapter;
  const report: Report = {
    dry_run: dryRun,
    started_at: started,
    device,
    deno: Deno.version.deno,
    agreement,
    rows,
    torch,
    targets,
  };
  if (values.json !== undefined) await Deno.writeTextFile(values.json, JSON.stringify(report, undefined, 2) + "\n");
  for (const line of linesOf(report)) console.log(line);
  const wrong = disagreementOf(agreement);
  if (wrong !== undefined) {
    console.error(wrong);
    Deno.exit(1);
  }
}

/** What a child does. */
async function answer(child: string): Promise<Answer> {
  if (child === "webgpu tfjs") {
    await using engine = await createTfjsEngine(sizes.shape, "webgpu");
    return { timings: await measureEngine(engine, { ...sizes, maxSteps: Math.min(200, sizes.maxSteps) }) };
  }
  await using engine = await createWebgpuEngine(sizes.shape);
  if (child === "agreement") return { agreement: await compareAll(engine, sizes) };
  return { timings: [...await measureEngine(engine, sizes), ...await measureKernels(engine, sizes)] };
}

/** Runs this program again as a child. */
async function inChild(child: string): Promise<Answer> {
  console.error(`... ${child}`);
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-config", "--unstable-webgpu", "--unstable-raw-imports", "-A", import.meta.filename!],
      ...["--child", child, ...(dryRun ? ["--dry-run"] : [])],
    ],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${child} failed`);
  return JSON.parse(new TextDecoder().decode(stdout)) as Answer;
}

/** Python gets the library path that the machine had before run.sh added stand-ins for Vulkan. */
function pythonEnvironment(): Record<string, string> {
  return { LD_LIBRARY_PATH: Deno.env.get("RLCF_BENCH_LIBRARY_PATH") ?? Deno.env.get("LD_LIBRARY_PATH") ?? "" };
}
