/**
 * What a person reads when a training session is over.
 *
 * @module
 */
import type { TrainReport } from "../session/report.ts";
import { duration } from "./progress.ts";
import { type Cell, count, decimals, sayFacts, sayTable } from "./table.ts";
import { bold, say } from "./terminal.ts";

/** Tells a report on stderr: what was done, what the holdout says of it, and what to do next. */
export function summarise(report: TrainReport): void {
  const { episodes, evaluation, throughput, metrics, version } = report;
  say();
  sayFacts([
    ["version", `${version}, from ${report.parent_version ?? "fresh weights"}`],
    ["feedback", `${count(episodes.available)} found; ${skippedText(episodes.skipped)}`],
    ["episodes", `${count(episodes.trained)} trained, ${count(episodes.holdout)} held out`],
    ["training", `${metrics.objective}, ${count(report.updates)} optimizer steps`],
    ["backend", `${report.backend} (${report.device}), ${perSecond(throughput.train_episodes_per_s)}`],
    ["time", duration(throughput.wall_s)],
    ["checkpoint", report.checkpoint.path],
  ]);
  if (evaluation.candidate !== null) {
    say();
    const rows: [string, Cell][] = [["the log", decimals(evaluation.logged_value)]];
    if (evaluation.active_version !== null) {
      rows.push([`${evaluation.active_version}, active before`, decimals(evaluation.active?.snips)]);
    }
    rows.push([`${version}, new`, decimals(evaluation.candidate.snips)]);
    sayTable(["routing", `estimated value on ${count(evaluation.holdout)} held-out episodes`], rows);
  }
  say();
  say(`${bold(version)} ${report.activation_reason}`);
  say(nextStep(report));
}

/** The reasons for which feedback was left out, e.g. `3 no_embedding, 1 unknown_expert left out`. */
export function skippedText(skipped: TrainReport["episodes"]["skipped"]): string {
  const reasons = Object.entries(skipped).map(([reason, number]) => `${count(number)} ${reason}`);
  return reasons.length === 0 ? "none left out" : `${reasons.join(", ")} left out`;
}

function perSecond(rate: number): string {
  return `${count(Math.round(rate))} episodes/s`;
}

function nextStep({ activated, version, evaluation }: TrainReport): string {
  if (!activated) return `next: rlcf policy activate ${version} makes it active all the same`;
  return evaluation.active_version === null
    ? "next: rlcf route FILE routes queries by it"
    : `next: rlcf route FILE routes queries by it; rlcf policy rollback returns to ${evaluation.active_version}`;
}
