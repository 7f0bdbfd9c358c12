/**
 * `rlcf train`: the stored feedback becomes a new version of the policy.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { RlcfError } from "../base/errors.ts";
import { effectiveConfig } from "../config/effective.ts";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { TrainReport } from "../session/report.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { command, configToJson, configured, helpOf, openStore } from "./context.ts";
import { showLogs } from "./logging.ts";
import { progressDisplay } from "./progress.ts";
import { decimals, printResult, say, sayTable } from "./terminal.ts";

/** The command. */
export function trainCommand(): Command {
  const train = command("train", "train a new version of the policy from the stored feedback")
    .option("--policy-type <type>", helpOf("training.policy_type"))
    .option("--max-episodes <n>", helpOf("training.max_episodes"))
    .option("--epochs <n>", helpOf("training.epochs"))
    .option("--backend <name>", `${helpOf("compute.backend")} (environment: RLCF_BACKEND)`)
    .option("--seed <n>", helpOf("training.seed"))
    .option("--policy-version <version>", "train only on traces that this version routed")
    .option("--lookback-days <n>", helpOf("database.lookback_days"))
    .option("--no-activate", "never make the new version active")
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
    if (policyType !== "gating") {
      throw new RlcfError("usage", `cannot train: policy type is ${policyType}, wanted gating`, {
        hint: "This version of rlcf trains the gating policy only.",
      });
    }
    await using store = await openStore(resolved, "empty");
    const { policyVersion } = options;
    if (options.dryRun) return await dryRun(resolved, store, policyVersion, options.json === true);
    const result = await runSession(resolved, store, { policyVersion, resume: options.resume });
    if (options.json) return printResult(JSON.stringify(result));
    summarise(result);
    printResult(result.version);
  });
  return train as unknown as Command;
}

async function runSession(
  resolved: ResolvedConfig,
  store: RLCFPersistence,
  choice: { policyVersion: string | undefined; resume: true | undefined },
): Promise<TrainReport> {
  const { trainSession } = await import("../session/train_session.ts");
  const display = progressDisplay();
  await showLogs(resolved.config.logging.level, display.clear);
  const stop = stopOnSignal();
  try {
    return await trainSession({
      store,
      config: resolved.config,
      configJson: configToJson(resolved),
      ...choice,
      signal: stop.signal,
      onProgress: display.update,
    });
  } finally {
    display.stop();
    stop.release();
  }
}

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopOnSignal(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort();
    say("stopping after this step, the state will be saved; once more to leave at once");
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const name of signals) Deno.addSignalListener(name, onSignal);
  return {
    signal: controller.signal,
    release: () => signals.forEach((name) => Deno.removeSignalListener(name, onSignal)),
  };
}

function summarise(report: TrainReport): void {
  const { episodes, evaluation, throughput } = report;
  const skipped = Object.entries(episodes.skipped).map(([reason, count]) => `${count} ${reason}`).join(", ");
  sayTable(["", report.version], [
    ["trained from", report.parent_version ?? "fresh weights"],
    ["backend", `${report.backend}, ${report.device}`],
    ["feedback found", episodes.available],
    ["left out", skipped === "" ? "none" : skipped],
    ["episodes trained / held out", `${episodes.trained} / ${episodes.holdout}`],
    ["objective", String(report.metrics.objective)],
    ["optimizer steps", report.updates],
    ["value on the holdout: logged", decimals(evaluation.logged_value)],
    [`  active ${evaluation.active_version ?? ""}`.trimEnd(), decimals(evaluation.active?.snips)],
    [`  ${report.version}`, decimals(evaluation.candidate?.snips)],
    ["episodes per second", Math.round(throughput.train_episodes_per_s)],
    ["seconds in all", decimals(throughput.wall_s, 1)],
    ["checkpoint", report.checkpoint.path],
  ]);
  say(`${report.version} ${report.activation_reason}`);
}

/** Everything that a session would start from, without starting one. */
async function dryRun(
  resolved: ResolvedConfig,
  store: RLCFPersistence,
  policyVersion: string | undefined,
  json: boolean,
): Promise<void> {
  const { readTrainingLog, windowOf } = await import("../session/training_log.ts");
  const { createEngine } = await import("../engine/create.ts");
  const rows = effectiveConfig(resolved);
  const log = await readTrainingLog(store, resolved.config, windowOf(resolved.config, new Date(), policyVersion));
  // A real engine, if the smallest one: what can only be listed but not opened should show now.
  const smallest = { inputDim: 1, hiddenDim: 0, outputs: 1, inputScale: 1 };
  const { engine, reason } = await createEngine(smallest, { backend: resolved.config.compute.backend });
  const backend = { name: engine.backend, device: engine.device, reason };
  await engine[Symbol.asyncDispose]();
  const active = await store.getActivePolicy(resolved.config.training.policyType);
  const found = {
    database: store.location,
    available: log.available,
    usable: log.episodes.feedbackRows,
    min_feedback: resolved.config.training.minFeedback,
    episodes: log.episodes.size,
    skipped: log.episodes.skipped,
    log: log.mix,
    training: log.split.training.length,
    holdout: log.split.holdout.length,
    objective: log.objective.objective,
    objective_reason: log.objective.reason,
    active_version: active?.version ?? null,
  };
  if (json) {
    const config = Object.fromEntries(rows.map(({ key, value, source }) => [key, { value, source }]));
    return printResult(JSON.stringify({ status: "dry_run", config, data: found, backend }));
  }
  sayTable(["setting", "value", "source"], rows.map(({ key, value, source }) => [key, String(value), source]));
  sayTable(
    ["data", ""],
    Object.entries(found).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : value]),
  );
  say(`backend: ${backend.name}, ${backend.device} (${backend.reason})`);
  say("dry run: nothing was written");
}
