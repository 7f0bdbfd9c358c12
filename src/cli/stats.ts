/**
 * `rlcf stats`: what is stored.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import type { JsonObject } from "../base/check.ts";
import { type LogProfile, logProfiles } from "../episodes/log_profile.ts";
import { countUsable, type UsableRows } from "../episodes/load_episodes.ts";
import { outsideOf, type OutsideWindow, windowOf } from "../episodes/window.ts";
import type { SessionLog } from "../session/training_log.ts";
import type { RLCFPersistence, TrainingStats, TrainingWindow } from "../store/persistence.ts";
import { bestRate } from "./bench_view.ts";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { Config } from "../config/schema.ts";
import type { QueueView } from "../queue/overview.ts";
import { command, configured, helpOf, memoryNotice, openStore } from "./context.ts";
import { countsText, sayJobs, saySchedules } from "./jobs_view.ts";
import { duration } from "./progress.ts";
import { count, decimals, sayFacts, sayTable, shortTime } from "./table.ts";
import { printResult, say } from "./terminal.ts";
import { outsideText, skippedText } from "./train_summary.ts";

/** The command. */
export function statsCommand(): Command {
  const stats = command("stats", "show what is stored: traces, feedback, the active policy, sessions, checkpoints")
    .option("--policy-type <type>", "for which type what there is to train on is counted (default gating)")
    .option("--policy-version <version>", "count only traces that this version routed")
    .option("--max-episodes <n>", helpOf("training.max_episodes"))
    .option("--lookback-days <n>", helpOf("database.lookback_days"));
  stats.action(async (options) => {
    const resolved = await configured(options, {
      "training.policy_type": options.policyType,
      "training.max_episodes": options.maxEpisodes,
      "database.lookback_days": options.lookbackDays,
    });
    await using store = await openStore(resolved, "empty");
    const found = {
      ...await collect(store, resolved.config, options.policyVersion),
      jobs: await queueOf(store, resolved),
    };
    if (options.json) return printResult(JSON.stringify(found));
    show(store.location, found);
    const notice = memoryNotice(store, resolved);
    if (notice !== undefined) say(`\nnote: ${notice}`);
    else if (found.total_feedback === 0) say("\nnext: rlcf ingest FILE stores traces with feedback");
  });
  return stats as unknown as Command;
}

/** What is stored; the field names are those of `stats --json`. */
interface StoreSummary extends TrainingStats {
  /** What `rlcf train` would find now. */
  readonly training: Findings & { readonly since: string | null; readonly outside_window: OutsideWindow };
  /** What the log of each version can teach. */
  readonly logs: readonly LogProfile[];
  readonly active: {
    readonly policy_type: string;
    readonly version: string;
    readonly activated_at: string | null;
    readonly training_episodes: number;
    /** The latest result of `rlcf bench` on it. */
    readonly bench: JsonObject | null;
  } | null;
  /** The active version of each type that has one. */
  readonly active_versions: Readonly<Record<string, string>>;
  /** The latest ones. */
  readonly sessions: readonly {
    readonly id: string;
    readonly policy_type: string;
    readonly status: string;
    readonly version: string | null;
    readonly started_at: string;
    readonly ended_at: string | null;
    readonly error: string | null;
  }[];
  readonly checkpoints: readonly {
    readonly policy_type: string;
    readonly version: string;
    readonly active: boolean;
    readonly created_at: string;
  }[];
  /** The queue; null where there is none, as on SQLite. */
  readonly jobs: QueueView | null;
}

/** Jobs that are shown. */
const LATEST_JOBS = 5;

/** The queue of a PostgreSQL on which jobs were ever added. */
async function queueOf(store: RLCFPersistence, { config }: ResolvedConfig): Promise<QueueView | null> {
  if (store.dialect !== "postgres") return null;
  const { QueueConnection } = await import("../queue/connection.ts");
  const { overviewOf } = await import("../queue/overview.ts");
  await using connection = new QueueConnection(config.database.url);
  return await overviewOf(connection, LATEST_JOBS) ?? null;
}

async function collect(
  store: RLCFPersistence,
  config: Config,
  policyVersion: string | undefined,
): Promise<Omit<StoreSummary, "jobs">> {
  const { training: { policyType }, gatingPolicy } = config;
  const window = windowOf(config, new Date(), policyVersion);
  const counts = await store.getTrainingStats(policyVersion);
  // Who was drawn how often is a question about experts.
  const logs = policyType === "gating" ? logProfiles(await store.getLogGroups(policyVersion), gatingPolicy) : [];
  const usable = await findingsOf(store, config, window);
  const outside = await outsideOf(store, window);
  const active = await store.getActivePolicy(policyType);
  const sessions = await store.listTrainingSessions(undefined, 5);
  const checkpoints = await store.listPolicyCheckpoints();
  return {
    ...counts,
    training: { since: window.since, ...usable, outside_window: outside },
    logs,
    active: active === null ? null : {
      policy_type: active.policyType,
      version: active.version,
      activated_at: active.activatedAt,
      training_episodes: active.trainingEpisodes,
      bench: active.bench,
    },
    active_versions: Object.fromEntries(
      checkpoints.filter(({ isActive }) => isActive).map(({ policyType, version }) => [policyType, version]),
    ),
    sessions: sessions.map((session) => ({
      id: session.id,
      policy_type: session.policyType,
      status: session.status,
      version: session.policyVersionTo,
      started_at: session.startedAt,
      ended_at: session.endedAt,
      error: session.errorMessage,
    })),
    checkpoints: checkpoints.map((checkpoint) => ({
      policy_type: checkpoint.policyType,
      version: checkpoint.version,
      active: checkpoint.isActive,
      created_at: checkpoint.createdAt,
    })),
  };
}

/** What a window holds for one type of policy. */
interface Findings extends Omit<UsableRows, "skipped"> {
  /** The type. */
  readonly policy_type: string;
  /** What training would not use, by reason; traversals, where those are learned from, else feedback. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Trajectories or traversals that the usable feedback judges; absent for gating. */
  readonly episodes?: number;
}

/** Counts a window as training would find it. What agents and traversals left is read whole, routings are only counted. */
async function findingsOf(store: RLCFPersistence, config: Config, window: TrainingWindow): Promise<Findings> {
  const { training: { policyType, feedbackWeighting }, gatingPolicy } = config;
  if (policyType === "gating") {
    return { policy_type: policyType, ...await countUsable(store, window, { ...gatingPolicy, feedbackWeighting }) };
  }
  const { withKind } = await import("../session/kinds/kinds.ts");
  const log = await withKind(policyType, async (kind) => await kind.readLog(store, config, window) as SessionLog);
  const { available, skipped, episodes: { size, feedbackRows } } = log;
  return { policy_type: policyType, available, usable: feedbackRows, skipped, episodes: size };
}

function show(location: string, found: StoreSummary): void {
  const { active, checkpoints, sessions } = found;
  const scope = found.policy_version === null ? "" : ` routed by ${found.policy_version}`;
  const benched = bestRate(active?.bench ?? null);
  sayFacts([
    ["database", location],
    [`traces${scope}`, kindsOf(found)],
    ["with feedback", found.traces_with_feedback],
    ["feedbacks", found.total_feedback],
    ["mean score", decimals(found.avg_score)],
    [
      found.training.policy_type === "gating" ? "to train on" : `to train ${found.training.policy_type} on`,
      trainingText(found.training),
    ],
    [
      "active policy",
      active === null ? "none" : `${active.policy_type} ${active.version}, since ${shortTime(active.activated_at)} UTC`,
    ],
    ...benched === undefined ? [] : [["bench", benched] as const],
    ["checkpoints", checkpoints.length],
    ...found.jobs === null ? [] : [["jobs", countsText(found.jobs)] as const],
  ]);
  if (found.logs.length > 0) {
    say();
    sayTable(
      ["routed by", "log", "traces", "usable", "smallest chance", "drawn experts"],
      found.logs.map((log) => [
        log.policy_version ?? "not recorded",
        log.log,
        log.traces,
        usableText(log),
        log.min_propensity === null ? "-" : decimals(log.min_propensity),
        log.overlap === null ? "-" : overlapText(log.overlap),
      ]),
    );
    for (const log of found.logs) {
      for (const note of notesOn(log)) say(`note: ${note}`);
    }
  }
  if (sessions.length > 0) {
    say();
    sayTable(
      ["latest sessions", "id", "status", "version", "took", "error"],
      sessions.map((session) => [
        shortTime(session.started_at),
        session.id.slice(0, 8),
        session.status,
        session.version,
        tookText(session.started_at, session.ended_at),
        session.error ?? "",
      ]),
    );
  }
  if (found.jobs !== null && found.jobs.latest.length > 0) {
    say();
    sayJobs(found.jobs.latest);
  }
  if (found.jobs !== null && found.jobs.schedules.length > 0) {
    say();
    saySchedules(found.jobs.schedules);
  }
}

/** The traces, and of which kinds they are: sampled (one expert drawn), soft (experts mixed), none (no decision). */
function kindsOf({ total_traces, log_kinds }: StoreSummary): string {
  const kinds = Object.entries(log_kinds).filter(([, number]) => number > 0);
  const text = kinds.map(([kind, number]) =>
    `${count(number)} ${kind === "none" ? "without a routing decision" : kind}`
  );
  return kinds.length === 0 ? count(total_traces) : `${count(total_traces)}: ${text.join(", ")}`;
}

function trainingText(training: StoreSummary["training"]): string {
  const { since, available, usable, skipped, outside_window, policy_type, episodes } = training;
  const unit = policy_type === "react" ? "trajectories" : "traversals";
  const judged = episodes === undefined ? "" : `, on ${count(episodes)} ${unit}`;
  const left = judged + (Object.keys(skipped).length === 0 ? "" : `; ${skippedText(skipped)}`);
  const outside = outsideText(outside_window);
  return `${count(usable)} of the ${count(available)} newest feedbacks since ${shortTime(since).slice(0, 10)}${left}` +
    (outside === undefined ? "" : `; ${outside}`);
}

function tookText(from: string, to: string | null): string {
  return to === null ? "-" : duration((Date.parse(to) - Date.parse(from)) / 1000);
}

function usableText({ usable_share, skipped }: LogProfile): string {
  const reasons = Object.entries(skipped).map(([reason, number]) => `${count(number)} ${reason}`);
  return [percent(usable_share), ...reasons].join(", ");
}

function overlapText(overlap: Readonly<Record<string, number>>): string {
  return Object.entries(overlap).map(([expert, share]) => `${expert} ${percent(share)}`).join(", ");
}

/** What the log of a version cannot say. */
function notesOn({ policy_version, log, never_drawn, certain_share }: LogProfile): string[] {
  const name = `the log of ${policy_version ?? "traces without a version"}`;
  return [
    ...log === "deterministic"
      ? [`${name} is deterministic: it never tried another expert, so no other routing can be judged by it`]
      : certain_share !== null && certain_share > 0
      ? [`${name} drew ${percent(certain_share)} of its experts with certainty; it cannot judge another routing there`]
      : [],
    ...never_drawn.length > 0 && log !== "deterministic"
      ? [`${name} never drew ${never_drawn.join(", ")}: what they would have earned is unknown`]
      : [],
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0 && share < 1 ? 1 : 0)}%`;
}
