/**
 * The part of the log that a session trains on.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import { type EpisodeSet, type LogMix, logMixOf } from "../episodes/episode_set.ts";
import { type HoldoutSplit, splitHoldout } from "../episodes/holdout.ts";
import { loadEpisodes } from "../episodes/load_episodes.ts";
import { outsideOf, type OutsideWindow } from "../episodes/window.ts";
import type { RLCFPersistence, TrainingWindow } from "../store/persistence.ts";
import { chooseObjective, type ChosenObjective } from "../train/objective.ts";

export { windowOf } from "../episodes/window.ts";

/** How many were left out, by reason. */
export type ReasonCounts = Readonly<Record<string, number>>;

/** What sessions of every type know of their log. */
export interface SessionLog {
  /** The feedback that was read. */
  readonly window: TrainingWindow;
  /** What of it can teach; an episode is whatever the type of policy learns from as one. */
  readonly episodes: {
    /** Number of episodes. */
    readonly size: number;
    /** Feedback rows that make them up. */
    readonly feedbackRows: number;
  };
  /** What was left out, by reason. */
  readonly skipped: ReasonCounts;
  /** Feedback rows in the window, usable or not. */
  readonly available: number;
  /** Feedback that the window leaves out. */
  readonly outside: OutsideWindow;
  /** Which episodes are trained on, and which are held out. */
  readonly split: HoldoutSplit;
  /** Whether decisions were drawn or mixed. */
  readonly mix: LogMix;
  /** What will be maximised. */
  readonly objective: { readonly objective: string; readonly reason: string };
  /** Feedback rows read per second. */
  readonly rowsPerSecond: number;
}

/** A log of single decisions, such as routings. */
export interface TrainingLog extends SessionLog {
  /** The decisions. */
  readonly episodes: EpisodeSet;
  /** The objective and why. */
  readonly objective: ChosenObjective;
}

/** Reads and splits the episodes of a window, however few they are. */
export async function readTrainingLog(
  store: RLCFPersistence,
  config: Config,
  window: TrainingWindow,
): Promise<TrainingLog> {
  const started = performance.now();
  const { inputDim, experts } = config.gatingPolicy;
  const { feedbackWeighting, scoring } = config.training;
  const episodes = await loadEpisodes(store, window, { inputDim, experts, feedbackWeighting, scoring });
  const seconds = (performance.now() - started) / 1000;
  const skipped = Object.values(episodes.skipped).reduce((sum, count) => sum + count, 0);
  const { enabled, holdoutRatio, minHoldout } = config.evaluation;
  return {
    window,
    episodes,
    skipped: episodes.skipped,
    available: episodes.feedbackRows + skipped,
    outside: await outsideOf(store, window),
    split: splitHoldout(episodes, enabled ? holdoutRatio : 0, minHoldout),
    mix: logMixOf(episodes),
    objective: chooseObjective(config.training.objective, episodes),
    rowsPerSecond: (episodes.feedbackRows + skipped) / Math.max(seconds, 1e-3),
  };
}

/** Throws RlcfError("not_enough_data") when a log cannot be trained on, saying what is missing and where to look. */
export function requireEnough(
  log: SessionLog,
  config: Config,
  location: string,
  hintFor: (reason: string) => string = gatingHint,
): void {
  const { minFeedback } = config.training;
  const { lookbackDays } = config.database;
  const usable = log.episodes.feedbackRows;
  const scope = log.window.policyVersion === undefined ? "" : ` on traces that ${log.window.policyVersion} routed`;
  const reasons = Object.entries(log.skipped).map(([reason, count]) => `${count} ${reason}`).join(", ");
  if (log.available === 0) {
    throw new RlcfError(
      "not_enough_data",
      `No traces with feedback found: ${location} holds no feedback of the last ${lookbackDays} days${scope}`,
      { hint: outsideHint(log) ?? "rlcf stats shows what is stored; --database names another one." },
    );
  }
  if (log.episodes.size > 0 && log.split.training.length === 0) {
    throw new RlcfError(
      "not_enough_data",
      `Insufficient feedback: all ${log.episodes.size} usable episodes are on queries that are held out`,
      { hint: "Collect feedback on more queries, or lower evaluation.holdout_ratio." },
    );
  }
  if (usable < minFeedback || log.split.training.length === 0) {
    const left = reasons === "" ? "" : `; left out: ${reasons}`;
    throw new RlcfError(
      "not_enough_data",
      `Insufficient feedback: ${usable} of ${minFeedback} usable ${
        isFull(log) ? `among the ${log.window.maxFeedback} newest feedbacks` : `in the last ${lookbackDays} days`
      }${scope}${left}`,
      { hint: fullWindowHint(log) ?? outsideHint(log) ?? hintForMost(log.skipped, hintFor) },
    );
  }
}

/** Whether the number of feedbacks bounds the window, not its dates. */
function isFull({ available, window }: SessionLog): boolean {
  return available >= window.maxFeedback;
}

/** How to reach what stands behind newer feedback, on traces of another policy type for example. */
function fullWindowHint(log: SessionLog): string | undefined {
  if (!isFull(log)) return undefined;
  return `The newest ${log.window.maxFeedback} feedbacks are looked at; --max-episodes N reaches further back.`;
}

/** How to reach feedback that lies before the window; undefined where none does. */
function outsideHint({ outside: { older, oldest, days_to_reach } }: SessionLog): string | undefined {
  if (oldest === null) return undefined;
  return `${older} more lie before that, the oldest of ${
    oldest.slice(0, 10)
  }: --lookback-days ${days_to_reach} reaches ` +
    "them all.";
}

function hintForMost(skipped: ReasonCounts, hintFor: (reason: string) => string): string {
  const [most] = Object.entries(skipped).toSorted(([, a], [, b]) => b - a);
  return most === undefined ? "Collect more feedback, or lower training.min_feedback." : hintFor(most[0]);
}

/** What to do about feedback that the GatingPolicy cannot use. */
export function gatingHint(reason: string): string {
  switch (reason) {
    case "wrong_dimension":
      return "Set gating_policy.input_dim to the length of the logged embeddings.";
    case "unknown_expert":
      return "Name the experts of the log in gating_policy.experts.";
    default:
      return "See the README's table of skip reasons: traces need a gating action with query_embedding in its metadata.";
  }
}
