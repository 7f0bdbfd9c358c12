/**
 * `rlcf stats`: what is stored.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import type { RLCFPersistence, TrainingStats } from "../store/persistence.ts";
import { command, configured, memoryNotice, openStore } from "./context.ts";
import { duration } from "./progress.ts";
import { count, decimals, sayFacts, sayTable, shortTime } from "./table.ts";
import { printResult, say } from "./terminal.ts";

/** The command. */
export function statsCommand(): Command {
  const stats = command("stats", "show what is stored: traces, feedback, the active policy, sessions, checkpoints")
    .option("--policy-version <version>", "count only traces that this version routed");
  stats.action(async (options) => {
    const resolved = await configured(options);
    await using store = await openStore(resolved, "empty");
    const found = await collect(store, resolved.config.training.policyType, options.policyVersion);
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
  readonly active: {
    readonly policy_type: string;
    readonly version: string;
    readonly activated_at: string | null;
    readonly training_episodes: number;
  } | null;
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
}

async function collect(
  store: RLCFPersistence,
  policyType: string,
  policyVersion: string | undefined,
): Promise<StoreSummary> {
  const counts = await store.getTrainingStats(policyVersion);
  const active = await store.getActivePolicy(policyType);
  const sessions = await store.listTrainingSessions(undefined, 5);
  const checkpoints = await store.listPolicyCheckpoints();
  return {
    ...counts,
    active: active === null ? null : {
      policy_type: active.policyType,
      version: active.version,
      activated_at: active.activatedAt,
      training_episodes: active.trainingEpisodes,
    },
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

function show(location: string, found: StoreSummary): void {
  const { active, checkpoints, sessions } = found;
  const scope = found.policy_version === null ? "" : ` routed by ${found.policy_version}`;
  sayFacts([
    ["database", location],
    [`traces${scope}`, kindsOf(found)],
    ["with feedback", found.traces_with_feedback],
    ["feedbacks", found.total_feedback],
    ["mean score", decimals(found.avg_score)],
    [
      "active policy",
      active === null ? "none" : `${active.policy_type} ${active.version}, since ${shortTime(active.activated_at)} UTC`,
    ],
    ["checkpoints", checkpoints.length],
  ]);
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
}

/** The traces, and of which kinds they are: sampled (one expert drawn), soft (experts mixed), none (no decision). */
function kindsOf({ total_traces, log_kinds }: StoreSummary): string {
  const kinds = Object.entries(log_kinds).filter(([, number]) => number > 0);
  const text = kinds.map(([kind, number]) =>
    `${count(number)} ${kind === "none" ? "without a routing decision" : kind}`
  );
  return kinds.length === 0 ? count(total_traces) : `${count(total_traces)}: ${text.join(", ")}`;
}

function tookText(from: string, to: string | null): string {
  return to === null ? "-" : duration((Date.parse(to) - Date.parse(from)) / 1000);
}
