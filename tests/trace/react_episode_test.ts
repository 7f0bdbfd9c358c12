import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { reactEpisode, type ReActStep } from "../../src/trace/react_episode.ts";

const STEP: ReActStep = { state: [0.5, -0.25], action: "read_article", logProb: -1.5, value: 0.25 };

function traced(metadata: Record<string, unknown>): ExecutionTrace {
  return ExecutionTrace.fromJSON({
    query_id: "q1",
    actions: [{ action_type: "tool_use", parameters: { tool_name: "search" }, log_prob: -0.5, metadata }],
  });
}

Deno.test("steps are read back as they were logged, in order", () => {
  const trace = new ExecutionTrace({ queryId: "q1" })
    .addReActStep({ ...STEP, action: "search_knowledge_graph", reward: -0.125, arguments: { query: "art. 52" } })
    .addReActStep({ ...STEP, state: Float32Array.of(1, 2), done: true, metadata: { tokens: 40 } });
  const { steps, states } = reactEpisode(trace);
  assert.deepEqual(steps, [
    { action: "search_knowledge_graph", logProb: -1.5, value: 0.25, reward: -0.125, done: false },
    { action: "read_article", logProb: -1.5, value: 0.25, reward: null, done: true },
  ]);
  assert.deepEqual(states, Float32Array.of(0.5, -0.25, 1, 2));
  assert.equal(trace.totalLogProb, -3);
  assert.deepEqual(reactEpisode(ExecutionTrace.fromJSON(JSON.parse(JSON.stringify(trace)))), { steps, states });
});

Deno.test("the JSON of a step is the documented one", () => {
  const trace = new ExecutionTrace({ queryId: "q1" })
    .addReActStep({ ...STEP, reward: 0, done: true, arguments: { article: "52" }, metadata: { tokens: 40 } });
  const { timestamp: _, ...action } = trace.toJSON().actions[0]!;
  assert.deepEqual(action, {
    action_type: "react_step",
    parameters: { action: "read_article", arguments: { article: "52" } },
    log_prob: -1.5,
    metadata: { tokens: 40, react: { state: [0.5, -0.25], value: 0.25, reward: 0, done: true } },
  });
});

Deno.test("tools and traversals are steps where their metadata say so; the tool's name is the action", () => {
  const react = { state: [1, 2], value: 0.5 };
  const trace = new ExecutionTrace({ queryId: "q1" })
    .addExpertSelection({ expertType: "literal", weight: 1, logProb: 0, metadata: { source: "gating_policy" } })
    .addToolUse({ toolName: "read_article", logProb: -1, metadata: { react } })
    .addToolUse({ toolName: "clock", logProb: 0 })
    .addGraphTraversal({
      relationType: "MODIFICA",
      weight: 0.5,
      logProb: -2,
      metadata: { react: { ...react, action: "search_knowledge_graph" } },
    });
  const { steps, states } = reactEpisode(trace);
  assert.deepEqual(steps.map(({ action, logProb }) => [action, logProb]), [
    ["read_article", -1],
    ["search_knowledge_graph", -2],
  ]);
  assert.deepEqual(states, Float32Array.of(1, 2, 1, 2));
});

Deno.test("a trace without steps has no episode, and what is missing stays missing", () => {
  assert.deepEqual(reactEpisode(new ExecutionTrace({ queryId: "q1" })), { steps: [], states: null });
  const bare = { action: "search", logProb: -0.5, value: null, reward: null, done: false };
  assert.deepEqual(reactEpisode(traced({ react: {} })), { steps: [bare], states: null });
  assert.deepEqual(reactEpisode(traced({ react: null })), { steps: [], states: null });
  const step = { action_type: "react_step", parameters: {}, log_prob: -0.5 };
  const { steps } = reactEpisode(ExecutionTrace.fromJSON({ query_id: "q1", actions: [step] }));
  assert.deepEqual(steps, [{ ...bare, action: null }]);
});

Deno.test("states of different lengths make no episode's states", () => {
  const trace = new ExecutionTrace({ queryId: "q1" }).addReActStep(STEP).addReActStep({ ...STEP, state: [1] });
  assert.equal(reactEpisode(trace).states, null);
  assert.equal(reactEpisode(trace).steps.length, 2);
});

Deno.test("what is there and cannot be used is refused, naming the place", () => {
  const refused = (work: () => unknown, message: RegExp): void =>
    assert.throws(work, (error) => error instanceof RlcfError && error.code === "usage" && message.test(error.message));
  const add = (step: object) => (): unknown =>
    new ExecutionTrace({ queryId: "q1" }).addReActStep({ ...STEP, ...step } as ReActStep);
  refused(add({ state: [0.5, NaN] }), /state: entry 1: found NaN/);
  refused(add({ state: [] }), /at least one number/);
  refused(add({ state: undefined }), /react.state: found nothing, wanted an array/);
  refused(add({ value: undefined }), /react.value: found nothing, wanted a finite number/);
  refused(add({ value: 1e39 }), /value: found 1e\+39, wanted a finite float32 number/);
  refused(add({ reward: Infinity }), /reward: found Infinity/);
  refused(add({ action: "" }), /parameters.action/);
  refused(add({ logProb: 0.1 }), /log_prob: found 0.1/);
  refused(add({ metadata: { react: {} } }), /metadata.react: found an object, wanted nothing/);
  refused(() => reactEpisode(traced({ react: { done: 1 } })), /ReAct step 0 of query q1: done: found 1, wanted true/);
  refused(() => reactEpisode(traced({ react: { state: "x" } })), /state: found the text "x"/);
  refused(() => reactEpisode(traced({ react: [] })), /react: found an array of 0, wanted an object/);
});
