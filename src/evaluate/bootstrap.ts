/**
 * Intervals by resampling users: the feedback of one person is not independent, so whole people are drawn.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";
import type { Terms } from "./estimators.ts";
import { normalProbability, studentQuantile } from "./normal.ts";

/** A 95% interval. */
export type Interval = readonly [low: number, high: number];

/** How to resample. */
export interface BootstrapOptions {
  /** Same seed, same interval. */
  readonly seed: number;
  /** Resamples; 1000 by default. */
  readonly draws?: number;
  /** 0.95 by default. */
  readonly confidence?: number;
}

/** Draws where nothing else is asked for. */
const DRAWS = 1000;

/** Cluster numbers [n] from 0 of the given rows: one for each user, and one for each row that names nobody. */
export function userClusters(
  episodes: Pick<EpisodeSet, "userIds">,
  rows: Uint32Array,
): { clusters: Uint32Array; users: string[] } {
  const numbers = new Map<string, number>();
  for (const row of rows) {
    const user = episodes.userIds[row]!;
    if (user !== null && !numbers.has(user)) numbers.set(user, numbers.size);
  }
  let next = numbers.size;
  const clusters = Uint32Array.from(rows, (row) => {
    const user = episodes.userIds[row]!;
    return user === null ? next++ : numbers.get(user)!;
  });
  return { clusters, users: [...numbers.keys()] };
}

/**
 * Percentile intervals of several estimators from the same resamples of clusters (Cameron, Gelbach and Miller, 2008;
 * Field and Welsh, 2007). Each draw takes as many clusters as there are, with replacement, and forms both sums of the
 * ratio anew, so that SNIPS is normalised by its own draw.
 *
 * With few clusters percentiles are too narrow, so the levels are widened to those at which they agree with Student's t
 * for the mean (Hesterberg, 2015, "expanded percentile"). Null with a single cluster, or where a draw in a
 * hundred had no weight at all.
 *
 * @param estimators a list of several terms stands for the sum of their ratios
 * @param clusters [n] numbers from 0, without gaps
 */
export function bootstrapIntervals(
  estimators: readonly (Terms | readonly Terms[] | null)[],
  sampleWeights: Float64Array,
  clusters: Uint32Array,
  options: BootstrapOptions,
): (Interval | null)[] {
  const { seed, draws = DRAWS, confidence = 0.95 } = options;
  const count = clusters.reduce((max, cluster) => Math.max(max, cluster + 1), 0);
  if (count < 2) return estimators.map(() => null);
  const sums = estimators.map((terms) =>
    terms === null ? null : [terms].flat().map((part) => clusterSums(part, sampleWeights, clusters, count))
  );
  const values = sums.map(() => new Float64Array(draws));
  const random = new Random(seed);
  const times = new Uint32Array(count);
  for (let draw = 0; draw < draws; draw++) {
    times.fill(0);
    for (let i = 0; i < count; i++) times[random.below(count)]!++;
    for (const [k, sum] of sums.entries()) {
      if (sum === null) continue;
      values[k]![draw] = sum.reduce((total, part) => total + ratioOf(part, times), 0);
    }
  }
  const level = expandedLevel((1 - confidence) / 2, count);
  return sums.map((sum, k) => sum === null ? null : percentiles(values[k]!, level));
}

/** The ratio of the sums, each cluster taken so many times; NaN where nothing has weight. */
function ratioOf({ numerator, denominator }: Terms, times: Uint32Array): number {
  let [gained, mass] = [0, 0];
  for (let c = 0; c < times.length; c++) {
    gained += times[c]! * numerator[c]!;
    mass += times[c]! * denominator[c]!;
  }
  return mass > 0 ? gained / mass : NaN;
}

/** Weighted sums of both columns by cluster. */
function clusterSums(terms: Terms, sampleWeights: Float64Array, clusters: Uint32Array, count: number): Terms {
  const [numerator, denominator] = [new Float64Array(count), new Float64Array(count)];
  for (const [i, cluster] of clusters.entries()) {
    numerator[cluster]! += sampleWeights[i]! * terms.numerator[i]!;
    denominator[cluster]! += sampleWeights[i]! * terms.denominator[i]!;
  }
  return { numerator, denominator };
}

function expandedLevel(tail: number, count: number): number {
  return normalProbability(Math.sqrt(count / (count - 1)) * studentQuantile(tail, count - 1));
}

function percentiles(values: Float64Array, level: number): Interval | null {
  const found = values.filter((value) => !Number.isNaN(value)).sort();
  if (found.length < 0.99 * values.length) return null;
  const at = (share: number): number => {
    const place = share * (found.length - 1);
    const below = Math.floor(place);
    const above = Math.min(found.length - 1, below + 1);
    return found[below]! + (place - below) * (found[above]! - found[below]!);
  };
  return [at(level), at(1 - level)];
}
