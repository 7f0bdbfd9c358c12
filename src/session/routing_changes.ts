/**
 * Which queries are routed otherwise by a new version than before.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import type { ChangeFacts, LoggedAnswer } from "../report/report_data.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import type { Contestant } from "./holdout_evaluation.ts";

/** Queries that are shown. */
const SHOWN = 20;
/** Answers that are shown of one query. */
const ANSWERS = 4;

/**
 * The queries of a log by how much their routing changes, measured as total variation `1/2 sum_e |new_e - old_e|`: the
 * share of the query's answers that would come from another expert.
 *
 * Without a version before, the routing that was logged stands in for it: a mixture is the whole old routing; of a drawn
 * expert only its own probability is known, and `|new_a - mu_a|` bounds the total variation from below.
 *
 * @param before the version before, on the same episodes; null if there is none
 */
export async function routingChanges(
  store: Pick<RLCFPersistence, "getQueryTexts">,
  episodes: EpisodeSet,
  after: Contestant,
  before: Contestant | null,
): Promise<ChangeFacts> {
  const experts = episodes.experts.length;
  const weightsOf = (weightsNE: Float32Array, row: number): number[] =>
    Array.from(weightsNE.subarray(row * experts, (row + 1) * experts));
  const hasDraws = episodes.sampled.includes(1);
  const oldOf = (row: number): number[] | null =>
    before !== null
      ? weightsOf(before.weightsNE, row)
      : episodes.sampled[row] === 0
      ? weightsOf(episodes.mixtures, row)
      : null;
  const changeOf = (row: number): number => {
    const [old, mine] = [oldOf(row), weightsOf(after.weightsNE, row)];
    if (old !== null) return mine.reduce((sum, weight, e) => sum + Math.abs(weight - old[e]!), 0) / 2;
    const drawn = weightsOf(episodes.mixtures, row).indexOf(1);
    return Math.abs(mine[drawn]! - episodes.propensities[row]!);
  };

  const rowsOfQuery = Map.groupBy(episodes.queryIds.keys(), (row) => episodes.queryIds[row]!);
  const ranked = [...rowsOfQuery].map(([queryId, rows]) => {
    const row = rows.reduce((most, next) => changeOf(next) > changeOf(most) ? next : most);
    return { queryId, rows, row, change: changeOf(row) };
  }).toSorted((a, b) => b.change - a.change || (a.queryId < b.queryId ? -1 : 1));
  const most: { queryIds: string[]; rows: number[]; row: number; change: number }[] = [];
  for (const { queryId, rows, row, change } of ranked) {
    const same = most.find((shown) => hasSameEmbedding(episodes, shown.row, row));
    if (same !== undefined) {
      same.queryIds.push(queryId);
      same.rows.push(...rows);
    } else if (most.length < SHOWN) {
      // The answer by which the change was measured comes first.
      most.push({ queryIds: [queryId], rows: [row, ...rows.filter((other) => other !== row)], row, change });
    }
  }
  const texts = await store.getQueryTexts(most.map(({ queryIds }) => queryIds[0]!));
  const isKnown = before !== null || !hasDraws;
  return {
    against: before !== null ? "previous" : hasDraws ? "propensities" : "mixtures",
    mean: ranked.reduce((sum, { change }) => sum + change, 0) / ranked.length,
    queries: ranked.length,
    otherExpert: isKnown
      ? ranked.filter(({ row }) => topOf(oldOf(row)!) !== topOf(weightsOf(after.weightsNE, row))).length
      : null,
    most: most.map(({ queryIds, rows, row, change }) => ({
      queryIds,
      text: texts.get(queryIds[0]!) ?? null,
      change,
      before: oldOf(row),
      after: weightsOf(after.weightsNE, row),
      answers: rows.slice(0, ANSWERS).map((row) => answerOf(episodes, row)),
      moreAnswers: Math.max(0, rows.length - ANSWERS),
    })),
  };
}

function hasSameEmbedding({ embeddings, inputDim }: EpisodeSet, a: number, b: number): boolean {
  for (let k = 0; k < inputDim; k++) {
    if (embeddings[a * inputDim + k] !== embeddings[b * inputDim + k]) return false;
  }
  return true;
}

function answerOf(episodes: EpisodeSet, row: number): LoggedAnswer {
  const score = episodes.rewards[row]!;
  if (episodes.sampled[row] === 0) return { expert: null, propensity: null, score };
  const experts = episodes.experts.length;
  const drawn = episodes.mixtures.subarray(row * experts, (row + 1) * experts).indexOf(1);
  return { expert: episodes.experts[drawn]!, propensity: episodes.propensities[row]!, score };
}

function topOf(weights: readonly number[]): number {
  return weights.indexOf(Math.max(...weights));
}
