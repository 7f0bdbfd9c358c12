import assert from "node:assert/strict";
import fc from "fast-check";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { testOnEach } from "./databases.ts";
import { rating, sampledTrace, softTrace, vector } from "./records.ts";
import { refusal } from "./refusals.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

testOnEach("a stored trace gets a UUID and is read back whole", async ({ store }) => {
  const trace = new ExecutionTrace({ queryId: "q1", metadata: { court: "Cassazione" }, createdAt: "2025-12-30T09:00Z" })
    .addExpertSelection({ expertType: "literal", weight: 0.6, logProb: -0.51, metadata: { source: "neural_gating" } })
    .addGraphTraversal({ relationType: "CITES", weight: 0.3, logProb: -1.2, sourceNode: "art_52" })
    .addToolUse({ toolName: "search", logProb: -0.1, parameters: { query: "legittima difesa" } })
    .setReward(0);
  const id = await store.saveTrace(trace, { policyVersion: "v1.0.0", queryText: "Cos'è?", expertType: "literal" });
  assert.match(id, UUID);
  assert.deepEqual((await store.getTrace(id))?.toJSON(), trace.toJSON());
});

testOnEach("an unknown id, or one that is no UUID, gives null", async ({ store }) => {
  assert.equal(await store.getTrace("00000000-0000-4000-8000-000000000000"), null);
  assert.equal(await store.getTrace("nonexistent-id"), null);
});

testOnEach("the columns hold what the specification says", async ({ store, query }) => {
  const id = await store.saveTrace(softTrace("q1"), { policyVersion: "v1.0.0", queryText: "testo" });
  const [row] = await query("select * from rlcf_traces");
  assert.equal(row?.id, id);
  assert.equal(row?.query_id, "q1");
  assert.equal(row?.query_text, "testo");
  assert.equal(row?.policy_version, "v1.0.0");
  assert.equal(row?.expert_type, null);
  assert.equal(row?.num_actions, 4);
  assert.equal(row?.total_log_prob, softTrace("q1").totalLogProb);
  assert.equal(row?.log_kind, "soft");
  assert.equal(row?.gating_log_prob, null);
});

testOnEach("the expert of a sampled trace is the drawn one unless another is named", async ({ store, query }) => {
  await store.saveTrace(sampledTrace("q1"));
  await store.saveTrace(sampledTrace("q2"), { expertType: "systemic" });
  const rows = await query("select expert_type, gating_log_prob from rlcf_traces order by query_id");
  assert.deepEqual(rows.map((row) => row.expert_type), ["literal", "systemic"]);
  assert.deepEqual(rows.map((row) => row.gating_log_prob), [-0.5, -0.5]);
});

testOnEach("the embedding is stored once, as little-endian float32, wherever the trace repeats it", async (on) => {
  const embedding = vector(768, -3);
  const trace = new ExecutionTrace({ queryId: "q1", metadata: { query_embedding: embedding } })
    .addExpertSelection({
      expertType: "literal",
      weight: 1,
      logProb: 0,
      metadata: { source: "gating_policy", query_embedding: embedding },
    })
    .addToolUse({ toolName: "search", logProb: -1, metadata: { query_embedding: embedding } });
  const id = await on.store.saveTrace(trace);
  const [row] = await on.query("select * from rlcf_traces");
  assert.ok(JSON.stringify([row?.actions, row?.metadata]).length < 1000, "no embedding in the JSON");
  const bytes = row?.query_embedding as Uint8Array;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert.deepEqual(embedding.map((_, i) => view.getFloat32(4 * i, true)), embedding);
  assert.deepEqual((await on.store.getTrace(id))?.toJSON(), trace.toJSON());
});

testOnEach("a different vector elsewhere stays as it is", async ({ store }) => {
  const trace = sampledTrace("q1").addToolUse({
    toolName: "search",
    logProb: -1,
    metadata: { query_embedding: [0.1, 0.2], nested: { query_embedding: vector(8) } },
  });
  assert.deepEqual((await store.getTrace(await store.saveTrace(trace)))?.toJSON(), trace.toJSON());
});

testOnEach("any trace is read back as it was stored", async ({ store }) => {
  await fc.assert(
    fc.asyncProperty(anyTrace(), async (trace) => {
      const id = await store.saveTrace(trace);
      assert.deepEqual((await store.getTrace(id))?.toJSON(), trace.toJSON());
    }),
    { numRuns: 60, seed: 20251230 },
  );
});

testOnEach("the traces that wait for feedback are listed newest first, as many as asked for", async ({ store }) => {
  const ids: string[] = [];
  for (const day of ["01", "02", "03"]) {
    ids.push(await store.saveTrace(sampledTrace(`q${day}`, `2025-12-${day}T00:00:00Z`)));
  }
  assert.deepEqual((await store.getTracesWithoutFeedback()).map(([id]) => id), ids.toReversed());
  assert.deepEqual((await store.getTracesWithoutFeedback(2)).map(([, { queryId }]) => queryId), ["q03", "q02"]);
  await store.saveFeedback(ids[1]!, rating("q02", 0.5));
  assert.deepEqual((await store.getTracesWithoutFeedback()).map(([id]) => id), [ids[2], ids[0]]);
});

testOnEach("many traces are stored at once and get their ids in order", async ({ store }) => {
  const traces = Array.from({ length: 250 }, (_, i) => sampledTrace(`q${i}`));
  const ids = await store.saveTraces(traces.map((trace) => [trace]));
  assert.equal(new Set(ids).size, 250);
  for (const i of [0, 99, 100, 249]) assert.equal((await store.getTrace(ids[i]!))?.queryId, `q${i}`);
  assert.deepEqual(await store.saveTraces([]), []);
});

testOnEach("of many traces none is stored if one cannot be", async ({ store }) => {
  const id = crypto.randomUUID();
  await assert.rejects(
    store.saveTraces([[sampledTrace("q1"), { id }], [sampledTrace("q2"), { id: "not-a-uuid" }]]),
    refusal("usage", /trace id: found the text "not-a-uuid", wanted a UUID/),
  );
  assert.equal(await store.getTrace(id), null);
});

testOnEach("storing the same id again changes nothing, in whatever case it is written", async ({ store }) => {
  const id = "AAAAAAAA-0000-4000-8000-00000000000A";
  assert.equal(await store.saveTrace(sampledTrace("first"), { id }), id.toLowerCase());
  assert.equal(await store.saveTrace(sampledTrace("second"), { id }), id.toLowerCase());
  assert.equal((await store.getTrace(id))?.queryId, "first");
  assert.equal((await store.getTrainingStats()).total_traces, 1);
});

testOnEach("what a database would lose or refuse is refused with its place", async ({ store }) => {
  const tool = (metadata: Record<string, unknown>): ExecutionTrace =>
    new ExecutionTrace({ queryId: "q" }).addToolUse({ toolName: "t", logProb: 0, metadata });
  const refusals: [ExecutionTrace, RegExp][] = [
    [tool({ a: [1, { b: NaN }] }), /trace\.actions\[0\]\.metadata\.a\[1\]\.b: found NaN, wanted a finite number/],
    [tool({ a: -Infinity }), /metadata\.a: found -Infinity/],
    [tool({ a: "x\0y" }), /metadata\.a: .*without NUL/],
    [tool({ "k\0": 1 }), /a key of .*without NUL/],
    [tool({ a: "\ud800" }), /metadata\.a: .*surrogate/],
    [tool({ a: 10n }), /metadata\.a: .*a JSON value/],
    [new ExecutionTrace({ queryId: "q", metadata: { query_embedding: [1, NaN] } }), /entry 1: found NaN/],
    [new ExecutionTrace({ queryId: "q\udc00" }), /trace\.query_id: .*surrogate/],
    [
      tool({}).addToolUse({ toolName: "t", logProb: -1e308 }).addToolUse({ toolName: "t", logProb: -1e308 }),
      /total_log_prob: found -Infinity/,
    ],
  ];
  for (const [trace, message] of refusals) await assert.rejects(store.saveTrace(trace), refusal("usage", message));
  await assert.rejects(
    store.saveTrace(sampledTrace("q"), { policyVersion: "v".repeat(51) }),
    refusal("usage", /policy_version: .*at most 50/),
  );
  await assert.rejects(store.saveTrace(sampledTrace("q"), { queryText: "a\0" }), refusal("usage", /query_text/));
  assert.equal((await store.getTrainingStats()).total_traces, 0);
});

testOnEach("the mark that stands for a stored embedding cannot be stored by a user", async ({ store }) => {
  const trace = sampledTrace("q").addToolUse({
    toolName: "t",
    logProb: 0,
    metadata: { query_embedding: { $column: "query_embedding" } },
  });
  await assert.rejects(store.saveTrace(trace), refusal("usage", /the mark of a stored embedding/));
});

testOnEach("damaged bytes of an embedding are reported, not returned", async ({ store, query }) => {
  const id = await store.saveTrace(sampledTrace("q1"));
  const damaged = store.dialect === "sqlite" ? "x'010203'" : "'\\x010203'::bytea";
  await query(`update rlcf_traces set query_embedding = ${damaged} returning id`);
  await assert.rejects(store.getTrace(id), refusal("database", /embedding is damaged, found 3 bytes/));
});

/** Traces with any Unicode, any nested JSON, and embeddings in any of the places where they may stand. */
function anyTrace(): fc.Arbitrary<ExecutionTrace> {
  const json = fc.jsonValue({ stringUnit: "grapheme", maxDepth: 3 })
    // What JSON itself cannot say: -0 and, in PostgreSQL, NUL.
    .map((value): unknown => JSON.parse(JSON.stringify(value).replaceAll("\\u0000", "")));
  const object = fc.dictionary(fc.string({ unit: "grapheme", maxLength: 8 }).map(withoutNul), json, { maxKeys: 4 });
  const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).map((text) => withoutNul(text) || "x");
  const logProb = fc.double({ min: -1e3, max: 0, noNaN: true }).map((value) => value === 0 ? 0 : value);
  const embedding = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 9 })
    .map((values) => values.map((value) => value === 0 ? 0 : value));
  const time = fc.date({ min: new Date("0001-01-02"), max: new Date("9999-12-30"), noInvalidDate: true })
    .map((date) => date.toISOString());
  return fc.record({
    queryId: name,
    createdAt: time,
    metadata: object,
    reward: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value === 0 ? 0 : value)),
    embeddings: fc.array(embedding, { minLength: 2, maxLength: 2 }),
    onTrace: fc.constantFrom(-1, 0, 1),
    actions: fc.array(
      fc.record({
        actionType: fc.oneof(fc.constantFrom("expert_selection", "graph_traversal", "tool_use"), name),
        expert: name,
        weight: fc.double({ min: 0, max: 1, noNaN: true }),
        logProb,
        parameters: object,
        timestamp: time,
        metadata: object,
        source: fc.constantFrom("gating_policy", "neural_gating", "manual"),
        place: fc.constantFrom(-1, 0, 1),
      }),
      { maxLength: 4 },
    ),
  }).map(({ queryId, createdAt, metadata, reward, embeddings, onTrace, actions }) => {
    const embedded = (place: number): Record<string, unknown> =>
      place < 0 ? {} : { query_embedding: embeddings[place]! };
    const trace = new ExecutionTrace({ queryId, createdAt, metadata: { ...metadata, ...embedded(onTrace) } });
    for (const action of actions) {
      trace.addAction({
        actionType: action.actionType,
        parameters: { ...action.parameters, expert_type: action.expert, weight: action.weight },
        logProb: action.logProb,
        timestamp: action.timestamp,
        metadata: { ...action.metadata, source: action.source, ...embedded(action.place) },
      });
    }
    if (reward !== null) trace.setReward(reward);
    return trace;
  });
}

function withoutNul(text: string): string {
  return text.replaceAll("\0", "");
}

testOnEach("the texts of queries come by id, one for each that has one", async ({ store }) => {
  await store.saveTraces([
    [sampledTrace("q1"), { queryText: "Cos'è la legittima difesa?" }],
    [sampledTrace("q1"), { queryText: null }],
    [sampledTrace("q2")],
    [sampledTrace("q3"), { queryText: "<script>" }],
    [sampledTrace("q3"), { queryText: "<script>" }],
  ]);
  const texts = await store.getQueryTexts(["q1", "q2", "q3", "unknown"]);
  assert.deepEqual([...texts].sort(), [["q1", "Cos'è la legittima difesa?"], ["q3", "<script>"]]);
  assert.equal((await store.getQueryTexts([])).size, 0);
  await assert.rejects(store.getQueryTexts(Array(1001).fill("q1")), refusal("usage", /query ids: .*at most 1000/));
});
