import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { type Action, actionFromJson, actionToJson } from "../../src/trace/action.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { arbitraryTraceJson, HOSTILE, readsOrRefuses } from "./traces.ts";

const NOW = "2026-01-01T00:00:00.000Z";

function action(actionType: string, logProb: number): Action {
  return { actionType, parameters: {}, logProb, timestamp: NOW, metadata: {} };
}

/** Asserts an RlcfError of kind usage whose message matches. */
function refuses(work: () => unknown, message: RegExp): void {
  assert.throws(work, (thrown) => {
    assert.ok(thrown instanceof RlcfError && thrown.code === "usage", String(thrown));
    assert.match(thrown.message, message);
    return true;
  });
}

Deno.test("the specification's example is recorded as it is written there", () => {
  const embedding = Array.from({ length: 768 }, (_, i) => i / 1024);
  const trace = new ExecutionTrace({ queryId: "query_001" })
    .addExpertSelection({
      expertType: "literal",
      weight: 0.7,
      logProb: -0.357,
      metadata: { query_embedding: embedding, source: "gating_policy" },
    })
    .addGraphTraversal({
      relationType: "RIFERIMENTO",
      weight: 0.8,
      logProb: -0.223,
      sourceNode: "urn:norma:cc:art1337",
    });
  const json = trace.toJSON();
  assert.equal(json.query_id, "query_001");
  assert.equal(json.total_log_prob, -0.357 + -0.223);
  assert.equal(json.reward, null);
  assert.deepEqual(json.actions.map(({ action_type, parameters, log_prob }) => [action_type, parameters, log_prob]), [
    ["expert_selection", { expert_type: "literal", weight: 0.7 }, -0.357],
    ["graph_traversal", {
      relation_type: "RIFERIMENTO",
      weight: 0.8,
      source_node: "urn:norma:cc:art1337",
    }, -0.223],
  ]);
  assert.deepEqual(json.actions[0]!.metadata, { query_embedding: embedding, source: "gating_policy" });
  assert.deepEqual(Object.keys(json.actions[0]!), ["action_type", "parameters", "log_prob", "timestamp", "metadata"]);
});

Deno.test("a new trace has no actions, no reward and the present time", () => {
  const before = new Date().toISOString();
  const trace = new ExecutionTrace({ queryId: "q" });
  assert.equal(trace.numActions, 0);
  assert.equal(trace.totalLogProb, 0);
  assert.equal(trace.averageLogProb, 0);
  assert.equal(trace.reward, null);
  assert.equal(trace.hasReward, false);
  assert.deepEqual(trace.metadata, {});
  assert.ok(trace.createdAt >= before && trace.createdAt <= new Date().toISOString());
});

Deno.test("actions are kept in order and their log probabilities summed", () => {
  const trace = new ExecutionTrace({ queryId: "q" });
  for (const logProb of [-0.5, -0.3, -0.2]) trace.addAction(action("tool_use", logProb));
  assert.deepEqual(trace.actions.map(({ logProb }) => logProb), [-0.5, -0.3, -0.2]);
  assert.equal(trace.totalLogProb, -0.5 + -0.3 + -0.2);
  assert.equal(trace.averageLogProb, trace.totalLogProb / 3);
});

Deno.test("a thousand actions sum as they should", () => {
  const trace = new ExecutionTrace({ queryId: "q" });
  for (let i = 0; i < 1000; i++) trace.addAction(action("tool_use", -0.001));
  assert.equal(trace.numActions, 1000);
  assert.ok(Math.abs(trace.totalLogProb + 1) < 1e-9);
});

Deno.test("every adder records its parameters under the specification's names", () => {
  const trace = new ExecutionTrace({ queryId: "q" })
    .addExpertSelection({ expertType: "systemic", weight: 0.4, logProb: -0.9, metadata: { source: "gating_policy" } })
    .addGraphTraversal({ relationType: "MODIFICA", weight: 0.2, logProb: -1.6, targetNode: "urn:b" })
    .addToolUse({ toolName: "search", parameters: { query: "art. 1337" }, logProb: -0.1 })
    .addPromptAction({ expertType: "literal", promptVersion: "v2", modulationVector: [0.1, 0.2], logProb: 0 });
  assert.deepEqual(trace.actions.map(({ actionType, parameters }) => [actionType, parameters]), [
    ["expert_selection", { expert_type: "systemic", weight: 0.4 }],
    ["graph_traversal", { relation_type: "MODIFICA", weight: 0.2, source_node: null, target_node: "urn:b" }],
    ["tool_use", { tool_name: "search", tool_parameters: { query: "art. 1337" } }],
    ["prompt_generation", { expert_type: "literal", prompt_version: "v2", modulation_vector: [0.1, 0.2] }],
  ]);
  assert.deepEqual(trace.actions.map(({ metadata }) => metadata), [{ source: "gating_policy" }, {}, {}, {}]);
});

Deno.test("actions are found by type, of which an unknown one has none", () => {
  const trace = new ExecutionTrace({ queryId: "q" });
  for (const type of ["a", "b", "a", "c"]) trace.addAction(action(type, -1));
  assert.deepEqual(["a", "b", "c", "d"].map((type) => trace.actionsOfType(type).length), [2, 1, 1, 0]);
});

Deno.test("a reward of 0 counts as set, and a negative one is accepted", () => {
  const trace = new ExecutionTrace({ queryId: "q" }).setReward(0);
  assert.equal(trace.hasReward, true);
  assert.equal(trace.setReward(-0.4).reward, -0.4);
});

Deno.test("the summary counts the actions of every type, whatever its name", () => {
  const trace = new ExecutionTrace({ queryId: "q", createdAt: NOW }).setReward(0.85);
  for (const type of ["expert_selection", "tool_use", "tool_use", "__proto__", "toString"]) {
    trace.addAction(action(type, -0.25));
  }
  const { action_types, ...rest } = trace.summary();
  assert.deepEqual(Object.entries(action_types), [
    ["expert_selection", 1],
    ["tool_use", 2],
    ["__proto__", 1],
    ["toString", 1],
  ]);
  assert.deepEqual(rest, {
    query_id: "q",
    num_actions: 5,
    total_log_prob: -1.25,
    average_log_prob: -0.25,
    has_reward: true,
    reward: 0.85,
    created_at: NOW,
  });
});

Deno.test("any trace is the same after being written as JSON and read again", () => {
  fc.assert(
    fc.property(arbitraryTraceJson, (json) => {
      const written = ExecutionTrace.fromJSON(json).toJSON();
      assert.deepEqual(written, json);
      assert.deepEqual(ExecutionTrace.fromJSON(JSON.parse(JSON.stringify(written))).toJSON(), json);
    }),
    { seed: 1, numRuns: 300 },
  );
});

Deno.test("any action is the same after being written as JSON and read again", () => {
  fc.assert(
    fc.property(arbitraryTraceJson.filter(({ actions }) => actions.length > 0), ({ actions }) => {
      assert.deepEqual(actionToJson(actionFromJson(actions[0], "action", NOW)), actions[0]);
    }),
    { seed: 2, numRuns: 100 },
  );
});

Deno.test("a trace is read from its query id alone", () => {
  const trace = ExecutionTrace.fromJSON({ query_id: "q" });
  assert.equal(trace.numActions, 0);
  assert.equal(trace.reward, null);
  assert.deepEqual(trace.metadata, {});
  assert.deepEqual(
    ExecutionTrace.fromJSON({ query_id: "q", metadata: null, reward: null, created_at: null }).metadata,
    {},
  );
});

Deno.test("an action without time and metadata takes the trace's time and no metadata", () => {
  const trace = ExecutionTrace.fromJSON({
    query_id: "q",
    created_at: "2026-01-01T00:00:00",
    actions: [{ action_type: "tool_use", parameters: {}, log_prob: -1 }],
  });
  assert.equal(trace.actions[0]!.timestamp, NOW);
  assert.deepEqual(trace.actions[0]!.metadata, {});
});

Deno.test("a stored total that is not the sum is not believed", () => {
  const json = { query_id: "q", total_log_prob: -99, actions: [actionToJson(action("tool_use", -0.5))] };
  assert.equal(ExecutionTrace.fromJSON(json).totalLogProb, -0.5);
});

Deno.test("the JSON shares nothing with the trace, and the trace nothing with what it was made from", () => {
  const metadata = { nested: { list: [1, 2] } };
  const trace = new ExecutionTrace({ queryId: "q", metadata }).addToolUse({
    toolName: "t",
    parameters: metadata,
    logProb: 0,
    metadata,
  });
  const before = JSON.stringify(trace);
  metadata.nested.list.push(3);
  const json = trace.toJSON() as unknown as {
    metadata: typeof metadata;
    actions: { metadata: typeof metadata; parameters: { tool_parameters: typeof metadata } }[];
  };
  json.metadata.nested.list.push(4);
  json.actions[0]!.metadata.nested.list.push(5);
  json.actions[0]!.parameters.tool_parameters.nested.list.push(6);
  json.actions.length = 0;
  assert.equal(JSON.stringify(trace), before);
});

Deno.test("a float array in the metadata becomes a list of numbers", () => {
  const trace = new ExecutionTrace({ queryId: "q" }).addExpertSelection({
    expertType: "literal",
    weight: 1,
    logProb: 0,
    metadata: { query_embedding: Float32Array.of(0.5, 0.25) },
  });
  assert.deepEqual(trace.actions[0]!.metadata, { query_embedding: [0.5, 0.25] });
});

Deno.test("a log probability is a finite number of at most 0", () => {
  for (const logProb of [0.001, NaN, -Infinity, Infinity, "-1", null]) {
    const json = { query_id: "q", actions: [{ action_type: "tool_use", parameters: {}, log_prob: logProb }] };
    refuses(
      () => ExecutionTrace.fromJSON(json),
      /^trace\.actions\[0\]\.log_prob: found .*, wanted a finite number of at most 0$/,
    );
    const trace = new ExecutionTrace({ queryId: "q" });
    refuses(() => trace.addToolUse({ toolName: "t", logProb: logProb as number }), /log_prob/);
    assert.equal(trace.numActions, 0);
  }
});

Deno.test("what is missing or of the wrong kind is named with its place", () => {
  const read = (json: unknown) => () => ExecutionTrace.fromJSON(json);
  refuses(read(null), /^trace: found null, wanted an object$/);
  refuses(read({}), /^trace\.query_id: found nothing, wanted a text$/);
  refuses(read({ query_id: "a\0b" }), /^trace\.query_id: .*without NUL$/);
  refuses(read({ query_id: "q".repeat(256) }), /^trace\.query_id: .*at most 255/);
  refuses(read({ query_id: "q", actions: {} }), /^trace\.actions: found an object, wanted an array$/);
  refuses(read({ query_id: "q", actions: [5] }), /^trace\.actions\[0\]: found 5, wanted an object$/);
  refuses(read({ query_id: "q", actions: [{}] }), /^trace\.actions\[0\]\.action_type: found nothing/);
  refuses(read({ query_id: "q", actions: [{ action_type: "x" }] }), /^trace\.actions\[0\]\.parameters: found nothing/);
  refuses(read({ query_id: "q", metadata: [] }), /^trace\.metadata: found an array of 0/);
  refuses(read({ query_id: "q", reward: "1" }), /^trace\.reward: found the text "1", wanted a finite number$/);
  refuses(read({ query_id: "q", created_at: "soon" }), /^trace\.created_at: found the text "soon"/);
});

Deno.test("a weight is a finite number of at least 0", () => {
  for (const weight of [-0.1, NaN, Infinity]) {
    const trace = new ExecutionTrace({ queryId: "q" });
    refuses(() => trace.addExpertSelection({ expertType: "literal", weight, logProb: 0 }), /parameters\.weight: found/);
    refuses(() => trace.addGraphTraversal({ relationType: "CITA", weight, logProb: 0 }), /parameters\.weight: found/);
    assert.equal(trace.numActions, 0);
  }
});

Deno.test("JSON that holds itself, or nests too deep for the stack, is refused", () => {
  const loop: Record<string, unknown> = {};
  loop.self = loop;
  refuses(() => new ExecutionTrace({ queryId: "q", metadata: loop }), /nested/);
  const deep = JSON.parse('{"a":'.repeat(100_000) + "1" + "}".repeat(100_000));
  refuses(() => ExecutionTrace.fromJSON({ query_id: "q", metadata: deep }), /at most 64 levels/);
});

Deno.test("a key named __proto__ stays a key", () => {
  const json = JSON.parse('{"query_id": "q", "metadata": {"__proto__": {"source": "x"}}}');
  const trace = ExecutionTrace.fromJSON(json);
  assert.equal(trace.metadata.source, undefined);
  assert.equal(JSON.stringify(trace.toJSON().metadata), '{"__proto__":{"source":"x"}}');
});

Deno.test("hostile values anywhere in a trace are read or refused, never a crash", () => {
  const valid = { query_id: "q", actions: [], metadata: {}, reward: 0.5, created_at: NOW, total_log_prob: 0 };
  const validAction = actionToJson(action("expert_selection", -1));
  for (const value of HOSTILE) {
    readsOrRefuses(() => ExecutionTrace.fromJSON(value));
    for (const key of Object.keys(valid)) readsOrRefuses(() => ExecutionTrace.fromJSON({ ...valid, [key]: value }));
    for (const key of Object.keys(validAction)) {
      readsOrRefuses(() => ExecutionTrace.fromJSON({ ...valid, actions: [{ ...validAction, [key]: value }] }));
      readsOrRefuses(() =>
        new ExecutionTrace({ queryId: "q" }).addAction({ ...action("x", -1), [key]: value } as unknown as Action)
      );
    }
  }
});

Deno.test("any value at all is read or refused, never a crash", () => {
  fc.assert(
    fc.property(fc.anything(), (value) => readsOrRefuses(() => ExecutionTrace.fromJSON(value))),
    { seed: 3, numRuns: 500 },
  );
});
