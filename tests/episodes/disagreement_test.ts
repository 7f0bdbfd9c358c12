import assert from "node:assert/strict";
import { disagreementOf } from "../../src/episodes/disagreement.ts";
import { type EpisodeSet, EpisodeSetBuilder } from "../../src/episodes/episode_set.ts";

/** Answers, each with the scores that people gave it. */
function judged(answers: readonly (readonly number[])[]): EpisodeSet {
  const builder = new EpisodeSetBuilder(answers.length, {
    inputDim: 1,
    experts: ["a", "b"],
    feedbackWeighting: "authority",
  });
  for (const [i, scores] of answers.entries()) {
    for (const score of scores) {
      builder.add({
        traceId: `t${i}`,
        queryId: `q${i}`,
        logKind: "sampled",
        gatingWeights: { a: 1 },
        gatingLogProb: -0.5,
        embedding: Float32Array.of(1),
        score,
        levelScores: { retrieval: null, reasoning: null, synthesis: null },
        userAuthority: 0.5,
        userId: null,
      });
    }
  }
  return builder.build();
}

Deno.test("each episode knows how many feedbacks it is made of", () => {
  assert.deepEqual([...judged([[0.1], [0.2, 0.4, 0.6], [0.3, 0.3]]).feedbackCounts], [1, 3, 2]);
});

Deno.test("the spread is the pooled standard deviation within the answers that several people judged", () => {
  const found = disagreementOf(judged([[0.9], [0.2, 0.4, 0.6], [0.5, 0.7]]))!;
  assert.equal(found.answers, 2);
  // (0.04 + 0 + 0.04 + 0.01 + 0.01) / (2 + 1)
  assert.ok(Math.abs(found.spread - Math.sqrt(0.1 / 3)) < 1e-12);
  const [mean, rewards] = [1.9 / 3, [0.9, 0.4, 0.6]];
  const total = rewards.reduce((sum, reward) => sum + (reward - mean) ** 2, 0) / 3;
  assert.ok(Math.abs(found.reward_spread - Math.sqrt(total)) < 1e-12);
});

Deno.test("people who agree have a spread of 0", () => {
  assert.equal(disagreementOf(judged([[0.5, 0.5], [0.75, 0.75]]))!.spread, 0);
});

Deno.test("where no answer was judged twice nothing is said", () => {
  assert.equal(disagreementOf(judged([[0.1], [0.9]])), null);
  assert.equal(disagreementOf(judged([])), null);
});
