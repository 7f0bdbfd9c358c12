import assert from "node:assert/strict";
import type { IngestRecord } from "../../src/store/persistence.ts";
import { testOnEach } from "./databases.ts";
import { rating, sampledTrace } from "./records.ts";
import { refusal } from "./refusals.ts";

/** `n` records, the first `judged` of them with feedback. */
function records(n: number, judged = n): IngestRecord[] {
  return Array.from({ length: n }, (_, i) => ({
    trace: sampledTrace(`q${i}`),
    traceContext: { id: crypto.randomUUID(), policyVersion: "v1" },
    ...(i < judged
      ? { feedback: rating(`q${i}`, (i % 10) / 10), feedbackContext: { id: crypto.randomUUID(), userId: `u${i}` } }
      : {}),
  }));
}

testOnEach("a batch is stored, and stored again adds nothing", async ({ store }) => {
  const batch = records(250, 120);
  assert.deepEqual(await store.ingest(batch), { traces: 250, feedback: 120, duplicates: 0 });
  assert.deepEqual(await store.ingest(batch), { traces: 0, feedback: 0, duplicates: 370 });
  const stats = await store.getTrainingStats();
  assert.equal(stats.total_traces, 250);
  assert.equal(stats.traces_with_feedback, 120);
  assert.equal(stats.total_feedback, 120);
  assert.equal((await store.getTracesWithoutFeedback(1000)).length, 130);
  assert.deepEqual(await store.ingest([]), { traces: 0, feedback: 0, duplicates: 0 });
});

testOnEach("duplicates inside a batch are counted, and each row is stored once", async ({ store }) => {
  const [a, b] = records(2);
  assert.deepEqual(await store.ingest([a!, b!, a!]), { traces: 2, feedback: 2, duplicates: 2 });
  const second = { ...a!, feedbackContext: { id: crypto.randomUUID() } };
  assert.deepEqual(await store.ingest([a!, second]), { traces: 0, feedback: 1, duplicates: 3 });
  assert.equal((await store.getFeedbackForTrace(a!.traceContext.id)).length, 2);
});

testOnEach("feedback that comes later marks a trace that was stored before", async ({ store }) => {
  const [record] = records(1);
  await store.ingest([{ trace: record!.trace, traceContext: record!.traceContext }]);
  assert.equal((await store.getTracesWithoutFeedback()).length, 1);
  assert.deepEqual(await store.ingest([record!]), { traces: 0, feedback: 1, duplicates: 1 });
  assert.equal((await store.getTracesWithoutFeedback()).length, 0);
});

testOnEach("a trace whose feedback's id was taken still waits for feedback", async ({ store }) => {
  const [a, b] = records(2);
  await store.ingest([a!]);
  const clash = { ...b!, feedbackContext: a!.feedbackContext! };
  assert.deepEqual(await store.ingest([clash]), { traces: 1, feedback: 0, duplicates: 1 });
  assert.deepEqual((await store.getTracesWithoutFeedback()).map(([id]) => id), [b!.traceContext.id]);
});

testOnEach("a record that cannot be stored is named, and nothing of the batch is kept", async ({ store }) => {
  const batch = records(3);
  const broken: IngestRecord = { ...batch[2]!, feedback: rating("another query", 0.5) };
  await assert.rejects(
    store.ingest([batch[0]!, batch[1]!, broken]),
    refusal("usage", /^records\[2\]: feedback\.query_id .*found the text "another query"/),
  );
  assert.equal((await store.getTrainingStats()).total_traces, 0);
});

testOnEach("feedback for another query on a trace that was stored before is refused", async ({ store }) => {
  const [a, b] = records(2);
  await store.ingest([a!]);
  const stranger: IngestRecord = { ...b!, traceContext: { id: a!.traceContext.id } };
  await assert.rejects(
    store.ingest([stranger]),
    refusal("usage", /found query "q1", wanted the stored trace's own, "q0"/),
  );
  assert.equal((await store.getTrainingStats()).total_feedback, 1);
});
