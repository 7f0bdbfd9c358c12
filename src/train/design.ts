/**
 * The rows of several regressions that differ only in the rows they leave out, as cross-fitting needs them. They go
 * through the embeddings together: each embedding is read once for all regressions.
 *
 * Index letters: K regressions, E experts, I inputs.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import type { RowList } from "../engine/simd/row_kernels.ts";
import { DenseRows, type RowRange, WINDOW_ROWS } from "./dense_rows.ts";
import { dot } from "./dot.ts";

/** The intercept's feature: so large that the ridge hardly touches its coefficient. */
export const INTERCEPT = 30;

/** Which rows the regressions see. */
export interface DesignOptions {
  /** Rows of the set. */
  readonly rows: Uint32Array;
  /** For each of `rows`, the regression that leaves it out; K or more if it is in all of them. */
  readonly folds: Uint8Array;
  /** Number K of regressions. */
  readonly regressions: number;
  /** [I] what is subtracted from the embeddings. */
  readonly mean: Float64Array;
  /** Most vectors that {@link Design.dense} will be used for, if more than [K, E]. */
  readonly vectors?: number;
}

/** Neighbouring rows that meet the same coefficients. */
interface Group {
  readonly fold: number;
  readonly range: RowRange;
  /** Regressions that see the rows. */
  readonly regressions: readonly number[];
  /** Experts that the rows used: one that was drawn, or all. */
  readonly experts: readonly number[];
  /** The coefficients of these experts in these regressions. */
  readonly list: RowList;
}

/** All rows that drew an expert and that a regression leaves out. */
export interface DrawnRows {
  readonly expert: number;
  /** Regressions that see them. */
  readonly regressions: readonly number[];
  /** Rows of the set. */
  readonly rows: Uint32Array;
}

/** The rows `u_ie [x_i - mean, INTERCEPT]` for every expert e, where u_i is the logged mixture. */
export class Design {
  /** The rows; within each window of {@link dense} sorted by fold and then by drawn expert. */
  readonly rows: Uint32Array;
  /** The embeddings of {@link rows}, in their order. */
  readonly dense: DenseRows;
  readonly #episodes: EpisodeSet;
  readonly #mean: Float64Array;
  readonly #groups: readonly Group[];
  /** Number K of regressions. */
  readonly regressions: number;

  /** Sorts the rows and makes them ready for the kernels. */
  constructor(episodes: EpisodeSet, { rows, folds, regressions, mean, vectors = 0 }: DesignOptions) {
    const { inputDim, embeddings } = episodes;
    const experts = Array.from(episodes.experts.keys());
    this.#episodes = episodes;
    this.#mean = mean;
    this.regressions = regressions;
    // Bucket [fold, drawn expert]; a mixture goes to the bucket after the last expert.
    const buckets = experts.length + 1;
    const { sorted, ranges } = sortWindows(rows, (i) => folds[i]! * buckets + drawnExpert(episodes, rows[i]!));
    this.rows = sorted;
    this.dense = new DenseRows(embeddings, inputDim, sorted, Math.max(vectors, regressions * experts.length));
    const kinds = new Map<number, Omit<Group, "range">>();
    this.#groups = ranges.map(({ bucket, range }) => {
      let kind = kinds.get(bucket);
      if (kind === undefined) {
        const [fold, drawn] = [Math.floor(bucket / buckets), bucket % buckets];
        const seeing = Array.from({ length: regressions }, (_, k) => k).filter((k) => k !== fold);
        const used = drawn === experts.length ? experts : [drawn];
        const list = this.dense.list(seeing.flatMap((k) => used.map((e) => k * experts.length + e)));
        kinds.set(bucket, kind = { fold, regressions: seeing, experts: used, list });
      }
      return { ...kind, range };
    });
  }

  /** Positions in {@link rows} of the rows that a regression leaves out. */
  leftOut(regression: number): RowRange[] {
    return this.#groups.filter(({ fold }) => fold === regression).map(({ range }) => range);
  }

  /** The rows by the coefficients that they meet; undefined where any row is a mixture. */
  drawnRows(): DrawnRows[] | undefined {
    if (this.#groups.some(({ experts }) => experts.length > 1)) return undefined;
    const alike = Map.groupBy(this.#groups, ({ list }) => list);
    return [...alike.values()].map((groups) => {
      const [{ regressions, experts: [expert] }] = groups as [Group];
      const rows = new Uint32Array(groups.reduce((sum, { range }) => sum + range.to - range.from, 0));
      let end = 0;
      for (const { range: { from, to } } of groups) {
        rows.set(this.rows.subarray(from, to), end);
        end += to - from;
      }
      return { expert: expert!, regressions, rows };
    });
  }

  /** Mean sample weight and mean reward of the rows of each regression; 0 where there are none. */
  means(): { readonly meanWeight: number; readonly meanReward: number }[] {
    const { sampleWeights, rewards } = this.#episodes;
    const totals = Array.from({ length: this.regressions }, () => ({ count: 0, mass: 0, earned: 0 }));
    for (const { range, regressions } of this.#groups) {
      for (const k of regressions) {
        const total = totals[k]!;
        total.count += range.to - range.from;
        for (let i = range.from; i < range.to; i++) {
          const row = this.rows[i]!;
          total.mass += sampleWeights[row]!;
          total.earned += sampleWeights[row]! * rewards[row]!;
        }
      }
    }
    return totals.map(({ count, mass, earned }) => ({
      meanWeight: mass / Math.max(1, count),
      meanReward: mass > 0 ? earned / mass : 0,
    }));
  }

  /**
   * `sum_i f_i row_i` of each regression, [K, E, I + 1], where f_i = factorOf(i, k, row_i's product with the
   * coefficients [K, E, I + 1] of regression k).
   */
  weightedSums(
    coefficients: Float64Array,
    factorOf: (row: number, regression: number, product: number) => number,
  ): Float64Array {
    const { inputDim, mixtures, experts } = this.#episodes;
    const width = inputDim + 1;
    const sums = new Float64Array(coefficients.length);
    // The mean is subtracted once per product, not once per row.
    const shares = new Float64Array(coefficients.length / width);
    const offsets = shares.map((_, v) =>
      INTERCEPT * coefficients[v * width + inputDim]! - dot(coefficients, v * width, this.#mean, 0, inputDim)
    );
    this.dense.setVectors(coefficients, width);
    for (const { range, list, regressions, experts: used } of this.#groups) {
      this.dense.multiplyAndAdd(
        range,
        list,
        (first, count, products) => {
          for (let i = first, p = 0; i < first + count; i++) {
            const [row, mixture] = [this.rows[i]!, this.rows[i]! * experts.length];
            for (const k of regressions) {
              const vector = k * experts.length;
              let product = 0;
              for (let j = 0; j < used.length; j++) {
                product += mixtures[mixture + used[j]!]! * (offsets[vector + used[j]!]! + products[p + j]!);
              }
              const factor = factorOf(row, k, product);
              for (let j = 0; j < used.length; j++, p++) {
                products[p] = factor * mixtures[mixture + used[j]!]!;
                shares[vector + used[j]!]! += products[p]!;
              }
            }
          }
        },
      );
    }
    this.dense.takeSums(sums, width);
    for (const [v, share] of shares.entries()) {
      for (let i = 0; i < inputDim; i++) sums[v * width + i]! -= share * this.#mean[i]!;
      sums[v * width + inputDim] = INTERCEPT * share;
    }
    return sums;
  }
}

/** The only expert that a row used, or E if it used several. */
function drawnExpert({ mixtures, experts }: EpisodeSet, row: number): number {
  let drawn = experts.length;
  for (let e = 0; e < experts.length; e++) {
    if (mixtures[row * experts.length + e] === 0) continue;
    if (drawn < experts.length) return experts.length;
    drawn = e;
  }
  return drawn;
}

/** Sorts the rows of each window by bucket, those of a bucket as they came; with the positions of each bucket. */
function sortWindows(
  rows: Uint32Array,
  bucketOf: (i: number) => number,
): { sorted: Uint32Array; ranges: { bucket: number; range: RowRange }[] } {
  const buckets = Uint32Array.from(rows, (_, i) => bucketOf(i));
  const order = Uint32Array.from(rows, (_, i) => i);
  const ranges: { bucket: number; range: RowRange }[] = [];
  for (let start = 0; start < rows.length; start += WINDOW_ROWS) {
    const end = Math.min(start + WINDOW_ROWS, rows.length);
    order.subarray(start, end).sort((a, b) => buckets[a]! - buckets[b]! || a - b);
    for (let from = start, to = start; from < end; from = to) {
      const bucket = buckets[order[from]!]!;
      while (to < end && buckets[order[to]!] === bucket) to++;
      ranges.push({ bucket, range: { from, to } });
    }
  }
  return { sorted: order.map((i) => rows[i]!), ranges };
}
