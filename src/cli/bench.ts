/**
 * `rlcf bench`: how fast this machine trains and routes, and whether all its backends compute the same.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { RlcfError } from "../base/errors.ts";
import type { JsonObject } from "../base/check.ts";
import type { BenchResult } from "../bench/run.ts";
import { BACKEND_NAMES } from "../config/schema.ts";
import type { BackendName } from "../engine/engine.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { showBench } from "./bench_view.ts";
import { command, configured, openStore } from "./context.ts";
import { EXIT_CODES } from "./exit_codes.ts";
import { PartialFailure } from "./failure.ts";
import { showLogs } from "./logging.ts";
import { LiveLine } from "./progress.ts";
import { watchSignals } from "./stop.ts";
import { isWatched, printResult, say } from "./terminal.ts";

/** What is measured in full, and with `--quick`. */
const EFFORT = {
  full: { seconds: 40, batchSizes: [1, 32, 256, 1024], simulatedEpisodes: 2000 },
  quick: { seconds: 4, batchSizes: [1, 32], simulatedEpisodes: 200 },
} as const;

/** The command. */
export function benchCommand(): Command {
  const bench = command("bench", "measure every backend, check that all compute the same, store the result")
    .option(
      "--backend <name>",
      "measure only this one; may be repeated, or names between commas (webgpu, simd, wasm, cpu; default: all but GPUs " +
        "imitated by the CPU)",
      (text: string, before: string[] | undefined) => [...before ?? [], ...text.split(",")],
    )
    .option("--policy-type <type>", "which policy's network (gating, react, traversal; default gating)")
    .option(
      "--batch-sizes <list>",
      "rows of a training step, numbers between commas (1 to 65536; default 1,32,256,1024)",
    )
    .option("--seconds <n>", "about how long to measure (1 to 3600; default 40)")
    .option("--quick", "4 seconds, batches of 1 and 32, a small simulated log: a look, not a measurement");
  bench.action(async (options) => {
    const effort = options.quick ? EFFORT.quick : EFFORT.full;
    const backends = options.backend?.map(backendOf);
    const batchSizes = options.batchSizes?.split(",").map((text) => wholeNumber(text, "--batch-sizes", 1, 65536)) ??
      effort.batchSizes;
    const seconds = options.seconds === undefined ? effort.seconds : wholeNumber(options.seconds, "--seconds", 1, 3600);
    const resolved = await configured(options, { "training.policy_type": options.policyType });
    const { config } = resolved;
    await using store = await openStore(resolved, "empty");
    await using scratch = await Scratch.make();
    const line = new LiveLine();
    // Nothing is stored before the end, so the first signal may end it.
    using _stop = watchSignals(() => {
      line.clear();
      scratch.removeNow();
      Deno.exit(EXIT_CODES.interrupted);
    });
    await showLogs(config.logging.level, () => line.clear());
    const { runBench } = await import("../bench/run.ts");
    const result = await runBench({
      store,
      config,
      backends: backends === undefined ? undefined : [...new Set(backends)],
      batchSizes: [...new Set(batchSizes)],
      seconds,
      simulatedEpisodes: effort.simulatedEpisodes,
      scratch: scratch.path,
      onProgress: (what) => isWatched() && line.show(what),
    }).finally(() => line.clear());
    const stored = await keep(store, config.checkpoint.directory, result);
    if (!options.json) {
      showBench(result);
      say();
      say(stored === null ? "not stored: no policy is active" : `stored: ${stored}, and in ${store.location}`);
    }
    requireAgreement(result, stored);
    if (options.json) printResult(JSON.stringify({ ...result, stored }));
  });
  return bench as unknown as Command;
}

/** Stores a result beside its checkpoint and in its row; returns the file, or null where there is no checkpoint. */
async function keep(store: RLCFPersistence, root: string, result: BenchResult): Promise<string | null> {
  const { checkpoint } = result;
  if (checkpoint === null || checkpoint.path === null) return null;
  const { BENCH_FILE, writeBeside } = await import("../checkpoint/beside.ts");
  const path = await writeBeside(root, checkpoint.path, BENCH_FILE, `${JSON.stringify(result, null, 2)}\n`);
  await store.savePolicyBench(checkpoint.version, checkpoint.policy_type, result as unknown as JsonObject);
  return path;
}

/** Throws when a backend computes something else than the others; the result goes with the error. */
function requireAgreement(result: BenchResult, stored: string | null): void {
  const wrong = result.agreement.filter(({ agrees }) => !agrees);
  if (wrong.length === 0) return;
  const found = wrong.map(({ backend, against, max_rel_error }) =>
    `${backend} differs from ${against} by ${max_rel_error.toExponential(1)}`
  );
  const failure = new RlcfError("backend", `backends do not agree: ${found.join(", ")}; wanted at most 1.0e-5`, {
    hint: "Do not train on a backend that differs from float64; please report it with the output of --json.",
  });
  throw new PartialFailure(failure, { ...result, stored });
}

/** A directory that is removed in the end. */
class Scratch implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<Scratch> {
    return new Scratch(await Deno.makeTempDir({ prefix: "rlcf-bench-" }));
  }

  /** For a process that ends at once. */
  removeNow(): void {
    Deno.removeSync(this.path, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

function backendOf(text: string): BackendName {
  const found = BACKEND_NAMES.find((name) => name === text.trim());
  if (found !== undefined) return found;
  throw new RlcfError("usage", `--backend: found ${JSON.stringify(text)}, wanted one of ${BACKEND_NAMES.join(", ")}`);
}

function wholeNumber(text: string, flag: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RlcfError("usage", `${flag}: found ${JSON.stringify(text)}, wanted a whole number from ${min} to ${max}`);
}
