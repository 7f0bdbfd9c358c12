/**
 * Networks and batches at the ends of their ranges, where random drawing hardly ever comes.
 *
 * @module
 */
import { defaultInputScale } from "../../src/engine/network.ts";
import type { LossHeadName } from "../../src/loss/heads.ts";
import type { CaseSettings } from "./engine_cases.ts";

/** Sizes at the ends of their ranges. */
export interface CornerCase {
  readonly inputDim: number;
  readonly hiddenDim: number;
  readonly outputs: number;
  readonly batchSize: number;
  /** Rows of the twentieth batch. */
  readonly lastBatch: number;
  /**
   * A seed for each head whose data keep every hidden unit clear of its kink in all twenty steps, with half as much to
   * spare. Found by counting up from 1; a test that finds one stale names the next.
   */
  readonly seeds: Readonly<Record<LossHeadName, number>>;
}

/** The corners, the largest first. */
export const CORNER_CASES: readonly CornerCase[] = [
  {
    inputDim: 1100,
    hiddenDim: 300,
    outputs: 12,
    batchSize: 130,
    lastBatch: 41,
    seeds: { policy_gain: 43, soft_target: 1, masked_regression: 48, ppo_actor: 99 },
  },
  {
    inputDim: 768,
    hiddenDim: 256,
    outputs: 4,
    batchSize: 32,
    lastBatch: 32,
    seeds: { policy_gain: 12, soft_target: 14, masked_regression: 2, ppo_actor: 8 },
  },
  {
    inputDim: 768,
    hiddenDim: 256,
    outputs: 4,
    batchSize: 1,
    lastBatch: 1,
    seeds: { policy_gain: 1, soft_target: 1, masked_regression: 2, ppo_actor: 1 },
  },
  {
    inputDim: 1,
    hiddenDim: 2,
    outputs: 1,
    batchSize: 130,
    lastBatch: 1,
    seeds: { policy_gain: 1, soft_target: 1, masked_regression: 1, ppo_actor: 1 },
  },
  {
    inputDim: 1100,
    hiddenDim: 0,
    outputs: 12,
    batchSize: 130,
    lastBatch: 129,
    seeds: { policy_gain: 1, soft_target: 1, masked_regression: 1, ppo_actor: 1 },
  },
];

/** What a corner case is made from, or its first steps, of which the last is as short as the twentieth of all would be. */
export function cornerSettings(corner: CornerCase, head: LossHeadName, steps = 20): CaseSettings {
  const { inputDim, hiddenDim, outputs, batchSize, lastBatch, seeds } = corner;
  return {
    shape: { inputDim, hiddenDim, outputs, inputScale: defaultInputScale(inputDim) },
    seed: seeds[head],
    batchSize,
    visits: 19 * batchSize + lastBatch,
    taken: (steps - 1) * batchSize + lastBatch,
    head,
  };
}

/** Its sizes in words. */
export function describeCorner({ inputDim, hiddenDim, outputs, batchSize, lastBatch }: CornerCase): string {
  const last = lastBatch === batchSize ? "" : `, the last of ${lastBatch}`;
  return `a network ${inputDim}-${hiddenDim}-${outputs} and batches of ${batchSize}${last}`;
}
