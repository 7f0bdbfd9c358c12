/**
 * What a log holds, in numbers that a person can check.
 *
 * @module
 */
import { disagreementOf } from "../episodes/disagreement.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";
import type { ValueEstimate } from "../evaluate/policy_value.ts";
import { isDeterministic } from "../evaluate/support.ts";
import { type LevelName, LEVELS } from "../feedback/levels.ts";
import type { LogFacts } from "../report/report_data.ts";
import type { TrainingLog } from "./training_log.ts";

/** The facts about a log. `estimate` is that of the policy in question on the held-out rows, if there is one. */
export function logFacts(log: TrainingLog, estimate: ValueEstimate | null): LogFacts {
  const { episodes, window } = log;
  const users = usersOf(episodes);
  const named = [...users].filter(([user]) => user !== null);
  let minPropensity: number | null = null;
  for (const [i, propensity] of episodes.propensities.entries()) {
    if (episodes.sampled[i] === 1) minPropensity = Math.min(minPropensity ?? 1, propensity);
  }
  return {
    since: window.since,
    until: window.until,
    available: log.available,
    limit: window.maxFeedback,
    used: episodes.feedbackRows,
    skipped: episodes.skipped,
    episodes: episodes.size,
    queries: new Set(episodes.queryIds).size,
    holdout: log.split.holdout.length,
    mix: log.mix,
    deterministic: isDeterministic(episodes),
    minPropensity,
    extremeShare: estimate?.diagnostics?.extreme_weight_share ?? null,
    loggedShares: episodes.experts.map((_, e) => {
      let total = 0;
      for (let i = 0; i < episodes.size; i++) total += episodes.mixtures[i * episodes.experts.length + e]!;
      return episodes.size === 0 ? 0 : total / episodes.size;
    }),
    users: named.length,
    anonymous: users.get(null) ?? 0,
    busiestShare: named.length === 0 ? null : Math.max(...named.map(([, number]) => number)) / episodes.size,
    disagreement: disagreementOf(episodes),
    judged: Object.fromEntries(LEVELS.map((level, l) => [level, judgedShare(episodes, l)])) as Record<
      LevelName,
      number
    >,
  };
}

/** Episodes by the user who speaks for them. */
function usersOf({ userIds }: EpisodeSet): Map<string | null, number> {
  const users = new Map<string | null, number>();
  for (const user of userIds) users.set(user, (users.get(user) ?? 0) + 1);
  return users;
}

function judgedShare({ size, levelScores }: EpisodeSet, level: number): number {
  let judged = 0;
  for (let i = 0; i < size; i++) judged += Number.isNaN(levelScores[i * LEVELS.length + level]) ? 0 : 1;
  return size === 0 ? 0 : judged / size;
}
