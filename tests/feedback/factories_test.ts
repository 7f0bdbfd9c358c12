import assert from "node:assert/strict";
import { aggregateFeedback, feedbackFromRating } from "../../src/feedback/factories.ts";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";

Deno.test("one rating becomes feedback with that score and that user", () => {
  const feedback = feedbackFromRating("q", 0.8, "avv_001");
  assert.equal(feedback.overallScore(), 0.8);
  assert.equal(feedback.overallScore({ scoring: "merlt" }), 0.8);
  assert.equal(feedback.userId, "avv_001");
  assert.equal(feedbackFromRating("q", 0).userId, null);
});

Deno.test("a rating outside [0, 1] is refused", () => {
  assert.throws(() => feedbackFromRating("q", 1.4), /^RlcfError: feedback\.overall_rating: found 1.4/);
});

Deno.test("the aggregate holds the mean of each number over those who gave it", () => {
  const aggregate = aggregateFeedback([
    new MultilevelFeedback({ queryId: "q", retrievalFeedback: { precision: 0.5, recall: 1 }, overallRating: 0.25 }),
    new MultilevelFeedback({ queryId: "q", retrievalFeedback: { precision: 1 }, synthesisFeedback: { clarity: 0.5 } }),
    new MultilevelFeedback({ queryId: "q", overallRating: 0.75 }),
  ]);
  assert.equal(aggregate.queryId, "q");
  assert.deepEqual(aggregate.levels, { retrieval: { precision: 0.75, recall: 1 }, synthesis: { clarity: 0.5 } });
  assert.equal(aggregate.overallRating, 0.5);
  assert.deepEqual(aggregate.metadata, { aggregated_from: 3 });
});

Deno.test("the aggregate of people who did not rate has no rating", () => {
  const one = new MultilevelFeedback({ queryId: "q", reasoningFeedback: { expertAgreement: 0.5 } });
  assert.equal(aggregateFeedback([one]).overallRating, null);
  assert.equal(aggregateFeedback([one]).overallScore(), 0.5);
});

Deno.test("nothing cannot be aggregated", () => {
  assert.throws(() => aggregateFeedback([]), /^RlcfError: cannot aggregate feedback: found an empty list/);
});
