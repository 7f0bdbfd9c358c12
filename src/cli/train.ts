/**
 * `rlcf train`: the stored feedback becomes a new version of the policy.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { join } from "node:path";
import { RlcfError } from "../base/errors.ts";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { TrainReport } from "../session/report.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { command, configToJson, configured, helpOf, memoryNotice, openStore } from "./context.ts";
import { dryRun } from "./dry_run.ts";
import { showLogs } from "./logging.ts";
import { recorded } from "./metrics_file.ts";
import { progressDisplay } from "./progress.ts";
import { type RepeatedOptions, resumeCommand } from "./resume_command.ts";
import { watchSignals } from "./stop.ts";
import { summarise } from "./train_summary.ts";
import { printResult, say } from "./terminal.ts";

/** The command. */
export function trainCommand(): Command {
  const train = command("train", "train a new version of the policy from the stored feedback")
    .option("--policy-type <type>", helpOf("training.policy_type"))
    .option("--max-episodes <n>", helpOf("training.max_episodes"))
    .option("--epochs <n>", helpOf("training.epochs"))
    .option("--backend <name>", helpOf("compute.backend"))
    .option("--seed <n>", helpOf("training.seed"))
    .option("--policy-version <version>", "train only on traces that this version routed")
    .option("--lookback-days <n>", helpOf("database.lookback_days"))
    .option("--no-activate", "never make the new version active")
    .option("--metrics-file <file.prom>", "leave what became of the run for Prometheus, as node_exporter reads it")
    .option("--resume", "take up the latest interrupted session")
    .option("--dry-run", "show the settings in force, the data found and the backend; write nothing");
  train.action(async (options) => {
    const resolved = await configured(options, {
      "training.policy_type": options.policyType,
      "training.max_episodes": options.maxEpisodes,
      "training.epochs": options.epochs,
      "training.seed": options.seed,
      "compute.backend": options.backend,
      "database.lookback_days": options.lookbackDays,
      "checkpoint.activate": options.activate === false ? "never" : undefined,
    });
    const { policyType } = resolved.config.training;
    if (policyType === "react" && options.epochs !== undefined) {
      throw new RlcfError("usage", `cannot train: found --epochs ${options.epochs}, wanted none for a react policy`, {
        hint: "How many passes its one update makes is react_policy.num_epochs in the configuration.",
      });
    }
    const choice = { policyVersion: options.policyVersion, resume: options.resume === true };
    if (options.dryRun) {
      await using store = await openStore(resolved, "empty");
      return await dryRun(resolved, store, choice, options.json === true);
    }
    const report = await recorded(options.metricsFile, policyType, async () => {
      await using store = await openStore(resolved, "empty");
      return await runSession(resolved, store, choice, options);
    });
    if (options.json) return printResult(JSON.stringify(report));
    summarise(report);
    printResult(report.version);
  });
  return train as unknown as Command;
}

/** Runs the session; the path of its checkpoint can be opened from where the program was started. */
async function runSession(
  resolved: ResolvedConfig,
  store: RLCFPersistence,
  choice: { readonly policyVersion: string | undefined; readonly resume: boolean },
  given: RepeatedOptions,
): Promise<TrainReport> {
  const { trainSession } = await import("../session/train_session.ts");
  const { config } = resolved;
  const display = progressDisplay();
  await showLogs(config.logging.level, display.clear);
  using stop = watchSignals(() => {
    display.clear();
    say("stopping as soon as the state can be saved; once more to leave at once");
  });
  try {
    const report = await trainSession({
      store,
      config,
      configJson: configToJson(resolved),
      ...choice,
      signal: stop.signal,
      onProgress: display.update,
      onFit: display.fit,
    });
    const path = join(config.checkpoint.directory, report.checkpoint.path);
    return { ...report, checkpoint: { ...report.checkpoint, path } };
  } catch (thrown) {
    throw withMemoryHint(withResumeHint(thrown, given), memoryNotice(store, resolved));
  } finally {
    display.clear();
  }
}

/** An interrupted session is taken up under its own settings: the hint has them all, ready to be typed. */
function withResumeHint(thrown: unknown, given: RepeatedOptions): unknown {
  if (!(thrown instanceof RlcfError) || thrown.code !== "interrupted") return thrown;
  const hint = `The state is saved; to go on from there: ${resumeCommand(given)}`;
  return new RlcfError(thrown.code, thrown.message, { hint, cause: thrown });
}

/** In a database in memory there is never feedback: the next step is then to name another one. */
function withMemoryHint(thrown: unknown, notice: string | undefined): unknown {
  if (notice === undefined || !(thrown instanceof RlcfError) || thrown.code !== "not_enough_data") return thrown;
  return new RlcfError(thrown.code, thrown.message, { hint: notice, cause: thrown });
}
