/**
 * How far people differ about one answer: noise that no routing can remove.
 *
 * @module
 */
import type { EpisodeSet } from "./episode_set.ts";

/** What answers that several people judged say about the people. */
export interface Disagreement {
  /** Answers with more than one feedback. */
  readonly answers: number;
  /** Standard deviation of one judgement around the mean of its answer, over those answers. */
  readonly spread: number;
  /** Standard deviation of the rewards of all answers, to compare it with. */
  readonly reward_spread: number;
}

/**
 * The spread of judgements within answers, or null where no answer was judged twice. The variance of each answer counts
 * by its number of judgements less one (the pooled variance), which is unbiased where they weigh the same.
 */
export function disagreementOf(episodes: EpisodeSet): Disagreement | null {
  const { size, feedbackCounts, rewardVariances, rewards } = episodes;
  let [answers, squares, freedom] = [0, 0, 0];
  for (let i = 0; i < size; i++) {
    if (feedbackCounts[i]! < 2) continue;
    answers++;
    squares += feedbackCounts[i]! * rewardVariances[i]!;
    freedom += feedbackCounts[i]! - 1;
  }
  if (answers === 0) return null;
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / size;
  const total = rewards.reduce((sum, reward) => sum + (reward - mean) ** 2, 0) / size;
  return { answers, spread: Math.sqrt(squares / freedom), reward_spread: Math.sqrt(total) };
}
