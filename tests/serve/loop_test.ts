/**
 * The loop as a service in another language runs it: route, answer, trace, feedback; each of them sent twice as well.
 *
 * @module
 */
import assert from "node:assert/strict";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import { findStoredPolicy, openPolicy } from "../../src/session/open_policy.ts";
import { testOnEachEmpty } from "../store/databases.ts";
import { embedding, EXPERTS, query, Served, traceJson } from "./support.ts";

const JUDGED = { retrieval_feedback: { precision: 0.8 }, synthesis_feedback: { clarity: 0.6 } };

/** The served version, opened by hand. */
async function opened(served: Served): Promise<GatingPolicy> {
  return await openPolicy((await findStoredPolicy(served.store, served.root, "gating")).saved, "cpu");
}

testOnEachEmpty("a routed query takes feedback by its trace_id and is a training pair then", async ({ url }) => {
  await using served = await Served.start(url);
  const routed = await served.post("/v1/route", query(3, { query_text: "Cos'è la legittima difesa?", epsilon: 0.2 }));
  assert.equal(routed.status, 200);
  const { weights, log_probs, drawn, trace_id, policy_version } = routed.body;
  assert.deepEqual([policy_version, Object.keys(weights)], ["v1.0.1", EXPERTS]);
  await using policy = await opened(served);
  const { weights: wanted, logProbs } = await policy.forward([embedding(3)]);
  assert.deepEqual([Object.values(weights), Object.values(log_probs)], [Array.from(wanted), Array.from(logProbs)]);
  const propensity = 0.8 * weights[drawn.expert] + 0.2 / 4;
  assert.ok(Math.abs(drawn.weight - propensity) < 1e-6 && Math.abs(drawn.log_prob - Math.log(propensity)) < 1e-6);

  const record = { trace_id, feedback: JUDGED, user_id: "avv_017", user_authority: 0.8, source: "visualex" };
  const judged = await served.post("/v1/feedback", record);
  assert.deepEqual([judged.status, judged.body.status, judged.body.trace_id], [201, "stored", trace_id]);
  const [pair, ...others] = await served.store.getTrainingData({ policyVersion: "v1.0.1" });
  assert.deepEqual(others, []);
  assert.equal(pair!.traceId, trace_id);
  assert.equal(pair!.userAuthority, 0.8);
  assert.equal(pair!.feedback.queryId, "q-3");
  const [action] = pair!.trace.actions;
  assert.deepEqual(action!.parameters, { expert_type: drawn.expert, weight: drawn.weight });
  assert.equal(action!.logProb, drawn.log_prob);
  assert.deepEqual(action!.metadata.query_embedding, embedding(3));
  assert.equal((await served.store.getTrainingStats()).log_kinds.sampled, 1);
  assert.equal((await served.store.getQueryTexts(["q-3"])).get("q-3"), "Cos'è la legittima difesa?");

  const again = await served.post("/v1/feedback", record);
  assert.deepEqual([again.status, again.body], [200, { ...judged.body, status: "duplicate" }]);
  assert.equal((await served.store.getFeedbackForTrace(trace_id)).length, 1);
});

testOnEachEmpty(
  "a trace that was returned is completed by the service, stored under its id, and judged",
  async ({ url }) => {
    await using served = await Served.start(url);
    const { body: routed } = await served.post("/v1/route", query(1, { trace: "return", seed: 7 }));
    assert.equal((await served.store.getTrainingStats()).total_traces, 0);
    const { record } = routed;
    assert.equal(record.trace_id, routed.trace_id);
    record.trace.actions.push({ action_type: "tool_use", parameters: { tool_name: "search" }, log_prob: -0.1 });
    const stored = await served.post("/v1/traces", record);
    assert.deepEqual([stored.status, stored.body], [201, { status: "stored", trace_id: routed.trace_id }]);
    assert.deepEqual((await served.post("/v1/traces", record)).body, {
      status: "duplicate",
      trace_id: routed.trace_id,
    });
    const { status } = await served.post("/v1/feedback", {
      trace_id: routed.trace_id,
      feedback: { overall_rating: 1 },
    });
    assert.equal(status, 201);
    const [pair] = await served.store.getTrainingData({ policyVersion: "v1.0.1" });
    assert.equal(pair!.trace.numActions, 2);
  },
);

testOnEachEmpty("without a draw the trace is the mixture of all experts", async ({ url }) => {
  await using served = await Served.start(url);
  const { body } = await served.post("/v1/route", query(2, { draw: false }));
  assert.equal(body.drawn, null);
  const trace = await served.store.getTrace(body.trace_id);
  const weights = trace!.actions.map(({ parameters }) => [parameters.expert_type, parameters.weight]);
  assert.deepEqual(Object.fromEntries(weights), body.weights);
  assert.equal((await served.store.getTrainingStats()).log_kinds.soft, 1);
});

testOnEachEmpty(
  "a request with a trace_id is answered alike when it is sent again, and refused for another query",
  async ({ url }) => {
    await using served = await Served.start(url);
    const trace_id = "0F8FAD5B-D9CB-469F-A165-70867728950E";
    const first = await served.post("/v1/route", query(4, { trace_id }));
    assert.deepEqual((await served.post("/v1/route", query(4, { trace_id }))).body, first.body);
    assert.equal(first.body.trace_id, trace_id.toLowerCase());
    const other = await served.post("/v1/route", query(5, { trace_id }));
    assert.deepEqual([other.status, other.body.error.code, other.body.error.field], [409, "id_taken", "trace_id"]);
    // Another version may draw another expert: it must not be told as what is stored.
    await served.add(2);
    await served.refresh();
    assert.equal((await served.post("/v1/route", query(4, { trace_id }))).status, 409);
    assert.equal((await served.store.getTrainingStats()).total_traces, 1);
  },
);

testOnEachEmpty("chosen ids that are taken by something else are refused, and nothing changes", async ({ url }) => {
  await using served = await Served.start(url, { first: null });
  const trace_id = crypto.randomUUID();
  const feedback_id = crypto.randomUUID();
  assert.equal((await served.post("/v1/traces", { trace_id, trace: traceJson("a") })).status, 201);
  assert.equal((await served.post("/v1/traces", { trace_id, trace: traceJson("a") })).status, 200);
  // The same query, so that only the trace itself says that it is another one.
  const other = { trace_id, trace: traceJson("a", -0.7), feedback: { overall_rating: 1 } };
  const refused = await served.post("/v1/traces", other);
  assert.deepEqual([refused.status, refused.body.error.field], [409, "trace_id"]);
  assert.equal((await served.store.getTrainingStats()).total_feedback, 0);
  const judged = { trace_id, feedback_id, feedback: { overall_rating: 0.5 } };
  assert.equal((await served.post("/v1/feedback", judged)).status, 201);
  assert.equal((await served.post("/v1/feedback", judged)).status, 200);
  const changed = await served.post("/v1/feedback", { ...judged, feedback: { overall_rating: 0.6 } });
  assert.deepEqual([changed.status, changed.body.error.field], [409, "feedback_id"]);
});

testOnEachEmpty("of many records a bad one is refused alone, in its place", async ({ url }) => {
  await using served = await Served.start(url);
  const { body: traces } = await served.post("/v1/traces", {
    records: [
      { trace: traceJson("a") },
      { trace: traceJson("b", 0.5) },
      { trace: traceJson("c"), feedback: { overall_rating: 0.9 }, user_id: "u" },
      { trace: traceJson("a") },
      { trace: traceJson("d"), surprise: 1 },
    ],
  });
  assert.deepEqual([traces.stored, traces.duplicates, traces.rejected], [2, 1, 2]);
  assert.equal(traces.results[1].error.field, "records[1].trace.actions[0].log_prob");
  assert.equal(traces.results[4].error.field, "records[4].surprise");
  assert.equal(traces.results[2].feedback.status, "stored");
  const [a, c] = [traces.results[0].trace_id, traces.results[2].trace_id];
  const { body: feedback } = await served.post("/v1/feedback", {
    records: [
      { trace_id: a, feedback: { overall_rating: 0.9 } },
      { trace_id: crypto.randomUUID(), feedback: { overall_rating: 0.9 } },
      { trace_id: a, feedback: { query_id: "c", overall_rating: 0.9 } },
      { trace_id: a, feedback: {} },
      { trace_id: c, feedback: { overall_rating: 0.9 }, user_id: "u" },
    ],
  });
  // The last came with its trace before: the same content has the same key, whichever way it came.
  assert.deepEqual(feedback.results.map((result: { status: string }) => result.status), [
    "stored",
    "rejected",
    "rejected",
    "rejected",
    "duplicate",
  ]);
  assert.equal(feedback.results[1].error.code, "unknown_trace");
  const { body: routes } = await served.post("/v1/route", {
    queries: [query(1), { ...query(2), query_embedding: [1] }, query(3, { seed: -1 }), query(4, { trace: "none" })],
  });
  assert.deepEqual([routes.routed, routes.rejected], [2, 2]);
  assert.equal(routes.routes[1].error.field, "queries[1].query_embedding");
  assert.equal(routes.routes[2].error.field, "queries[2].seed");
  assert.equal(routes.routes[3].trace_id, null);
  const stats = await served.store.getTrainingStats();
  assert.deepEqual([stats.total_traces, stats.total_feedback, stats.traces_with_feedback], [3, 2, 2]);
});

Deno.test("the seed draws what GatingPolicy.sample draws, also among many", async () => {
  await using served = await Served.start(":memory:");
  await using policy = await opened(served);
  const options = Array.from({ length: 30 }, (_, seed) => ({ seed, temperature: 0.5 + seed / 10, epsilon: seed / 60 }));
  const { body } = await served.post("/v1/route", { queries: options.map((option, i) => query(i, option)) });
  for (const [i, option] of options.entries()) {
    const { expert, weight, logProb } = await policy.sample(embedding(i), option);
    const { drawn } = body.routes[i];
    assert.equal(drawn.expert, expert);
    assert.ok(Math.abs(drawn.weight - weight) < 1e-6 && Math.abs(drawn.log_prob - logProb) < 1e-6);
  }
});
