import assert from "node:assert/strict";
import { logGroupsQuery } from "../../src/store/log_groups.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { testOnEach } from "./databases.ts";
import { plansOf } from "./plans.ts";
import { sampledTrace, softTrace, vector } from "./records.ts";

function certainTrace(queryId: string): ExecutionTrace {
  return new ExecutionTrace({ queryId }).addExpertSelection({
    expertType: "literal",
    weight: 1,
    logProb: 0,
    metadata: { source: "gating_policy", query_embedding: vector(8) },
  });
}

testOnEach("an empty store has no groups", async ({ store }) => {
  assert.deepEqual(await store.getLogGroups(), []);
});

testOnEach(
  "like traces are counted together, by version, kind, expert and length of the embedding",
  async ({ store }) => {
    await store.saveTraces([
      [sampledTrace("q1"), { policyVersion: "v1" }],
      [certainTrace("q2"), { policyVersion: "v1" }],
      [softTrace("q3"), { policyVersion: "v2" }],
      [new ExecutionTrace({ queryId: "q4" })],
    ]);
    const sorted = (await store.getLogGroups()).toSorted((a, b) =>
      String(a.policyVersion).localeCompare(String(b.policyVersion))
    );
    assert.deepEqual(sorted, [
      {
        policyVersion: null,
        logKind: "none",
        expertType: null,
        embeddingLength: null,
        traces: 1,
        certain: 0,
        minLogProb: null,
        experts: [],
        weightless: false,
      },
      {
        policyVersion: "v1",
        logKind: "sampled",
        expertType: "literal",
        embeddingLength: 8,
        traces: 2,
        certain: 1,
        minLogProb: -0.5,
        experts: ["literal"],
        weightless: false,
      },
      {
        policyVersion: "v2",
        logKind: "soft",
        expertType: null,
        embeddingLength: 8,
        traces: 1,
        certain: 0,
        minLogProb: null,
        experts: ["literal", "precedent", "principles", "systemic"],
        weightless: false,
      },
    ]);
    assert.deepEqual(await store.getLogGroups("v2"), sorted.slice(2));
  },
);

testOnEach("names come back as they were stored, whatever characters they are made of", async ({ store }) => {
  const names = ['le "norme"', "però, [1]", "a\\b", "\u{1F600}\u0001"];
  await store.saveTraces(names.map((name, i) => [
    new ExecutionTrace({ queryId: `q${i}` }).addExpertSelection({
      expertType: name,
      weight: 1,
      logProb: -0.5,
      metadata: { source: "gating_policy", query_embedding: vector(8) },
    }),
    { policyVersion: name },
  ]));
  const groups = await store.getLogGroups();
  assert.deepEqual(
    groups.map(({ policyVersion, expertType, experts }) => [policyVersion, expertType, experts]).toSorted(),
    names.map((name) => [name, name, [name]]).toSorted(),
  );
});

testOnEach(
  "what SQLite groups by is kept apart, so that it sorts no embeddings; PostgreSQL makes no copy of anything",
  async (test) => {
    const { dialect } = test.store;
    const [plan] = await plansOf(test, (db) => [logGroupsQuery(db, dialect)]);
    if (dialect === "sqlite") assert.match(plan!, /^MATERIALIZE keyed$/m);
    else assert.doesNotMatch(plan!, /CTE/);
  },
);
