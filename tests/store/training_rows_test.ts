import assert from "node:assert/strict";
import type { IngestRecord, TrainingWindow } from "../../src/store/persistence.ts";
import { collect, testOnEach } from "./databases.ts";
import { fullFeedback, rating, sampledTrace, softTrace, vector } from "./records.ts";
import { refusal } from "./refusals.ts";

const ALL: TrainingWindow = { since: null, until: "2026-01-01T00:00:00Z", maxFeedback: 100_000 };

/** Records whose feedback is `i` minutes after midnight; the feedback ids are random, so ties have no order of time. */
function records(n: number, minuteOf: (i: number) => number = (i) => i): IngestRecord[] {
  return Array.from({ length: n }, (_, i) => ({
    trace: sampledTrace(`q${i}`),
    traceContext: { id: crypto.randomUUID(), policyVersion: i % 2 === 0 ? "v1" : "v2" },
    feedback: rating(`q${i}`, (i % 11) / 10 > 1 ? 1 : (i % 11) / 10, minute(minuteOf(i))),
    feedbackContext: { id: crypto.randomUUID(), userId: `u${i}`, userAuthority: 0.25 },
  }));
}

function minute(i: number): string {
  return new Date(Date.UTC(2025, 11, 1, 0, i)).toISOString();
}

testOnEach("one trace with feedback comes back as one pair with its authority", async ({ store }) => {
  const trace = softTrace("q1");
  const traceId = await store.saveTrace(trace, { policyVersion: "v1.0.0" });
  await store.saveTrace(softTrace("q2"), { policyVersion: "v1.0.0" });
  const feedback = fullFeedback("q1", "u1");
  await store.saveFeedback(traceId, feedback, { userAuthority: 0.8 });
  const pairs = await store.getTrainingData({ policyVersion: "v1.0.0" });
  assert.equal(pairs.length, 1);
  assert.equal(pairs[0]!.traceId, traceId);
  assert.equal(pairs[0]!.userAuthority, 0.8);
  assert.deepEqual(pairs[0]!.trace.toJSON(), trace.toJSON());
  assert.deepEqual(pairs[0]!.feedback.toJSON(), feedback.toJSON());
  assert.deepEqual(await store.getTrainingData({ policyVersion: "v2.0.0" }), []);
});

testOnEach("pairs are filtered by the feedback's date, bounds included, newest first", async ({ store }) => {
  await store.ingest(records(5));
  const queries = async (filter: Parameters<typeof store.getTrainingData>[0]): Promise<string[]> =>
    (await store.getTrainingData(filter)).map(({ trace }) => trace.queryId);
  assert.deepEqual(await queries({}), ["q4", "q3", "q2", "q1", "q0"]);
  assert.deepEqual(await queries({ minDate: minute(1), maxDate: minute(3) }), ["q3", "q2", "q1"]);
  assert.deepEqual(await queries({ minDate: "2025-12-01T01:03+01:00", limit: 1 }), ["q4"]);
  assert.deepEqual(await queries({ minDate: "2030-01-01T00:00Z" }), []);
  await assert.rejects(queries({ minDate: "yesterday" }), refusal("usage", /minDate: found the text "yesterday"/));
});

testOnEach("training rows carry what training needs", async ({ store }) => {
  const traceId = await store.saveTrace(softTrace("q1"));
  const feedback = fullFeedback("q1", "u1", minute(0));
  await store.saveFeedback(traceId, feedback, { userAuthority: 0.8 });
  const [row] = await collect(store.readTrainingRows(ALL));
  assert.ok(row);
  const { score, ...rest } = row;
  assert.ok(Math.abs(score - 0.82) < 1e-12);
  assert.deepEqual({ ...rest, gatingWeights: { ...rest.gatingWeights } }, {
    traceId,
    queryId: "q1",
    logKind: "soft",
    gatingWeights: { literal: 0.25, systemic: 0.25, principles: 0.25, precedent: 0.25 },
    gatingLogProb: null,
    embedding: Float32Array.from(vector(8)),
    levelScores: { retrieval: 0.75, reasoning: 0.85, synthesis: 0.85 },
    userAuthority: 0.8,
    userId: "u1",
  });
  const [full] = await collect(store.readTrainingRows(ALL, { withFeedback: true }));
  assert.deepEqual(full?.feedback?.toJSON(), feedback.toJSON());
});

testOnEach("pages follow each other without a gap or a repetition, also where times are equal", async ({ store }) => {
  const given = records(2503, (i) => Math.floor(i / 700));
  for (let i = 0; i < given.length; i += 500) await store.ingest(given.slice(i, i + 500));
  const sizes: number[] = [];
  const seen: string[] = [];
  for await (const page of store.readTrainingRows(ALL)) {
    sizes.push(page.length);
    seen.push(...page.map((row) => row.traceId));
  }
  assert.deepEqual(sizes, store.dialect === "sqlite" ? [...Array(10).fill(250), 3] : [1000, 1000, 503]);
  assert.deepEqual(new Set(seen), new Set(given.map((record) => record.traceContext.id)));
  assert.equal(seen.length, 2503);
  const again = await collect(store.readTrainingRows(ALL));
  assert.deepEqual(again.map((row) => row.traceId), seen);
  const times = new Map(given.map((record) => [record.traceContext.id, record.feedback!.timestamp]));
  assert.deepEqual(seen.map((id) => times.get(id)!), seen.map((id) => times.get(id)!).sort().reverse());
});

testOnEach("a window cuts by time, version and number, and the count agrees with the rows", async ({ store }) => {
  await store.ingest(records(10));
  const windows: [Partial<TrainingWindow>, string[]][] = [
    [{}, ["q9", "q8", "q7", "q6", "q5", "q4", "q3", "q2", "q1", "q0"]],
    [{ since: minute(7) }, ["q9", "q8", "q7"]],
    [{ until: minute(1) }, ["q1", "q0"]],
    [{ maxFeedback: 2 }, ["q9", "q8"]],
    [{ policyVersion: "v1", maxFeedback: 3 }, ["q8", "q6", "q4"]],
    [{ policyVersion: "v3" }, []],
    [{ maxFeedback: 0 }, []],
  ];
  for (const [change, expected] of windows) {
    const window = { ...ALL, ...change };
    assert.deepEqual((await collect(store.readTrainingRows(window))).map((row) => row.queryId), expected);
    assert.equal(await store.countTrainingRows(window), expected.length, JSON.stringify(change));
  }
});

testOnEach("the store can be written while its rows are read", async ({ store }) => {
  for (let i = 0; i < 3; i++) await store.ingest(records(400));
  let pages = 0;
  for await (const page of store.readTrainingRows(ALL)) {
    await store.saveFeedback(page[0]!.traceId, rating(page[0]!.queryId, 0.5, "2027-01-01T00:00Z"));
    pages++;
  }
  assert.equal(pages, store.dialect === "sqlite" ? 5 : 2);
  assert.equal((await store.getTrainingStats()).total_feedback, 1200 + pages);
});

testOnEach("damaged embeddings come out with a length that fits no policy", async ({ store, query }) => {
  await store.ingest(records(1));
  const bytes = "00".repeat(33);
  const damaged = store.dialect === "sqlite" ? `x'${bytes}'` : `'\\x${bytes}'::bytea`;
  await query(`update rlcf_traces set query_embedding = ${damaged} returning id`);
  const [row] = await collect(store.readTrainingRows(ALL));
  assert.equal(row?.embedding?.length, 0);
});
