/**
 * Changes of backend that a failing GPU forced upon a session, for its records.
 *
 * @module
 */
import type { GatingPolicy } from "../policy/gating_policy.ts";

/** A change of backend; field names are those of `train --json`. */
export interface FallbackReport {
  /** The backend that failed. */
  readonly from: string;
  /** The backend that went on. */
  readonly to: string;
  /** What the failed one said. */
  readonly reason: string;
  /** Episodes visited before the call that failed, over all passes; those of an interrupted run count. */
  readonly at_episode: number;
  /** How many of them were trained on again, because their state was lost with the device. */
  readonly repeated: number;
}

/**
 * What happened to a policy's engine.
 *
 * @param visitedBefore episodes that were visited before this policy was opened: those of the run that was taken up
 */
export function fallbackReports(policy: Pick<GatingPolicy, "fallbacks">, visitedBefore: number): FallbackReport[] {
  return policy.fallbacks.map(({ from, to, reason, trainedRows, repeatedRows }) => ({
    from,
    to,
    reason,
    at_episode: visitedBefore + trainedRows,
    repeated: repeatedRows,
  }));
}
