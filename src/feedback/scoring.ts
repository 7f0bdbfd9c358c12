/**
 * How feedback becomes one number. Two rules: ours scores what was given; MERL-T's fills in defaults and is kept for
 * data that the original wrote.
 *
 * @module
 */
import { givenScores, LEVEL_SCORES, type LevelFeedback, type LevelName, LEVELS } from "./levels.ts";

/** `given`: the mean of the numbers that were given. `merlt`: the original's formula, with defaults for the rest. */
export type Scoring = "given" | "merlt";

/** Weight of each level in the score; a level that is not named weighs 0. */
export type LevelWeights = Readonly<Partial<Record<LevelName, number>>>;

/** The specification's weights. */
export const DEFAULT_LEVEL_WEIGHTS: LevelWeights = { retrieval: 0.3, reasoning: 0.4, synthesis: 0.3 };

type Levels = { readonly [L in LevelName]?: LevelFeedback[L] };

/** The mean of the numbers given on a level; undefined if there is none. */
export function givenLevelScore(level: LevelName, levels: Levels): number | undefined {
  const feedback = levels[level];
  if (feedback === undefined) return undefined;
  const scores = givenScores(level, feedback);
  return scores.length === 0 ? undefined : scores.reduce((sum, [, score]) => sum + score, 0) / scores.length;
}

/**
 * The rating if there is one, else the weighted mean of the scores of the levels that hold a number; undefined if
 * nothing was given or all that was given weighs 0.
 */
export function givenScore(levels: Levels, rating: number | null, weights = DEFAULT_LEVEL_WEIGHTS): number | undefined {
  if (rating !== null) return rating;
  return weightedMean(weights, (level) => givenLevelScore(level, levels));
}

/**
 * MERL-T's `overall_score`: F1 of precision and recall for retrieval, plain means with a default of 0.5 for the numbers
 * that were not given, 0.5 if no level counts. The rating overrides all, whatever its range.
 */
export function merltScore(levels: Levels, rating: number | null, weights = DEFAULT_LEVEL_WEIGHTS): number {
  if (rating !== null) return rating;
  return weightedMean(weights, (level) => merltLevelScore(level, levels)) ?? 0.5;
}

function merltLevelScore(level: LevelName, levels: Levels): number | undefined {
  const feedback = levels[level];
  if (feedback === undefined) return undefined;
  const given = feedback as Readonly<Record<string, unknown>>;
  const scores = Object.fromEntries(
    (Object.entries(LEVEL_SCORES[level]) as [string, readonly [string, number]][])
      .map(([key, [, fallback]]) => [key, (given[key] as number | undefined) ?? fallback]),
  );
  if (level === "retrieval") {
    const [precision, recall] = [scores.precision!, scores.recall!];
    return precision + recall === 0 ? 0 : 2 * precision * recall / (precision + recall);
  }
  const values = Object.values(scores);
  return values.reduce((sum, score) => sum + score, 0) / values.length;
}

function weightedMean(weights: LevelWeights, scoreOf: (level: LevelName) => number | undefined): number | undefined {
  let [sum, mass] = [0, 0];
  for (const level of LEVELS) {
    const score = scoreOf(level);
    const weight = weights[level] ?? 0;
    if (score === undefined || weight === 0) continue;
    sum += weight * score;
    mass += weight;
  }
  return mass === 0 ? undefined : sum / mass;
}
