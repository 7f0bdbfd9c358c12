import assert from "node:assert/strict";
import fc from "fast-check";
import { EpisodeSetBuilder, logMixOf, type SkipReason } from "../../src/episodes/episode_set.ts";
import type { TrainingRow } from "../../src/store/persistence.ts";
import { drawnRow, episodesOf, mixedRow, OPTIONS } from "./rows.ts";

Deno.test("a drawn expert becomes a one-hot mixture with its propensity", () => {
  const episodes = episodesOf([drawnRow({ gatingWeights: { principles: 0.2 }, gatingLogProb: Math.log(0.25) })]);
  assert.equal(episodes.size, 1);
  assert.deepEqual(episodes.mixtures, Float32Array.of(0, 0, 1));
  assert.deepEqual(episodes.propensities, Float32Array.of(0.25));
  assert.deepEqual(episodes.sampled, Uint8Array.of(1));
  assert.deepEqual(episodes.embeddings, Float32Array.of(1, 2));
  assert.deepEqual(episodes.queryIds, ["q"]);
});

Deno.test("mixed experts become shares that sum to 1, matched by name", () => {
  const episodes = episodesOf([mixedRow({ gatingWeights: { principles: 5, literal: 1, systemic: 2 } })]);
  assert.deepEqual(episodes.mixtures, Float32Array.of(0.125, 0.25, 0.625));
  assert.deepEqual(episodes.propensities, Float32Array.of(1));
  assert.deepEqual(episodes.sampled, Uint8Array.of(0));
});

Deno.test("an expert that a mixture does not name has no share", () => {
  const episodes = episodesOf([mixedRow({ gatingWeights: { systemic: 0.5, literal: 1.5 } })]);
  assert.deepEqual(episodes.mixtures, Float32Array.of(0.75, 0.25, 0));
});

const unusable: [SkipReason, string, TrainingRow][] = [
  ["no_gating_action", "a trace without a gating action", drawnRow({ logKind: "none", gatingWeights: {} })],
  ["no_embedding", "a trace without an embedding", drawnRow({ embedding: null })],
  ["wrong_dimension", "an embedding that is too short", drawnRow({ embedding: Float32Array.of(1) })],
  ["wrong_dimension", "damaged bytes in the place of an embedding", drawnRow({ embedding: new Float32Array(0) })],
  ["not_finite", "an embedding with NaN", drawnRow({ embedding: Float32Array.of(1, NaN) })],
  ["not_finite", "a score of NaN", drawnRow({ score: NaN })],
  ["not_finite", "an authority of NaN", drawnRow({ userAuthority: NaN })],
  [
    "not_finite",
    "a level's score of NaN",
    drawnRow({ levelScores: { retrieval: NaN, reasoning: null, synthesis: null } }),
  ],
  ["not_finite", "a drawn expert without a log probability", drawnRow({ gatingLogProb: null })],
  ["not_finite", "a log probability of NaN", drawnRow({ gatingLogProb: NaN })],
  ["not_finite", "weights whose sum overflows", mixedRow({ gatingWeights: { literal: 1e308, systemic: 1e308 } })],
  ["zero_propensity", "an expert that could not have been drawn", drawnRow({ gatingLogProb: -200 })],
  ["unknown_expert", "a drawn expert that the policy does not have", drawnRow({ gatingWeights: { oracle: 1 } })],
  ["unknown_expert", "a mixed expert that the policy does not have", mixedRow({ gatingWeights: { literal: 1, x: 0 } })],
  ["unknown_expert", "an expert called like an object's own property", mixedRow({ gatingWeights: { toString: 1 } })],
  ["zero_weights", "a mixture of nothing", mixedRow({ gatingWeights: { literal: 0, systemic: 0 } })],
  ["zero_authority", "feedback of a user without authority", drawnRow({ userAuthority: 0 })],
];

for (const [reason, what, row] of unusable) {
  Deno.test(`${what} is left out as ${reason} and moves nothing`, () => {
    const good = [drawnRow({ traceId: "a" }), mixedRow({ traceId: "b", queryId: "p" })];
    const wanted = episodesOf(good);
    const found = episodesOf([good[0]!, { ...row, traceId: "bad" }, good[1]!, { ...row, traceId: "bad" }]);
    assert.deepEqual(found, { ...wanted, skipped: { [reason]: 2 } });
  });
}

Deno.test("feedback that cannot be used is left out even where its trace has other feedback", () => {
  const good = drawnRow({ traceId: "a" });
  const wanted = episodesOf([good]);
  for (const [reason, change] of [["zero_authority", { userAuthority: 0 }], ["not_finite", { score: NaN }]] as const) {
    assert.deepEqual(episodesOf([good, { ...good, ...change }]), { ...wanted, skipped: { [reason]: 1 } });
  }
});

Deno.test("a trace is used for its second feedback where the first is of no authority", () => {
  const episodes = episodesOf([drawnRow({ userAuthority: 0, score: 0.1 }), drawnRow({ score: 0.9, userAuthority: 1 })]);
  assert.deepEqual([episodes.size, episodes.rewards[0], episodes.feedbackRows], [1, 0.9, 1]);
});

Deno.test("feedback on one trace is one episode with the mean reward weighted by authority and the summed weight", () => {
  const row = fc.record({
    trace: fc.nat({ max: 8 }),
    soft: fc.boolean(),
    score: fc.double({ min: 0, max: 1, noNaN: true }),
    userAuthority: fc.double({ min: 0.01, max: 1, noNaN: true }),
  });
  for (const feedbackWeighting of ["authority", "none"] as const) {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 60 }), (drawn) => {
        const rows = drawn.map(({ trace, score, userAuthority }) =>
          (trace % 2 === 0 ? drawnRow : mixedRow)({ traceId: `t${trace}`, queryId: `q${trace}`, score, userAuthority })
        );
        const episodes = episodesOf(rows, { ...OPTIONS, feedbackWeighting });
        const traces = [...new Set(drawn.map(({ trace }) => trace))];
        assert.deepEqual(episodes.queryIds, traces.map((trace) => `q${trace}`));
        assert.equal(episodes.feedbackRows, drawn.length);
        for (const [i, trace] of traces.entries()) {
          const own = drawn.filter((one) => one.trace === trace);
          const weightOf = (one: { userAuthority: number }): number =>
            feedbackWeighting === "none" ? 1 : one.userAuthority;
          const weight = own.reduce((sum, one) => sum + weightOf(one), 0);
          const reward = own.reduce((sum, one) => sum + weightOf(one) * one.score, 0) / weight;
          assert.ok(Math.abs(episodes.rewards[i]! - reward) < 1e-12);
          assert.ok(Math.abs(episodes.sampleWeights[i]! - weight) < 1e-12);
        }
      }),
      { seed: 1, numRuns: 100 },
    );
  }
});

Deno.test("a builder can go on after its columns were looked at", () => {
  const builder = new EpisodeSetBuilder(2, OPTIONS);
  const [a, b] = [drawnRow({ traceId: "a", score: 0.2 }), drawnRow({ traceId: "b", score: 0.4 })];
  builder.add(a);
  assert.deepEqual(builder.build().rewards, Float64Array.of(0.2));
  builder.add(b);
  assert.deepEqual(builder.build(), episodesOf([a, b]));
});

Deno.test("a log is sampled, soft, mixed or empty", () => {
  const [drawn, mixed] = [drawnRow({ traceId: "a" }), mixedRow({ traceId: "b" })];
  assert.equal(logMixOf(episodesOf([drawn])), "sampled");
  assert.equal(logMixOf(episodesOf([mixed])), "soft");
  assert.equal(logMixOf(episodesOf([drawn, mixed])), "mixed");
  assert.equal(logMixOf(episodesOf([])), "empty");
});

/** Feedback on the trace `t`. */
function judgement(userId: string | null, userAuthority: number, score: number): TrainingRow {
  return drawnRow({ userId, userAuthority, score });
}

Deno.test("the spread of several feedbacks is their weighted variance, and 0 where one speaks", () => {
  const scores = [[0.5, 0.2], [1, 0.8], [0.25, 0.9]] as const;
  const episodes = episodesOf([
    ...scores.map(([weight, score], i) => judgement(`u${i}`, weight, score)),
    drawnRow({ traceId: "alone" }),
  ]);
  const mean = (0.1 + 0.8 + 0.225) / 1.75;
  const variance = scores.reduce((sum, [weight, score]) => sum + weight * (score - mean) ** 2, 0) / 1.75;
  assert.ok(Math.abs(episodes.rewardVariances[0]! - variance) < 1e-12);
  assert.equal(episodes.rewardVariances[1], 0);
});

Deno.test("a level's score is the weighted mean of those who judged it, NaN where nobody did", () => {
  const levels = (retrieval: number | null, reasoning: number | null): TrainingRow["levelScores"] => ({
    retrieval,
    reasoning,
    synthesis: null,
  });
  const episodes = episodesOf([
    drawnRow({ userAuthority: 0.5, levelScores: levels(0.4, null) }),
    drawnRow({ userAuthority: 1, levelScores: levels(1, 0.25) }),
    drawnRow({ traceId: "other", levelScores: levels(0, null) }),
  ]);
  const wanted = [(0.5 * 0.4 + 1) / 1.5, 0.25, NaN, 0, NaN, NaN];
  assert.equal(episodes.levelScores.length, 6);
  episodes.levelScores.forEach((score, k) => {
    assert.ok(Number.isNaN(wanted[k]!) ? Number.isNaN(score) : Math.abs(score - wanted[k]!) < 1e-12, `${k}: ${score}`);
  });
});

Deno.test("the user whose feedback weighs most speaks for an episode, the first one where two weigh the same", () => {
  const speaker = (...given: [string | null, number][]): string | null =>
    episodesOf(given.map(([user, weight]) => judgement(user, weight, 0.5))).userIds[0]!;
  assert.equal(speaker(["a", 0.5]), "a");
  assert.equal(speaker([null, 0.5]), null);
  assert.equal(speaker(["a", 0.5], ["b", 0.75]), "b");
  assert.equal(speaker(["a", 0.5], ["b", 0.5]), "a");
  // Two feedbacks of one person count together.
  assert.equal(speaker(["a", 0.5], ["b", 0.75], ["a", 0.5]), "a");
  assert.equal(speaker(["a", 0.5], [null, 0.75]), null);
});
