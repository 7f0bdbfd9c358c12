/**
 * What a log can say about routings that it did not take: importance weights where they exist, and in words what is
 * missing where they do not.
 *
 * Index letters: N episodes of the set, n rows that are evaluated, E experts.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";

/** What the log did, over all its episodes: support belongs to the logging policy, not to the rows evaluated. */
export interface LogSupport {
  /** [E] mean logged share of each expert. */
  readonly loggedShares: Float64Array;
  /** [E, E] pseudo-inverse of the mixtures' second moment, over the experts that were mixed; null if not identified. */
  readonly mixtureInverse: Float64Array | null;
  /** Why mixtures give no importance weights; null if they do, or if there are none. */
  readonly mixtureFlaw: string | null;
}

/** A drawn expert's probability from here on is certainty: nothing else could have been drawn. */
const CERTAIN = 1 - 1e-6;
/** Share of a policy's routing that may lie where the log has nothing before no number is printed. */
const TOLERATED_MASS = 0.01;
/** Rows from which on importance weights that do not sum to 1 are evidence. */
const ROWS_FOR_MASS_TEST = 100;
/** Rows and permutations of the test for mixtures that follow from the query. */
const [TEST_ROWS, PERMUTATIONS] = [256, 1000];

/** Looks at the whole log once. */
export function logSupport(episodes: EpisodeSet): LogSupport {
  const experts = episodes.experts.length;
  const loggedShares = new Float64Array(experts);
  for (let k = 0; k < episodes.mixtures.length; k++) {
    loggedShares[k % experts]! += episodes.mixtures[k]! / episodes.size;
  }
  const soft = Uint32Array.from(episodes.sampled.keys()).filter((row) => episodes.sampled[row] === 0);
  if (soft.length === 0) return { loggedShares, mixtureInverse: null, mixtureFlaw: null };
  const inverse = inverseSecondMoment(episodes, soft);
  const flaw = inverse === null
    ? "the mixtures hardly vary, so the experts' shares in the rewards cannot be told apart"
    : mixturesFollowQueries(episodes, soft)
    ? "the mixtures follow from the query, so no query shows what another routing would have earned"
    : null;
  return { loggedShares, mixtureInverse: flaw === null ? inverse : null, mixtureFlaw: flaw };
}

/**
 * Importance weights rho [n] of the given rows.
 *
 * An expert was drawn: `pi(a|x) / mu(a|x)` with the logged propensity mu. Experts were mixed: `pi G u`, where G is the
 * pseudo-inverse of `E[u u']` (Swaminathan et al., 2017, "Off-policy evaluation for slate recommendation");
 * unbiased if the reward of a mixture is the mixture of the experts' rewards and mixtures were drawn independently of
 * the query. These weights can be negative. NaN where mixtures identify nothing.
 *
 * @param weightsNE [n, E] the policy's routing of the given rows, in their order
 */
export function importanceWeights(
  episodes: EpisodeSet,
  rows: Uint32Array,
  weightsNE: Float32Array,
  support: LogSupport,
): Float64Array {
  const experts = episodes.experts.length;
  return Float64Array.from(rows, (row, i) => {
    const drawn = episodes.sampled[row] === 1;
    if (!drawn && support.mixtureInverse === null) return NaN;
    let rho = 0;
    for (let e = 0; e < experts; e++) {
      const share = episodes.mixtures[row * experts + e]!;
      if (share === 0) continue;
      if (drawn) {
        rho += weightsNE[i * experts + e]! * share / episodes.propensities[row]!;
      } else {
        for (let f = 0; f < experts; f++) {
          rho += weightsNE[i * experts + f]! * support.mixtureInverse![f * experts + e]! * share;
        }
      }
    }
    return rho;
  });
}

/**
 * Why the value of a routing cannot be had from importance weights on these rows; empty if it can. Each reason names
 * what the log lacks. The direct method still gives a number there, by trusting its model.
 */
export function unidentified(
  episodes: EpisodeSet,
  rows: Uint32Array,
  weightsNE: Float32Array,
  support: LogSupport,
): string[] {
  const { experts, sampled, propensities, mixtures } = episodes;
  if (rows.length === 0) return ["there are no episodes"];
  const reasons: string[] = [];
  const shares = new Float64Array(experts.length);
  const lost = new Float64Array(experts.length);
  let [soft, certain] = [0, 0];
  for (const [i, row] of rows.entries()) {
    const isCertain = sampled[row] === 1 && propensities[row]! >= CERTAIN;
    if (sampled[row] === 0) soft++;
    if (isCertain) certain++;
    for (let e = 0; e < experts.length; e++) {
      const weight = weightsNE[i * experts.length + e]!;
      shares[e]! += weight / rows.length;
      if (isCertain && mixtures[row * experts.length + e] === 0) lost[e]! += weight / rows.length;
    }
  }
  if (soft > TOLERATED_MASS * rows.length && support.mixtureFlaw !== null) reasons.push(support.mixtureFlaw);
  for (const [e, expert] of experts.entries()) {
    if (support.loggedShares[e] === 0 && shares[e]! > TOLERATED_MASS) {
      reasons.push(
        `${expert} was never used in the log, and the policy sends ${percent(shares[e]!)} of the queries there`,
      );
    }
  }
  if (sum(lost) > TOLERATED_MASS) {
    const names = experts.filter((_, e) => lost[e]! > TOLERATED_MASS / experts.length).join(", ");
    reasons.push(
      `${percent(certain / rows.length)} of the log is deterministic, and there the policy would use experts ` +
        `that had no chance (${names}; ${percent(sum(lost))} of its routing)`,
    );
  }
  if (reasons.length > 0) return reasons;
  const rho = importanceWeights(episodes, rows, weightsNE, support);
  const mean = sum(rho) / rho.length;
  const error = Math.sqrt(rho.reduce((total, x) => total + (x - mean) ** 2, 0)) / rho.length;
  if (rows.length >= ROWS_FOR_MASS_TEST && mean < 0.9 && mean + 5 * error < 1) {
    reasons.push(
      `the importance weights average ${mean.toFixed(2)} instead of 1: the log hardly has what the policy does`,
    );
  }
  return reasons;
}

/**
 * Whether a log is deterministic where it drew: no drawn expert had an alternative. False without drawn episodes.
 */
export function isDeterministic(episodes: EpisodeSet): boolean {
  let drawn = 0;
  for (let row = 0; row < episodes.size; row++) {
    if (episodes.sampled[row] === 0) continue;
    if (episodes.propensities[row]! < CERTAIN) return false;
    drawn++;
  }
  return drawn > 0;
}

/** The inverse of the mean of `u u'` over mixed rows, zero for experts that were never mixed; null if near singular. */
function inverseSecondMoment(episodes: EpisodeSet, rows: Uint32Array): Float64Array | null {
  const all = episodes.experts.length;
  const moments = new Float64Array(all * all);
  for (const row of rows) {
    const mixture = episodes.mixtures.subarray(row * all, (row + 1) * all);
    for (let e = 0; e < all; e++) {
      for (let f = 0; f < all; f++) moments[e * all + f]! += mixture[e]! * mixture[f]! / rows.length;
    }
  }
  const used = Array.from({ length: all }, (_, e) => e).filter((e) => moments[e * all + e]! > 0);
  const small = invert(Float64Array.from(used.flatMap((e) => used.map((f) => moments[e * all + f]!))), used.length);
  if (small === null) return null;
  const inverse = new Float64Array(all * all);
  for (const [i, e] of used.entries()) {
    // The mean squared weight of a policy that always takes e: beyond the number of rows, less than one row is left.
    if (small[i * used.length + i]! > rows.length) return null;
    for (const [j, f] of used.entries()) inverse[e * all + f] = small[i * used.length + j]!;
  }
  return inverse;
}

/** The inverse of a symmetric matrix [size, size] by Gauss and Jordan; null if a pivot vanishes. */
function invert(matrix: Float64Array, size: number): Float64Array | null {
  const left = matrix.slice();
  const right = new Float64Array(size * size);
  for (let i = 0; i < size; i++) right[i * size + i] = 1;
  for (let pivot = 0; pivot < size; pivot++) {
    // Positive definite where it can be inverted at all, so the diagonal serves as the pivot.
    const scale = left[pivot * size + pivot]!;
    if (!(scale > 1e-10)) return null;
    for (let k = 0; k < size; k++) {
      left[pivot * size + k]! /= scale;
      right[pivot * size + k]! /= scale;
    }
    for (let row = 0; row < size; row++) {
      const factor = left[row * size + pivot]!;
      if (row === pivot || factor === 0) continue;
      for (let k = 0; k < size; k++) {
        left[row * size + k]! -= factor * left[pivot * size + k]!;
        right[row * size + k]! -= factor * right[pivot * size + k]!;
      }
    }
  }
  return right;
}

/**
 * Whether similar queries got similar mixtures: the Hilbert-Schmidt independence criterion with linear kernels (Gretton
 * et al., 2008) against all of 1000 seeded permutations, on at most 256 rows. Fires by chance once in 1000 logs.
 */
function mixturesFollowQueries(episodes: EpisodeSet, soft: Uint32Array): boolean {
  const step = Math.max(1, soft.length / TEST_ROWS);
  const rows = Array.from({ length: Math.min(TEST_ROWS, soft.length) }, (_, i) => soft[Math.floor(i * step)]!);
  const { inputDim, experts, embeddings, mixtures } = episodes;
  const queries = centredGram(rows.map((row) => embeddings.subarray(row * inputDim, (row + 1) * inputDim)));
  const routings = centredGram(rows.map((row) => mixtures.subarray(row * experts.length, (row + 1) * experts.length)));
  const n = rows.length;
  const agreement = (order: ArrayLike<number>): number => {
    let total = 0;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) total += queries[i * n + j]! * routings[order[i]! * n + order[j]!]!;
    }
    return total;
  };
  const random = new Random(0);
  const found = agreement(rows.map((_, i) => i));
  for (let i = 0; i < PERMUTATIONS; i++) {
    if (agreement(random.permutation(n)) >= found) return false;
  }
  return true;
}

/** Inner products [n, n] of vectors less their mean. */
function centredGram(vectors: readonly Float32Array[]): Float64Array {
  const n = vectors.length;
  const mean = Float64Array.from(vectors[0]!, (_, k) => vectors.reduce((total, vector) => total + vector[k]!, 0) / n);
  const centred = vectors.map((vector) => Float64Array.from(vector, (x, k) => x - mean[k]!));
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let product = 0;
      for (let k = 0; k < mean.length; k++) product += centred[i]![k]! * centred[j]![k]!;
      gram[i * n + j] = gram[j * n + i] = product;
    }
  }
  return gram;
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;
}
