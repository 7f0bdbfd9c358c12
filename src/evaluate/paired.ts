/**
 * Two routings on the same rows, subtracted row by row: what they have in common, such as a hard query or a strict
 * user, cancels.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { userClusters } from "./bootstrap.ts";
import { clippedIpsTerms, DEFAULT_CLIP, directTerms, doublyRobustTerms, type EvaluatedRows } from "./estimators.ts";
import { normalQuantile, studentQuantile } from "./normal.ts";

/** How the rows' contributions are formed. */
export type PairedMethod = "doubly_robust" | "clipped_ips" | "direct";

/**
 * Differences [n] of the contributions of two policies, candidate less rival.
 *
 * The correction of `doubly_robust` is `(rho_c - rho_a)(r - q)`: where both policies route alike it vanishes, noise and
 * all. When no row is clipped the mean is an unbiased estimate of the difference in value.
 *
 * @param rival the other policy on the same rows, or undefined for the logged routing, whose contribution is the reward
 */
export function pairedDifferences(
  method: PairedMethod,
  candidate: EvaluatedRows,
  rival: EvaluatedRows | undefined,
): Float64Array {
  const [mine, theirs] = [contributions(method, candidate), rival && contributions(method, rival)];
  return mine.map((value, i) => value - (theirs === undefined ? candidate.rewards[i]! : theirs[i]!));
}

function contributions(method: PairedMethod, rows: EvaluatedRows): Float64Array {
  const terms = method === "direct"
    ? directTerms(rows)
    : method === "doubly_robust"
    ? doublyRobustTerms(rows, DEFAULT_CLIP)
    : clippedIpsTerms(rows);
  if (terms === null) throw new Error(`${method} needs the values of a reward model`);
  return terms.numerator;
}

/** A mean difference and how sure it is. */
export interface Comparison {
  /** Weighted mean difference. */
  readonly difference: number;
  /** The larger of the standard errors over rows and over users. */
  readonly standardError: number;
  /** Rows compared. */
  readonly rows: number;
  /** Distance from the difference to its one-sided bound at level alpha, the same on both sides. */
  margin(alpha: number): number;
}

/** Paired differences with their weights and users, ready to be compared with and without any single user. */
export class PairedDifferences {
  /** Users by name; rows that name nobody belong to none. */
  readonly users: readonly string[];
  readonly #total: Sums;
  /** By cluster; users first. */
  readonly #clusters: Sums[];

  /**
   * Sums up by user, once.
   *
   * @param differences [n] of the given rows; NaN leaves a row out
   * @param rows of the set, for weights and users
   */
  constructor(
    episodes: Pick<EpisodeSet, "sampleWeights" | "userIds">,
    rows: Uint32Array,
    differences: Float64Array,
  ) {
    const { clusters, users } = userClusters(episodes, rows);
    this.users = users;
    this.#clusters = [];
    for (const [i, row] of rows.entries()) {
      const own = this.#clusters[clusters[i]!] ??= emptySums();
      if (!Number.isNaN(differences[i])) addRow(own, episodes.sampleWeights[row]!, differences[i]!);
    }
    for (let c = 0; c < this.#clusters.length; c++) this.#clusters[c] ??= emptySums();
    this.#total = emptySums();
    for (const own of this.#clusters) addCluster(this.#total, own, 1);
  }

  /** The comparison over all rows, or over those of all users but one; null if fewer than two rows are left. */
  compare(withoutUser?: string): Comparison | null {
    if (withoutUser === undefined) return comparisonOf(this.#total);
    const left = { ...this.#total };
    addCluster(left, this.#clusters[this.users.indexOf(withoutUser)]!, -1);
    return comparisonOf(left);
  }
}

/** Sums over rows, and over clusters of their own sums; subtracting a cluster's leaves those of the others. */
interface Sums {
  rows: number;
  clusters: number;
  /** sum w d, sum w. */
  gained: number;
  mass: number;
  /** sum w^2 d^2, sum w^2 d, sum w^2. */
  squares: number;
  products: number;
  weights: number;
  /** The same three of the clusters' sums of w d and w. */
  clusterSquares: number;
  clusterProducts: number;
  clusterWeights: number;
}

function emptySums(): Sums {
  return {
    ...{ rows: 0, clusters: 0, gained: 0, mass: 0, squares: 0, products: 0, weights: 0 },
    ...{ clusterSquares: 0, clusterProducts: 0, clusterWeights: 0 },
  };
}

function addRow(sums: Sums, weight: number, difference: number): void {
  sums.rows++;
  sums.gained += weight * difference;
  sums.mass += weight;
  sums.squares += (weight * difference) ** 2;
  sums.products += weight ** 2 * difference;
  sums.weights += weight ** 2;
}

function addCluster(total: Sums, own: Sums, sign: 1 | -1): void {
  if (own.rows === 0) return;
  total.clusters += sign;
  for (const name of ["rows", "gained", "mass", "squares", "products", "weights"] as const) {
    total[name] += sign * own[name];
  }
  total.clusterSquares += sign * own.gained ** 2;
  total.clusterProducts += sign * own.gained * own.mass;
  total.clusterWeights += sign * own.mass ** 2;
}

/**
 * The mean with two variances (Cameron and Miller, 2015): rows independent, and users independent but not their rows.
 * The bound is the wider one; Student's t for users, who may be few.
 */
function comparisonOf(sums: Sums): Comparison | null {
  const { rows, clusters, gained, mass } = sums;
  if (rows < 2 || mass <= 0) return null;
  const mean = gained / mass;
  const variance = (squares: number, products: number, weights: number, count: number): number =>
    Math.max(0, squares - 2 * mean * products + mean ** 2 * weights) / mass ** 2 * count / (count - 1);
  const byRow = Math.sqrt(variance(sums.squares, sums.products, sums.weights, rows));
  const byUser = clusters < 2
    ? 0
    : Math.sqrt(variance(sums.clusterSquares, sums.clusterProducts, sums.clusterWeights, clusters));
  return {
    difference: mean,
    standardError: Math.max(byRow, byUser),
    rows,
    margin: (alpha) =>
      Math.max(
        normalQuantile(1 - alpha) * byRow,
        clusters < 2 ? 0 : studentQuantile(1 - alpha, clusters - 1) * byUser,
      ),
  };
}
