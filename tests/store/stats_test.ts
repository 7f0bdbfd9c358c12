import assert from "node:assert/strict";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { testOnEach } from "./databases.ts";
import { rating, sampledTrace, softTrace } from "./records.ts";

testOnEach("an empty store has counts of zero and no mean score", async ({ store }) => {
  assert.deepEqual(await store.getTrainingStats(), {
    total_traces: 0,
    traces_with_feedback: 0,
    total_feedback: 0,
    avg_score: null,
    policy_version: null,
    log_kinds: { sampled: 0, soft: 0, none: 0 },
  });
});

testOnEach("all counts and the mean are filtered by the version that was asked for", async ({ store }) => {
  const [a, b, c] = await store.saveTraces([
    [sampledTrace("q1"), { policyVersion: "v1" }],
    [softTrace("q2"), { policyVersion: "v1" }],
    [softTrace("q3"), { policyVersion: "v2" }],
    [new ExecutionTrace({ queryId: "q4" })],
  ]);
  await store.saveFeedback(a!, rating("q1", 1));
  await store.saveFeedback(a!, rating("q1", 0.5));
  await store.saveFeedback(b!, rating("q2", 0));
  await store.saveFeedback(c!, rating("q3", 0.25));
  assert.deepEqual(await store.getTrainingStats(), {
    total_traces: 4,
    traces_with_feedback: 3,
    total_feedback: 4,
    avg_score: 0.4375,
    policy_version: null,
    log_kinds: { sampled: 1, soft: 2, none: 1 },
  });
  assert.deepEqual(await store.getTrainingStats("v1"), {
    total_traces: 2,
    traces_with_feedback: 2,
    total_feedback: 3,
    avg_score: 0.5,
    policy_version: "v1",
    log_kinds: { sampled: 1, soft: 1, none: 0 },
  });
  assert.deepEqual(await store.getTrainingStats("v9"), {
    total_traces: 0,
    traces_with_feedback: 0,
    total_feedback: 0,
    avg_score: null,
    policy_version: "v9",
    log_kinds: { sampled: 0, soft: 0, none: 0 },
  });
});
