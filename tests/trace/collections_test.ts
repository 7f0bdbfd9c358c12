import assert from "node:assert/strict";
import { computeBaseline, computeReturns, mergeTraces } from "../../src/trace/collections.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";

function trace(queryId: string, actions: number, reward?: number): ExecutionTrace {
  const made = new ExecutionTrace({ queryId });
  for (let i = 0; i < actions; i++) made.addToolUse({ toolName: `${queryId}${i}`, logProb: -0.25 });
  return reward === undefined ? made : made.setReward(reward);
}

Deno.test("merging nothing gives an empty trace of its own name", () => {
  const merged = mergeTraces([]);
  assert.equal(merged.queryId, "merged_empty");
  assert.equal(merged.numActions, 0);
  assert.equal(merged.reward, null);
});

Deno.test("merging one trace keeps its id, actions and reward", () => {
  const merged = mergeTraces([trace("a", 1, 0.8)]);
  assert.equal(merged.queryId, "a");
  assert.equal(merged.numActions, 1);
  assert.equal(merged.reward, 0.8);
  assert.deepEqual(merged.metadata, { merged_from: 1 });
});

Deno.test("merging several keeps the first id, every action in order, and the mean of the rewards that are set", () => {
  const merged = mergeTraces([trace("a", 2, 0.5), trace("b", 1), trace("c", 1, 1)]);
  assert.equal(merged.queryId, "a");
  assert.deepEqual(merged.actions.map(({ parameters }) => parameters.tool_name), ["a0", "a1", "b0", "c0"]);
  assert.equal(merged.totalLogProb, -1);
  assert.equal(merged.reward, 0.75);
  assert.deepEqual(merged.metadata, { merged_from: 3 });
});

Deno.test("merging traces without rewards gives no reward", () => {
  assert.equal(mergeTraces([trace("a", 1), trace("b", 1)]).reward, null);
});

Deno.test("returns are discounted rewards, and a missing reward counts 0", () => {
  const traces = [trace("a", 1, 0.5), trace("b", 1), trace("c", 1, 1)];
  assert.deepEqual(computeReturns(traces), [0.5, 0, 1]);
  assert.deepEqual(computeReturns(traces, 0.5), [0.25, 0, 0.5]);
  assert.deepEqual(computeReturns([]), []);
});

Deno.test("the baseline is the mean or the median of the rewards that are set", () => {
  const odd = [trace("a", 0, 0.9), trace("b", 0, 0.1), trace("c", 0), trace("d", 0, 0.2)];
  assert.ok(Math.abs(computeBaseline(odd) - 0.4) < 1e-15);
  assert.equal(computeBaseline(odd, "median"), 0.2);
  assert.ok(Math.abs(computeBaseline([...odd, trace("e", 0, 0.4)], "median") - 0.3) < 1e-15);
});

Deno.test("the baseline of nothing is 0", () => {
  assert.equal(computeBaseline([]), 0);
  assert.equal(computeBaseline([trace("a", 1)], "median"), 0);
});
