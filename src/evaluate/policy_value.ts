/**
 * All that a log says about the value of one policy: every estimator with its interval, and whether to believe it.
 *
 * Index letters: N episodes of the set, n rows that are evaluated, E experts.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { bootstrapIntervals, type Interval, userClusters } from "./bootstrap.ts";
import { type WeightDiagnostics, weightDiagnostics } from "./diagnostics.ts";
import {
  clippedIpsTerms,
  directTerms,
  doublyRobustTerms,
  type EvaluatedRows,
  ipsTerms,
  snipsTerms,
  switchTerms,
  type Terms,
  valueOf,
} from "./estimators.ts";
import { importanceWeights, type LogSupport, unidentified } from "./support.ts";

/** The estimators, in the order in which they are shown. */
export const ESTIMATORS = ["ips", "clipped_ips", "snips", "direct", "doubly_robust", "switch"] as const;

/** Name of an estimator in JSON. */
export type EstimatorName = (typeof ESTIMATORS)[number];

/** The value of a policy, estimated from a log. Null stands for what cannot be had from these rows. */
export interface ValueEstimate extends Readonly<Record<EstimatorName, number | null>> {
  /** 95% intervals over users; null where the estimate is, or where there are too few users. */
  readonly intervals: Readonly<Record<EstimatorName, Interval | null>>;
  /** `(sum rho)^2 / sum rho^2`; null where there are no importance weights. */
  readonly effective_sample_size: number | null;
  /** Rows evaluated. */
  readonly episodes: number;
  /** How far the importance weights can be relied on; null where there are none. */
  readonly diagnostics: WeightDiagnostics | null;
  /** Why estimators with importance weights are refused; empty if they are not. */
  readonly not_identified: readonly string[];
}

/** What an evaluation needs besides rows and routing. */
export interface EvaluationContext {
  /** Of the whole log, not of the rows alone. */
  readonly support: LogSupport;
  /** [N, E] rewards that a model expects, from other rows than those evaluated; estimators without it are null. */
  readonly valuesNE?: Float32Array | undefined;
  /** Seed of the bootstrap. */
  readonly seed: number;
}

/**
 * The columns that estimators see.
 *
 * @param weightsNE [n, E] the policy's routing of the given rows, in their order
 */
export function evaluatedRows(
  episodes: EpisodeSet,
  rows: Uint32Array,
  weightsNE: Float32Array,
  { support, valuesNE }: Pick<EvaluationContext, "support" | "valuesNE">,
): EvaluatedRows {
  const experts = episodes.experts.length;
  const expected = (share: (i: number, row: number, e: number) => number): Float64Array | undefined =>
    valuesNE &&
    Float64Array.from(rows, (row, i) => {
      let value = 0;
      for (let e = 0; e < experts; e++) value += share(i, row, e) * valuesNE[row * experts + e]!;
      return value;
    });
  return {
    rewards: Float64Array.from(rows, (row) => episodes.rewards[row]!),
    sampleWeights: Float64Array.from(rows, (row) => episodes.sampleWeights[row]!),
    rho: importanceWeights(episodes, rows, weightsNE, support),
    routed: expected((i, _row, e) => weightsNE[i * experts + e]!),
    logged: expected((_i, row, e) => episodes.mixtures[row * experts + e]!),
  };
}

/** Every estimate of a policy on the given rows. `weightsNE` [n, E] is its routing of them, in their order. */
export function estimateValue(
  episodes: EpisodeSet,
  rows: Uint32Array,
  weightsNE: Float32Array,
  context: EvaluationContext,
): ValueEstimate {
  const columns = evaluatedRows(episodes, rows, weightsNE, context);
  const refused = unidentified(episodes, rows, weightsNE, context.support);
  const hasWeights = rows.length > 0 && !columns.rho.some(Number.isNaN);
  const weighted = (terms: (columns: EvaluatedRows) => Terms | null): Terms | null =>
    refused.length === 0 ? terms(columns) : null;
  const terms: Record<EstimatorName, Terms | null> = {
    ips: weighted(ipsTerms),
    clipped_ips: weighted(clippedIpsTerms),
    snips: weighted(snipsTerms),
    direct: rows.length === 0 ? null : directTerms(columns),
    doubly_robust: weighted(doublyRobustTerms),
    switch: weighted(switchTerms),
  };
  const intervals = bootstrapIntervals(
    ESTIMATORS.map((name) => terms[name]),
    columns.sampleWeights,
    userClusters(episodes, rows).clusters,
    { seed: context.seed },
  );
  const byName = <T>(value: (name: EstimatorName, k: number) => T): Record<EstimatorName, T> =>
    Object.fromEntries(ESTIMATORS.map((name, k) => [name, value(name, k)])) as Record<EstimatorName, T>;
  const diagnostics = hasWeights ? weightDiagnostics(episodes, rows, weightsNE, columns.rho) : null;
  return {
    ...byName((name) => valueOf(terms[name], columns.sampleWeights)),
    intervals: byName((name, k) => valueOf(terms[name], columns.sampleWeights) === null ? null : intervals[k]!),
    effective_sample_size: diagnostics?.effective_sample_size ?? null,
    episodes: rows.length,
    diagnostics,
    not_identified: refused,
  };
}

/** The mean reward of the given rows, weighted as in training: what the logging policies earned. */
export function loggedValue(episodes: EpisodeSet, rows: Uint32Array): number | null {
  let [mass, gained] = [0, 0];
  for (const row of rows) {
    mass += episodes.sampleWeights[row]!;
    gained += episodes.sampleWeights[row]! * episodes.rewards[row]!;
  }
  return mass > 0 ? gained / mass : null;
}
