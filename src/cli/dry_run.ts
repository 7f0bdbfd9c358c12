/**
 * `rlcf train --dry-run`: everything that a session would start from, without starting one.
 *
 * @module
 */
import { effectiveConfig } from "../config/effective.ts";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { configToJson, memoryNotice } from "./context.ts";
import { count, sayFacts, sayTable } from "./table.ts";
import { printResult, say } from "./terminal.ts";
import { feedbackText } from "./train_summary.ts";

/** Shows settings, data and backend; writes nothing. */
export async function dryRun(
  resolved: ResolvedConfig,
  store: RLCFPersistence,
  choice: { readonly policyVersion: string | undefined; readonly resume: boolean },
  json: boolean,
): Promise<void> {
  const { config } = resolved;
  const { policyType } = config.training;
  const { windowOf } = await import("../session/training_log.ts");
  const { checkSameLog, findResumePoint } = await import("../session/resume.ts");
  const { withKind } = await import("../session/kinds/kinds.ts");
  const { log, resumed } = await withKind(policyType, async (kind) => {
    const resumed = choice.resume
      ? await findResumePoint(store, config.checkpoint.directory, kind, configToJson(resolved))
      : undefined;
    const window = resumed?.window ?? windowOf(config, new Date(), choice.policyVersion);
    const log = await kind.readLog(store, config, window);
    if (resumed !== undefined) checkSameLog(resumed, kind.digestOf(log));
    return { log, resumed };
  });
  const backend = await tryBackend(config.compute.backend);
  const active = await store.getActivePolicy(policyType);
  const data = {
    database: store.location,
    available: log.available,
    usable: log.episodes.feedbackRows,
    min_feedback: config.training.minFeedback,
    episodes: log.episodes.size,
    skipped: log.skipped,
    outside_window: log.outside,
    log: log.mix,
    training: log.split.training.length,
    holdout: log.split.holdout.length,
    objective: log.objective.objective,
    objective_reason: log.objective.reason,
    active_version: active?.version ?? null,
    resumes: resumed?.version ?? null,
  };
  const rows = effectiveConfig(resolved);
  if (json) {
    const settings = Object.fromEntries(rows.map(({ key, value, source }) => [key, { value, source }]));
    return printResult(JSON.stringify({ status: "dry_run", config: settings, data, backend }));
  }
  sayTable(
    ["setting", "value", "source"],
    rows.map(({ key, value, source }) => [key, String(value).replaceAll(",", ", "), source]),
  );
  say();
  sayFacts([
    ["database", data.database],
    ["feedback", feedbackText(`${count(data.available)} in the window`, data.skipped, data.outside_window)],
    ["usable", `${count(data.usable)}, at least ${count(data.min_feedback)} wanted`],
    ["episodes", `${count(data.training)} to train on, ${count(data.holdout)} held out`],
    ["objective", `${data.objective}: ${data.objective_reason}`],
    ["active policy", data.active_version ?? "none"],
    ...resumed === undefined ? [] : [["resumes", `${resumed.version} at pass ${resumed.cursor.epoch + 1}`] as const],
    ["backend", `${backend.name} (${backend.device}): ${backend.reason}`],
  ]);
  say();
  const notice = memoryNotice(store, resolved);
  if (notice !== undefined) say(`note: ${notice}`);
  if (data.usable < data.min_feedback) say("rlcf train would stop here: not enough usable feedback");
  say("dry run: nothing was written");
}

/** Opens a real engine, if the smallest one: what can only be listed but not opened should show now. */
async function tryBackend(
  choice: ResolvedConfig["config"]["compute"]["backend"],
): Promise<{ readonly name: string; readonly device: string; readonly reason: string }> {
  const { createEngine } = await import("../engine/create.ts");
  const smallest = { inputDim: 1, hiddenDim: 0, outputs: 1, inputScale: 1 };
  const { engine, reason } = await createEngine(smallest, { backend: choice });
  await using opened = engine;
  return { name: opened.backend, device: opened.device, reason };
}
