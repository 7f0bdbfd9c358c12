/**
 * Traces and feedback of many callers in one transaction, each with its own outcome.
 *
 * @module
 */
import assert from "node:assert/strict";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import type { FeedbackEntry, TraceEntry } from "../../src/store/persistence.ts";
import { testOnEach } from "./databases.ts";
import { sampledTrace } from "./records.ts";

function trace(queryId: string, id: string = crypto.randomUUID()): TraceEntry {
  return { kind: "trace", trace: sampledTrace(queryId, "2026-01-07T09:00:00Z"), context: { id } };
}

function feedback(traceId: string, rating = 0.5, id: string = crypto.randomUUID(), queryId?: string): FeedbackEntry {
  return {
    kind: "feedback",
    traceId,
    feedbackOn: (known) => new MultilevelFeedback({ queryId: queryId ?? known, overallRating: rating }),
    context: { id },
  };
}

testOnEach(
  "each entry is told what became of it, in order, and a bad one takes no other with it",
  async ({ store }) => {
    const [a, b] = [trace("a"), trace("b")];
    const judged = feedback(a.context.id.toUpperCase(), 0.7);
    const outcomes = await store.saveEntries([
      feedback(b.context.id, 0.9),
      a,
      b,
      trace("another", a.context.id),
      judged,
      judged,
      feedback(crypto.randomUUID()),
      feedback("no uuid"),
      feedback(a.context.id, 0.2, crypto.randomUUID(), "b"),
    ]);
    assert.deepEqual(outcomes.map(({ status }) => status), [
      "stored",
      "stored",
      "stored",
      "duplicate",
      "stored",
      "duplicate",
      "unknown_trace",
      "unknown_trace",
      "refused",
    ]);
    const last = outcomes.at(-1)!;
    assert.match(last.status === "refused" ? last.message : "", /feedback\.query_id on trace .*: found the text "b"/);
    assert.equal((await store.getTrace(a.context.id))!.queryId, "a");
    assert.deepEqual((await store.getFeedbackForTrace(a.context.id)).map((one) => one.overallRating), [0.7]);
    assert.equal((await store.getTracesWithoutFeedback()).length, 0);
    assert.deepEqual(await store.saveEntries([]), []);
  },
);

testOnEach("the same entries again are duplicates and change nothing", async ({ store, reopen }) => {
  const entries = Array.from({ length: 150 }, (_, i) => trace(`q${i}`));
  const all = entries.flatMap((entry) => [entry, feedback(entry.context.id)]);
  assert.ok((await store.saveEntries(all)).every(({ status }) => status === "stored"));
  await using other = await reopen();
  assert.ok((await other.saveEntries(all)).every(({ status }) => status === "duplicate"));
  const stats = await store.getTrainingStats();
  assert.deepEqual([stats.total_traces, stats.total_feedback, stats.traces_with_feedback], [150, 150, 150]);
});

testOnEach("two writers at once lose nothing and store nothing twice", async ({ store, reopen }) => {
  await using other = await reopen();
  const entries = Array.from({ length: 60 }, (_, i) => trace(`q${i}`));
  const all = entries.flatMap((entry) => [entry, feedback(entry.context.id)]);
  const results = await Promise.all([store.saveEntries(all), other.saveEntries(all.toReversed())]);
  const stored = results.flat().filter(({ status }) => status === "stored").length;
  assert.equal(stored, 120);
  assert.equal((await store.getTrainingStats()).traces_with_feedback, 60);
});
