/**
 * What a person reads when a training session is over.
 *
 * @module
 */
import type { Disagreement } from "../episodes/disagreement.ts";
import type { OutsideWindow } from "../episodes/window.ts";
import type { PolicyValue, TrainReport } from "../session/report.ts";
import { duration } from "./progress.ts";
import { type Cell, count, decimals, sayFacts, sayTable } from "./table.ts";
import { bold, say } from "./terminal.ts";

/** Tells a report on stderr: what was done, what the holdout says of it, and what to do next. */
export function summarise(report: TrainReport): void {
  const { episodes, evaluation, throughput, metrics, version } = report;
  say();
  sayFacts([
    ["version", `${version}, from ${report.parent_version ?? "fresh weights"}`],
    ["feedback", feedbackText(`${count(episodes.available)} found`, episodes.skipped, episodes.outside_window)],
    ["episodes", `${count(episodes.trained)} trained, ${count(episodes.holdout)} held out`],
    ...agreementFact(metrics.disagreement),
    ["training", `${metrics.objective}, ${count(report.updates)} optimizer steps`],
    ["backend", `${report.backend} (${report.device}), ${perSecond(throughput.train_episodes_per_s)}`],
    ...report.fallbacks.map((one) =>
      ["changed", `from ${one.from} to ${one.to} after ${count(one.at_episode)} episodes: ${one.reason}`] as const
    ),
    ["time", duration(throughput.wall_s)],
    ["checkpoint", report.checkpoint.path],
  ]);
  if (evaluation.candidate !== null) sayEvaluation(report);
  say();
  say(`${bold(version)} ${report.activation_reason}`);
  say(nextStep(report));
}

/** How far people differ about one answer, where several judged it. */
function agreementFact(found: TrainReport["metrics"][string] | undefined): [string, string][] {
  if (found === undefined || found === null) return [];
  const { answers, spread, reward_spread } = found as unknown as Disagreement;
  return [[
    "agreement",
    `${count(answers)} answers judged by several people, who differ by ${decimals(spread)}; all answers by ${
      decimals(reward_spread)
    } (standard deviations)`,
  ]];
}

/** What the holdout says: values with their intervals, and how the levels moved. */
function sayEvaluation(report: TrainReport): void {
  const { evaluation, version } = report;
  const { candidate, active, gate } = evaluation;
  const valueRow = (name: string, estimate: PolicyValue | null): [string, Cell, Cell, Cell] => {
    const interval = estimate?.intervals[gate.method] ?? null;
    return [
      name,
      decimals(estimate?.[gate.method]),
      interval === null ? "-" : `${decimals(interval[0])} to ${decimals(interval[1])}`,
      estimate?.effective_sample_size == null ? "-" : count(Math.round(estimate.effective_sample_size)),
    ];
  };
  say();
  sayTable(
    [
      report.policy_type === "gating" ? "routing" : "policy",
      `value on ${count(evaluation.holdout)} held out`,
      "95% interval",
      "effective episodes",
    ],
    [
      ["the log", decimals(evaluation.logged_value), "-", "-"],
      ...evaluation.active_version === null ? [] : [valueRow(`${evaluation.active_version}, active before`, active)],
      valueRow(`${version}, new`, candidate),
    ],
  );
  for (const reason of candidate!.not_identified) {
    say(`note: not identified: ${reason}${gate.method === "direct" ? "; values are the model's alone" : ""}`);
  }
  for (const limit of evaluation.limits ?? []) say(`note: ${limit}`);
  if (gate.decisive_users.length > 0) {
    const names = gate.decisive_users.slice(0, 3).join(", ");
    const more = gate.decisive_users.length > 3 ? ` and ${gate.decisive_users.length - 3} more` : "";
    say(`note: the verdict would be another without any one of these users: ${names}${more}`);
  }
}

/** The reasons for which feedback was left out, e.g. `3 no_embedding, 1 unknown_expert left out`. */
export function skippedText(skipped: TrainReport["episodes"]["skipped"]): string {
  const reasons = Object.entries(skipped).map(([reason, number]) => `${count(number)} ${reason}`);
  return reasons.length === 0 ? "none left out" : `${reasons.join(", ")} left out`;
}

/** What was found, what of it was left out, and what lies outside the window. */
export function feedbackText(
  found: string,
  skipped: TrainReport["episodes"]["skipped"],
  outside: OutsideWindow,
): string {
  return [found, skippedText(skipped), outsideText(outside)].filter((part) => part !== undefined).join("; ");
}

/** What the window leaves out, and how to reach it; undefined where it holds everything. */
export function outsideText({ older, oldest, days_to_reach, newer }: OutsideWindow): string | undefined {
  const parts = [
    ...oldest === null
      ? []
      : [`${count(older)} older ones back to ${oldest.slice(0, 10)} (--lookback-days ${days_to_reach} reaches them)`],
    ...newer === 0 ? [] : [`${count(newer)} dated in the future`],
  ];
  return parts.length === 0 ? undefined : `outside the window ${parts.join(", ")}`;
}

function perSecond(rate: number): string {
  return `${count(Math.round(rate))} episodes/s`;
}

function nextStep({ activated, version, evaluation, policy_type }: TrainReport): string {
  const type = policy_type === "gating" ? "" : ` --policy-type ${policy_type}`;
  if (!activated) return `next: rlcf policy activate${type} ${version} makes it active all the same`;
  const route = `next: rlcf route${type} FILE ${type === "" ? "routes queries by it" : "asks it"}`;
  return evaluation.active_version === null
    ? route
    : `${route}; rlcf policy rollback${type} returns to ${evaluation.active_version}`;
}
