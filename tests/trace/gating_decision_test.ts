import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { embeddingOf, gatingDecision } from "../../src/trace/gating_decision.ts";
import { HOSTILE, readsOrRefuses, selections } from "./traces.ts";

/** Asserts an RlcfError whose message matches. */
function refuses(work: () => unknown, message: RegExp): void {
  assert.throws(work, (thrown) => thrown instanceof RlcfError && message.test(thrown.message));
}

Deno.test("one selection by the gating policy is a drawn expert with its propensity", () => {
  const { kind, weights, logProb, embedding } = gatingDecision(selections([["literal", 0.7]], { logProb: -0.357 }));
  assert.equal(kind, "sampled");
  assert.deepEqual({ ...weights }, { literal: 0.7 });
  assert.equal(logProb, -0.357);
  assert.deepEqual(embedding, Float32Array.of(1, 2));
});

Deno.test("several selections by the gating policy are a mixture of which nobody was drawn", () => {
  const { kind, weights, logProb } = gatingDecision(selections([["literal", 0.7], ["precedent", 0.3]]));
  assert.equal(kind, "soft");
  assert.deepEqual({ ...weights }, { literal: 0.7, precedent: 0.3 });
  assert.equal(logProb, null);
});

Deno.test("both names of the gating policy count as the gating policy", () => {
  assert.equal(gatingDecision(selections([["literal", 1]], { source: "neural_gating" })).kind, "sampled");
  assert.equal(gatingDecision(selections([["literal", 1]], { source: "gating_policy" })).kind, "sampled");
});

Deno.test("a selection by anyone else teaches nothing, and its embedding does not count", () => {
  for (const source of [undefined, "round_robin", "GATING_POLICY", null, ["gating_policy"]]) {
    const { kind, weights, logProb, embedding } = gatingDecision(selections([["literal", 1]], { source }));
    assert.deepEqual([kind, Object.keys(weights), logProb, embedding], ["none", [], null, null], String(source));
  }
});

Deno.test("other actions of the gating policy are no selections", () => {
  const trace = selections([["literal", 1]]).addToolUse({
    toolName: "t",
    logProb: -1,
    metadata: { source: "gating_policy", query_embedding: [9] },
  });
  assert.equal(gatingDecision(trace).kind, "sampled");
  assert.deepEqual(gatingDecision(trace).embedding, Float32Array.of(1, 2));
});

Deno.test("weights belong to the experts that are named, in whatever order they were logged", () => {
  const logged = [["literal", 0.4], ["systemic", 0.3], ["principles", 0.2], ["precedent", 0.1]] as const;
  const wanted = Object.fromEntries(logged);
  fc.assert(
    fc.property(fc.shuffledSubarray([...logged], { minLength: 4 }), (order) => {
      assert.deepEqual({ ...gatingDecision(selections(order)).weights }, wanted);
    }),
    { seed: 1 },
  );
});

Deno.test("the weights of an expert that is selected twice are added", () => {
  const { kind, weights } = gatingDecision(selections([["literal", 0.5], ["systemic", 0.25], ["literal", 0.25]]));
  assert.equal(kind, "soft");
  assert.deepEqual({ ...weights }, { literal: 0.75, systemic: 0.25 });
});

Deno.test("a selection that does not say its weight counts 0.25, and weights of 0 stay", () => {
  assert.deepEqual({ ...gatingDecision(selections([["literal"], ["systemic"]])).weights }, {
    literal: 0.25,
    systemic: 0.25,
  });
  assert.deepEqual({ ...gatingDecision(selections([["literal", 0], ["systemic", 0]])).weights }, {
    literal: 0,
    systemic: 0,
  });
});

Deno.test("experts may have the names of an object's own properties", () => {
  const { weights } = gatingDecision(selections([["__proto__", 0.5], ["toString", 0.25], ["constructor", 0.25]]));
  assert.deepEqual(Object.entries(weights), [["__proto__", 0.5], ["toString", 0.25], ["constructor", 0.25]]);
});

Deno.test("the embedding is the first one that a gating selection holds", () => {
  for (const at of [0, 1, 2]) {
    const trace = selections([["literal", 1], ["systemic", 1], ["precedent", 1]], { at, embedding: [at, 0.5] });
    assert.deepEqual(gatingDecision(trace).embedding, Float32Array.of(at, 0.5));
  }
});

Deno.test("the embedding of the trace counts where the selections hold none", () => {
  const json = selections([["literal", 1]], { at: -1 }).toJSON();
  const trace = ExecutionTrace.fromJSON({ ...json, metadata: { query_embedding: [3, 4] } });
  assert.deepEqual(gatingDecision(trace).embedding, Float32Array.of(3, 4));
  const both = ExecutionTrace.fromJSON({
    ...selections([["literal", 1]]).toJSON(),
    metadata: { query_embedding: [3, 4] },
  });
  assert.deepEqual(gatingDecision(both).embedding, Float32Array.of(1, 2));
});

Deno.test("an embedding of null is none", () => {
  assert.equal(gatingDecision(selections([["literal", 1]], { embedding: null })).embedding, null);
});

Deno.test("an embedding is a list of finite float32 numbers, of any length but 0", () => {
  const decide = (embedding: unknown) => () => gatingDecision(selections([["literal", 1]], { embedding }));
  assert.deepEqual(decide([7])().embedding, Float32Array.of(7));
  refuses(decide([]), /^query_embedding of query "q": found an array of 0, wanted/);
  refuses(decide("[1, 2]"), /^query_embedding of query "q": found the text/);
  refuses(decide({ 0: 1, length: 1 }), /^query_embedding of query "q": found an object/);
  refuses(decide([1, NaN]), /entry 1: found NaN/);
  refuses(decide([1, "2"]), /entry 1: found the text "2"/);
  refuses(decide([null]), /entry 0: found null/);
  refuses(decide([0, 1e300]), /entry 1: found 1e\+300, wanted a finite float32 number/);
});

Deno.test("an embedding is a copy", () => {
  const given = Float32Array.of(1, 2);
  embeddingOf(given, "here")[0] = 5;
  assert.deepEqual(given, Float32Array.of(1, 2));
});

Deno.test("an expert without a name and a weight that is no share are refused", () => {
  const decide = (parameters: Record<string, unknown>) => () => {
    const json = selections([["literal", 1]]).toJSON();
    return gatingDecision(ExecutionTrace.fromJSON({ ...json, actions: [{ ...json.actions[0], parameters }] }));
  };
  refuses(decide({}), /gating selection 0 of query "q": expert_type: found nothing, wanted the name of an expert/);
  refuses(decide({ expert_type: "" }), /expert_type: found the text ""/);
  refuses(decide({ expert_type: 3, weight: 1 }), /expert_type: found 3/);
  refuses(decide({ expert_type: "literal", weight: -0.1 }), /weight: found -0.1, wanted a finite number of at least 0/);
  refuses(decide({ expert_type: "literal", weight: "1" }), /weight: found the text "1"/);
});

Deno.test("hostile parameters and embeddings are read or refused, never a crash", () => {
  const json = selections([["literal", 1]]).toJSON();
  for (const value of HOSTILE) {
    for (const parameters of [{ expert_type: value, weight: 1 }, { expert_type: "literal", weight: value }]) {
      const actions = [{ ...json.actions[0], parameters }];
      readsOrRefuses(() => gatingDecision(ExecutionTrace.fromJSON({ ...json, actions })));
    }
    readsOrRefuses(() => gatingDecision(selections([["literal", 1]], { embedding: value })));
    readsOrRefuses(() => gatingDecision(selections([["literal", 1]], { source: value })));
  }
});
