/**
 * `rlcf demo`: the whole loop on a community whose truth is known, on a database that is thrown away.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { join } from "node:path";
import { RlcfError } from "../base/errors.ts";
import { command, configToJson, configured, helpOf } from "./context.ts";
import { showLogs } from "./logging.ts";
import { progressDisplay } from "./progress.ts";
import { decimals, printResult, say, sayTable } from "./terminal.ts";

/** Fresh queries that the routings are scored on. */
const TEST_QUERIES = 2000;

/** The command. */
export function demoCommand(): Command {
  const demo = command("demo", "simulate a small legal community, train on its feedback, compare with the truth")
    .option("--episodes <n>", "queries that the community answers", "3000")
    .option("--seed <n>", helpOf("training.seed"))
    .option("--epochs <n>", helpOf("training.epochs"))
    .option("--backend <name>", `${helpOf("compute.backend")} (environment: RLCF_BACKEND)`)
    .option("--keep <directory>", "keep the database and the checkpoints there");
  demo.action(async (options) => {
    const episodes = wholeNumber(options.episodes, "--episodes", 20, 1_000_000);
    await using home = await Home.open(options.keep);
    const resolved = await configured({ ...options, database: `sqlite:///${join(home.path, "demo.db")}` }, {
      "training.max_episodes": String(episodes),
      "training.epochs": options.epochs,
      "training.seed": options.seed,
      "compute.backend": options.backend,
      "checkpoint.directory": join(home.path, "policies"),
      // The demonstration is about the loop; a version every pass is enough to see.
      "checkpoint.save_frequency": String(episodes),
    });
    const { runDemo } = await import("../simulate/demo.ts");
    const display = progressDisplay();
    await showLogs(resolved.config.logging.level, display.clear);
    const result = await runDemo({
      config: resolved.config,
      configJson: configToJson(resolved),
      episodes,
      testQueries: TEST_QUERIES,
      onProgress: display.update,
    }).finally(display.stop);
    if (options.json) return printResult(JSON.stringify(result));
    say();
    sayTable(
      ["routing", "true value", "best expert chosen"],
      result.table.map((
        row,
      ) => [row.routing, decimals(row.value), row.accuracy === null ? "-" : percent(row.accuracy)]),
    );
    say(`${result.active_version ?? "no version"} is active: ${result.report.activation_reason}`);
    say(`true value: mean reward of ${TEST_QUERIES} fresh queries under the simulated truth, in [0, 1]`);
    say(home.kept ? `kept: ${home.path}` : "database and checkpoints were thrown away; --keep DIRECTORY keeps them");
    printResult(result.report.version);
  });
  return demo as unknown as Command;
}

/** A directory for the demonstration: the one asked for, or a temporary one that is removed in the end. */
class Home implements AsyncDisposable {
  private constructor(readonly path: string, readonly kept: boolean) {}

  static async open(keep: string | undefined): Promise<Home> {
    if (keep === undefined) return new Home(await Deno.makeTempDir({ prefix: "rlcf-demo-" }), false);
    await Deno.mkdir(keep, { recursive: true });
    return new Home(keep, true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.kept) await Deno.remove(this.path, { recursive: true });
  }
}

function wholeNumber(text: string, flag: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RlcfError("usage", `${flag}: found ${JSON.stringify(text)}, wanted a whole number from ${min} to ${max}`);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}
