/**
 * Small computations over several traces.
 *
 * @module
 */
import { ExecutionTrace } from "./execution_trace.ts";

/**
 * One trace with the actions of all, in order. Takes the first query id (`merged_empty` if there is no trace); its
 * reward is the mean of the rewards that are set.
 */
export function mergeTraces(traces: readonly ExecutionTrace[]): ExecutionTrace {
  const merged = new ExecutionTrace({
    queryId: traces[0]?.queryId ?? "merged_empty",
    metadata: traces.length === 0 ? {} : { merged_from: traces.length },
  });
  for (const trace of traces) for (const action of trace.actions) merged.addAction(action);
  const rewards = rewardsOf(traces);
  if (rewards.length > 0) merged.setReward(mean(rewards));
  return merged;
}

/** `gamma * reward` of each trace; a trace without a reward counts 0. */
export function computeReturns(traces: readonly ExecutionTrace[], gamma = 1): number[] {
  return traces.map((trace) => gamma * (trace.reward ?? 0));
}

/** Mean or median of the rewards that are set; 0 if none is. */
export function computeBaseline(traces: readonly ExecutionTrace[], method: "mean" | "median" = "mean"): number {
  const rewards = rewardsOf(traces);
  if (rewards.length === 0) return 0;
  if (method === "mean") return mean(rewards);
  const sorted = rewards.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function rewardsOf(traces: readonly ExecutionTrace[]): number[] {
  return traces.map((trace) => trace.reward).filter((reward) => reward !== null);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
