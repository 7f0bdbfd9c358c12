import assert from "node:assert/strict";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import { testOnEach } from "./databases.ts";
import { fullFeedback, rating, sampledTrace } from "./records.ts";
import { refusal } from "./refusals.ts";

testOnEach("feedback is read back whole, with the user it was saved for", async ({ store }) => {
  const traceId = await store.saveTrace(sampledTrace("q1"));
  const feedback = fullFeedback("q1", "u_own", "2025-12-30T09:00:00.125Z");
  assert.match(await store.saveFeedback(traceId, feedback), /^[0-9a-f-]{36}$/);
  await store.saveFeedback(traceId, fullFeedback("q1", "u_own", "2025-12-30T10:00:00Z"), { userId: "u_saved" });
  const [first, second] = await store.getFeedbackForTrace(traceId);
  assert.deepEqual(first?.toJSON(), feedback.toJSON());
  assert.equal(second?.userId, "u_saved");
});

testOnEach("the columns repeat the feedback's numbers, null where none was given", async ({ store, query }) => {
  const traceId = await store.saveTrace(sampledTrace("q1"));
  await store.saveFeedback(traceId, fullFeedback("q1", "u1"), { userAuthority: 0.8, source: "visualex" });
  const [row] = await query("select * from rlcf_feedback");
  assert.ok(row);
  const { id: _id, trace_id, feedback: _feedback, created_at: _time, overall_score, ...rest } = row;
  assert.equal(trace_id, traceId);
  assert.ok(Math.abs(Number(overall_score) - 0.82) < 1e-12);
  assert.deepEqual({ ...rest }, {
    user_id: "u1",
    user_authority: 0.8,
    source: "visualex",
    retrieval_precision: 0.8,
    retrieval_recall: 0.7,
    retrieval_ranking: null,
    reasoning_coherence: 0.9,
    reasoning_soundness: 0.85,
    reasoning_citation: 0.8,
    synthesis_clarity: 0.9,
    synthesis_completeness: 0.85,
    synthesis_usefulness: 0.8,
    retrieval_score: 0.75,
    reasoning_score: 0.85,
    synthesis_score: 0.85,
  });
});

testOnEach("feedback on one trace is listed oldest first; on an unknown one the list is empty", async ({ store }) => {
  const traceId = await store.saveTrace(sampledTrace("q1"));
  await store.saveFeedback(traceId, rating("q1", 0.2, "2025-12-02T00:00Z"));
  await store.saveFeedback(traceId, rating("q1", 0.1, "2025-12-01T00:00Z"));
  assert.deepEqual((await store.getFeedbackForTrace(traceId)).map((feedback) => feedback.overallRating), [0.1, 0.2]);
  assert.deepEqual(await store.getFeedbackForTrace(crypto.randomUUID()), []);
  assert.deepEqual(await store.getFeedbackForTrace("nonexistent"), []);
});

testOnEach("feedback on an unknown trace or another query is refused and leaves nothing", async ({ store }) => {
  const traceId = await store.saveTrace(sampledTrace("q1"));
  await assert.rejects(
    store.saveFeedback(crypto.randomUUID(), rating("q1", 0.5)),
    refusal("usage", /cannot store feedback: found no trace "/),
  );
  await assert.rejects(
    store.saveFeedback("nonexistent", rating("q1", 0.5)),
    refusal("usage", /no trace "nonexistent"/),
  );
  await assert.rejects(
    store.saveFeedback(traceId, rating("q2", 0.5)),
    refusal("usage", /feedback\.query_id .*found the text "q2", wanted the trace's own, "q1"/),
  );
  const stats = await store.getTrainingStats();
  assert.equal(stats.total_feedback, 0);
  assert.equal(stats.traces_with_feedback, 0);
});

testOnEach("authority outside [0, 1] and feedback without a number are refused", async ({ store }) => {
  const traceId = await store.saveTrace(sampledTrace("q1"));
  for (const userAuthority of [7, -0.1, NaN]) {
    await assert.rejects(
      store.saveFeedback(traceId, rating("q1", 0.5), { userAuthority }),
      refusal("usage", /user_authority: found .*, wanted a number from 0 to 1/),
    );
  }
  const silent = new MultilevelFeedback({ queryId: "q1", retrievalFeedback: { sourcesTotal: 3 } });
  await assert.rejects(store.saveFeedback(traceId, silent), refusal("usage", /found no number on any level/));
  const broken = new MultilevelFeedback({ queryId: "q1", overallRating: 1, metadata: { a: [NaN] } });
  await assert.rejects(store.saveFeedback(traceId, broken), refusal("usage", /feedback\.metadata\.a\[0\]: found NaN/));
  assert.equal((await store.getTracesWithoutFeedback()).length, 1);
});

testOnEach("the database itself refuses what the program would not write", async ({ store, query }) => {
  const traceId = await store.saveTrace(sampledTrace("q1"));
  const feedbackId = await store.saveFeedback(traceId, rating("q1", 0.5));
  const writes = [
    `update rlcf_feedback set overall_score = 3.5 where id = '${feedbackId}' returning id`,
    `update rlcf_feedback set user_authority = 7 where id = '${feedbackId}' returning id`,
    `update rlcf_traces set total_log_prob = 0.5 where id = '${traceId}' returning id`,
    `update rlcf_traces set log_kind = 'other' where id = '${traceId}' returning id`,
  ];
  for (const write of writes) await assert.rejects(async () => await query(write), /check constraint|CHECK constraint/);
});

testOnEach("storing feedback with the same id again changes nothing", async ({ store }) => {
  const [first, second] = await store.saveTraces([[sampledTrace("q1")], [sampledTrace("q2")]]);
  const id = crypto.randomUUID();
  assert.equal(await store.saveFeedback(first!, rating("q1", 0.1), { id }), id);
  assert.equal(await store.saveFeedback(first!, rating("q1", 0.9), { id }), id);
  assert.equal(await store.saveFeedback(second!, rating("q2", 0.9), { id }), id);
  assert.deepEqual((await store.getFeedbackForTrace(first!)).map((feedback) => feedback.overallRating), [0.1]);
  assert.deepEqual((await store.getTracesWithoutFeedback()).map(([traceId]) => traceId), [second]);
});
