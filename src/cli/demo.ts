/**
 * `rlcf demo`: the whole loop on a community whose truth is known, on a database that is thrown away.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { join, resolve } from "node:path";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { FlagValues } from "../config/resolve.ts";
import type { DemoResult } from "../simulate/demo.ts";
import { command, configToJson, configured, helpOf } from "./context.ts";
import { EXIT_CODES } from "./exit_codes.ts";
import { showLogs } from "./logging.ts";
import { progressDisplay } from "./progress.ts";
import { watchSignals } from "./stop.ts";
import { count, decimals, sayTable } from "./table.ts";
import { bold, printResult, say } from "./terminal.ts";

/** Fresh queries that the routings are scored on. */
const TEST_QUERIES = 2000;
/** The demonstration's database in its directory. */
const DATABASE = "demo.db";

/** The command. */
export function demoCommand(): Command {
  const demo = command("demo", "simulate a small legal community, train on its feedback, compare with the truth")
    .option("--episodes <n>", "queries that the community answers", "3000")
    .option("--seed <n>", helpOf("training.seed"))
    .option("--epochs <n>", helpOf("training.epochs"))
    .option("--backend <name>", helpOf("compute.backend"))
    .option("--keep <directory>", "keep the database and the checkpoints there");
  demo.action(async (options) => {
    if (options.database !== undefined) {
      throw new RlcfError("usage", "cannot run the demonstration on --database: simulated feedback is kept apart", {
        hint: "Leave --database out; --keep DIRECTORY keeps the demonstration's own database.",
      });
    }
    const episodes = wholeNumber(options.episodes, "--episodes", 20, 1_000_000);
    await using home = await Home.open(options.keep);
    const display = progressDisplay();
    // Nothing is lost that was not to be thrown away, so the first signal may end it.
    using _stop = watchSignals(() => {
      display.clear();
      home.removeNow();
      Deno.exit(EXIT_CODES.interrupted);
    });
    const { COMMUNITY_EXPERTS } = await import("../simulate/community.ts");
    const resolved = await configured({ ...options, database: `sqlite:///${join(home.path, DATABASE)}` }, {
      ...ownSettings(home.path, episodes, COMMUNITY_EXPERTS),
      "training.epochs": options.epochs,
      "training.seed": options.seed,
      "compute.backend": options.backend,
    });
    const { runDemo } = await import("../simulate/demo.ts");
    await showLogs(resolved.config.logging.level, display.clear);
    const result = await runDemo({
      config: resolved.config,
      configJson: configToJson(resolved),
      episodes,
      testQueries: TEST_QUERIES,
      onProgress: display.update,
    }).finally(display.clear);
    if (options.json) return printResult(JSON.stringify(result));
    summarise(result);
    say(home.kept ? `kept: ${home.path}` : "database and checkpoints were thrown away; --keep DIRECTORY keeps them");
    printResult(result.report.version);
  });
  return demo as unknown as Command;
}

/** What the demonstration decides itself, whatever the configuration has for the real community. */
function ownSettings(home: string, episodes: number, experts: readonly string[]): FlagValues {
  return {
    "training.policy_type": "gating",
    "training.max_episodes": String(episodes),
    "training.min_feedback": "1",
    "gating_policy.experts": experts.join(","),
    "gating_policy.num_experts": String(experts.length),
    // The simulated log is three weeks old at most with the default number of episodes, two years with the largest.
    "database.lookback_days": "3650",
    "checkpoint.directory": join(home, "policies"),
    // The demonstration is about the loop; a version every pass is enough to see.
    "checkpoint.save_frequency": String(episodes),
  };
}

function summarise({ table, report, active_version }: DemoResult): void {
  say();
  sayTable(
    ["routing", "true value", "best expert chosen"],
    table.map((
      { routing, value, accuracy },
    ) => [routing, decimals(value), accuracy === null ? "-" : percent(accuracy)]),
  );
  say();
  say(`${bold(report.version)} ${report.activation_reason}`);
  say(`active policy: ${active_version ?? "none"}`);
  say(`true value: mean reward of ${count(TEST_QUERIES)} fresh queries under the simulated truth, from 0 to 1`);
}

/** A directory for the demonstration: the one asked for, or a temporary one that is removed in the end. */
class Home implements AsyncDisposable {
  private constructor(readonly path: string, readonly kept: boolean) {}

  static async open(keep: string | undefined): Promise<Home> {
    try {
      if (keep === undefined) return new Home(await Deno.makeTempDir({ prefix: "rlcf-demo-" }), false);
      await Deno.mkdir(keep, { recursive: true });
      await refuseUsed(keep);
      return new Home(keep, true);
    } catch (thrown) {
      if (thrown instanceof RlcfError) throw thrown;
      const place = keep ?? "the temporary directory";
      throw new RlcfError("usage", `cannot keep the demonstration in ${place}: ${messageOf(thrown)}`, {
        hint: "--keep DIRECTORY names a directory that can be written.",
        cause: thrown,
      });
    }
  }

  /** Removes what is not to be kept, for a process that ends at once. */
  removeNow(): void {
    if (!this.kept) Deno.removeSync(this.path, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.kept) await Deno.remove(this.path, { recursive: true });
  }
}

/** A second run would train on the log of both, and its table would compare routings that started elsewhere. */
async function refuseUsed(directory: string): Promise<void> {
  const path = resolve(directory, DATABASE);
  try {
    await Deno.lstat(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return;
    throw thrown;
  }
  throw new RlcfError(
    "usage",
    `cannot keep the demonstration in ${directory}: an earlier one lies there, wanted a directory of its own`,
    { hint: `Name a new directory; rlcf stats --database sqlite:///${path} shows the earlier one.` },
  );
}

function wholeNumber(text: string, flag: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RlcfError("usage", `${flag}: found ${JSON.stringify(text)}, wanted a whole number from ${min} to ${max}`);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}
