/**
 * `rlcf stats`: what is stored.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import type { RLCFPersistence, TrainingStats } from "../store/persistence.ts";
import { command, configured, openStore } from "./context.ts";
import { decimals, printResult, say, sayTable } from "./terminal.ts";

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
  say(`database: ${location}`);
  const kinds = Object.entries(found.log_kinds).map(([kind, count]) => `${count} ${kind}`).join(", ");
  sayTable(["stored", ""], [
    ["traces", found.total_traces],
    ["  of these", kinds],
    ["traces with feedback", found.traces_with_feedback],
    ["feedback", found.total_feedback],
    ["mean score", decimals(found.avg_score)],
    ["active policy", found.active?.version ?? "none"],
    ["checkpoints", found.checkpoints.length],
  ]);
  if (found.sessions.length > 0) {
    sayTable(
      ["latest sessions", "status", "version", "ended", "error"],
      found.sessions.map((session) => [
        session.started_at,
        session.status,
        session.version,
        session.ended_at,
        session.error === null ? "" : session.error.slice(0, 60),
      ]),
    );
  }
  if (found.total_feedback === 0) say("No feedback yet: rlcf ingest FILE stores traces with feedback.");
}
