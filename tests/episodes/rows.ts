/**
 * Rows of a log, and episode sets made from them.
 *
 * @module
 */
import { type EpisodeOptions, type EpisodeSet, EpisodeSetBuilder } from "../../src/episodes/episode_set.ts";
import type { TrainingRow } from "../../src/store/persistence.ts";

/** The experts of these rows. */
export const EXPERTS: readonly string[] = ["literal", "systemic", "principles"];

/** Two inputs, three experts, feedback weighed by authority. */
export const OPTIONS: EpisodeOptions = { inputDim: 2, experts: EXPERTS, feedbackWeighting: "authority" };

/** A row in which `literal` was drawn with probability 1/2. */
export function drawnRow(change: Partial<TrainingRow> = {}): TrainingRow {
  return {
    traceId: "t",
    queryId: "q",
    logKind: "sampled",
    gatingWeights: { literal: 0.7 },
    gatingLogProb: Math.log(0.5),
    embedding: Float32Array.of(1, 2),
    score: 0.8,
    levelScores: { retrieval: null, reasoning: null, synthesis: null },
    userAuthority: 0.5,
    userId: null,
    ...change,
  };
}

/** A row in which all experts were mixed. */
export function mixedRow(change: Partial<TrainingRow> = {}): TrainingRow {
  return drawnRow({
    logKind: "soft",
    gatingWeights: { literal: 1, systemic: 2, principles: 5 },
    gatingLogProb: null,
    ...change,
  });
}

/** The episodes of rows. */
export function episodesOf(rows: readonly TrainingRow[], options: EpisodeOptions = OPTIONS): EpisodeSet {
  const builder = new EpisodeSetBuilder(rows.length, options);
  for (const row of rows) builder.add(row);
  return builder.build();
}
