/**
 * `rlcf evaluate`: what the stored log says about stored versions.
 *
 * @module
 */
import { signed } from "../base/signed.ts";
import type { Command } from "@commander-js/extra-typings";
import type { EvaluationResult, IntervalDifference, VersionComparison } from "../session/evaluate_versions.ts";
import { command, configured, helpOf, memoryNotice, openStore } from "./context.ts";
import { type Cell, count, decimals, sayFacts, sayTable } from "./table.ts";
import { bold, printResult, say } from "./terminal.ts";
import { skippedText } from "./train_summary.ts";

/** The command. */
export function evaluateCommand(): Command {
  const evaluate = command(
    "evaluate",
    "estimate from the stored log what versions would earn (default: the active one)",
  )
    .argument("[version...]", "versions to evaluate")
    .option("--policy-type <type>", "whose versions (gating, react, traversal; default gating)")
    .option("--against <version>", "compare each with this version, row by row")
    .option("--all", "use all episodes, also those that were trained on")
    .option("--max-episodes <n>", helpOf("training.max_episodes"))
    .option("--lookback-days <n>", helpOf("database.lookback_days"))
    .option("--backend <name>", helpOf("compute.backend"));
  evaluate.action(async (versions: readonly string[], options) => {
    const resolved = await configured(options, {
      "training.policy_type": options.policyType,
      "training.max_episodes": options.maxEpisodes,
      "database.lookback_days": options.lookbackDays,
      "compute.backend": options.backend,
    });
    await using store = await openStore(resolved, "empty");
    const notice = memoryNotice(store, resolved);
    if (notice !== undefined) say(`note: ${notice}`);
    if (options.all === true) {
      say("note: --all includes episodes that the versions were trained on: their values come out too high");
    }
    const { evaluateVersions } = await import("../session/evaluate_versions.ts");
    const result = await evaluateVersions({
      store,
      config: resolved.config,
      versions,
      against: options.against,
      all: options.all === true,
    });
    if (options.json) return printResult(JSON.stringify(result));
    show(result);
  });
  return evaluate as unknown as Command;
}

/** How the estimators are called, in the order of the table. */
const NAMES = [
  ["ips", "IPS"],
  ["clipped_ips", "clipped IPS"],
  ["snips", "SNIPS"],
  ["direct", "direct"],
  ["doubly_robust", "doubly robust"],
  ["switch", "SWITCH"],
] as const;

/** The same for policies that act step by step. */
const TRAJECTORY_NAMES = [
  ["trajectory_is", "trajectory-wise IS"],
  ["weighted_is", "weighted IS"],
  ["per_decision_is", "per-decision IS"],
  ["weighted_per_decision_is", "weighted per-decision IS"],
  ["doubly_robust", "doubly robust, per decision"],
] as const;

function show(
  { policy_type, limits, episodes, rows, log, logged_value, versions, comparisons }: EvaluationResult,
): void {
  sayFacts([
    ["feedback", `${count(episodes.available)} found; ${skippedText(episodes.skipped)}`],
    ["evaluated", `${count(episodes.evaluated)} episodes${rows === "holdout" ? ", all held out from training" : ""}`],
    ["log", log],
    ["logged value", decimals(logged_value)],
  ]);
  for (const version of versions) {
    say();
    say(`${bold(version.version)}${version.active ? ", the active one" : ""}`);
    sayTable(
      ["estimator", "value", "95% interval"],
      (policy_type === "react" ? TRAJECTORY_NAMES : NAMES).map(([name, label]): Cell[] => {
        const interval = version.intervals[name] ?? null;
        return [label, decimals(version[name]), interval === null ? "-" : range(interval[0], interval[1])];
      }),
    );
    for (const reason of version.not_identified) say(`not identified: ${reason}`);
    const { diagnostics } = version;
    if (diagnostics === null) continue;
    sayFacts([
      ["effective episodes", `${count(Math.round(diagnostics.effective_sample_size))} of ${count(version.episodes)}`],
      [
        "importance weights",
        `mean ${decimals(diagnostics.mean_weight, 2)}, largest ${decimals(diagnostics.max_weight, 1)}, ` +
        `${percent(diagnostics.extreme_weight_share)} above 10`,
      ],
    ]);
    if ("mean_steps" in diagnostics) {
      sayFacts([["steps", `${decimals(diagnostics.mean_steps, 1)} an episode`]]);
      sayTable(
        ["action", "in the log", "wanted"],
        Object.entries(diagnostics.overlap).map((
          [action, { logged_share, policy_share }],
        ) => [action, percent(logged_share), percent(policy_share)]),
      );
      continue;
    }
    sayTable(
      [policy_type === "traversal" ? "decision" : "expert", "in the log", "routed", "importance"],
      Object.entries(diagnostics.overlap).map((
        [expert, { logged_share, policy_share, importance_share }],
      ) => [
        expert,
        percent(logged_share),
        percent(policy_share),
        importance_share === null ? "-" : percent(importance_share),
      ]),
    );
  }
  for (const comparison of comparisons) showComparison(comparison);
  if (limits !== undefined) say();
  for (const limit of limits ?? []) say(`note: ${limit}`);
}

function showComparison(comparison: VersionComparison): void {
  const { version, against, levels, decisive_users, rows, rows_needed, method } = comparison;
  say();
  say(`${bold(version)} less ${bold(against)}, ${method.replaceAll("_", " ")}, ${count(rows)} episodes row by row`);
  const row = (name: string, found: IntervalDifference | null): Cell[] => [
    name,
    found === null ? "-" : signed(found.difference),
    found === null ? "-" : range(found.low, found.high, signed),
  ];
  sayTable(["score", "difference", "95% interval"], [
    row("total", comparison),
    ...Object.entries(levels).map(([level, found]) => row(level, found)),
  ]);
  if (decisive_users.length > 0) {
    say(`note: without any one of these users the answer would be another: ${decisive_users.slice(0, 5).join(", ")}`);
  }
  if (rows_needed > rows) say(`note: a difference of 0.02 needs about ${count(rows_needed)} such episodes to show`);
}

function range(low: number, high: number, text: (value: number) => string = decimals): string {
  return `${text(low)} to ${text(high)}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}
