import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { LEVEL_SCORES, type LevelName, LEVELS, type ReasoningFeedback } from "../../src/feedback/levels.ts";
import { MultilevelFeedback, type MultilevelFeedbackJson } from "../../src/feedback/multilevel_feedback.ts";
import { arbitraryObject, arbitraryText, arbitraryTime, HOSTILE, readsOrRefuses } from "../trace/traces.ts";

/** The specification's example. */
function example(): MultilevelFeedback {
  return new MultilevelFeedback({
    queryId: "query_001",
    retrievalFeedback: { precision: 0.8, recall: 0.7, rankingQuality: 0.85 },
    reasoningFeedback: { logicalCoherence: 0.9, legalSoundness: 0.85, citationQuality: 0.8 },
    synthesisFeedback: { clarity: 0.9, completeness: 0.85, usefulness: 0.9 },
  });
}

function near(found: number | undefined, wanted: number): void {
  assert.ok(found !== undefined && Math.abs(found - wanted) < 1e-12, `found ${found}, wanted ${wanted}`);
}

/** Asserts an RlcfError of kind usage whose message matches. */
function refuses(work: () => unknown, message: RegExp): void {
  assert.throws(work, (thrown) => {
    assert.ok(thrown instanceof RlcfError && thrown.code === "usage", String(thrown));
    assert.match(thrown.message, message);
    return true;
  });
}

/** A level with any of its numbers, at least one field given. */
const arbitraryLevel = (level: LevelName): fc.Arbitrary<Record<string, unknown>> => {
  const score = fc.double({ min: 0, max: 1, noNaN: true }).map((x) => x + 0);
  const names = Object.values(LEVEL_SCORES[level]).map(([name]) => name);
  const lists = fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 3 });
  const count = fc.nat({ max: 50 });
  const others: Record<string, fc.Arbitrary<unknown>> = level === "retrieval"
    ? { sources_relevant: count, sources_total: count, missing_sources: lists, irrelevant_sources: lists }
    : level === "reasoning"
    ? { fallacies_detected: lists }
    : {};
  return fc.record({
    ...Object.fromEntries(names.map((name) => [name, score] as [string, fc.Arbitrary<unknown>])),
    ...others,
    metadata: arbitraryObject,
  }, { requiredKeys: [], noNullPrototype: true }).filter((json) => Object.keys(json).length > 0);
};

const arbitraryFeedbackJson: fc.Arbitrary<MultilevelFeedbackJson> = fc.record({
  query_id: arbitraryText,
  retrieval_feedback: fc.option(arbitraryLevel("retrieval")),
  reasoning_feedback: fc.option(arbitraryLevel("reasoning")),
  synthesis_feedback: fc.option(arbitraryLevel("synthesis")),
  overall_rating: fc.option(fc.double({ min: 0, max: 1, noNaN: true }).map((x) => x + 0)),
  timestamp: arbitraryTime,
  user_id: fc.option(arbitraryText),
  metadata: arbitraryObject,
}, { noNullPrototype: true });

Deno.test("the score of the specification's example is the weighted mean of what was given", () => {
  const feedback = example();
  near(feedback.levelScore("retrieval"), (0.8 + 0.7 + 0.85) / 3);
  near(feedback.levelScore("reasoning"), 0.85);
  near(feedback.levelScore("synthesis"), (0.9 + 0.85 + 0.9) / 3);
  near(feedback.overallScore(), 0.3 * (0.8 + 0.7 + 0.85) / 3 + 0.4 * 0.85 + 0.3 * (0.9 + 0.85 + 0.9) / 3);
});

Deno.test("the original's rule scores the specification's example as the original did", () => {
  near(example().overallScore({ scoring: "merlt" }), 0.6932857142857143);
});

Deno.test("feedback keeps what it was made of", () => {
  const feedback = new MultilevelFeedback({
    queryId: "q",
    retrievalFeedback: { precision: 0.5, sourcesRelevant: 3, sourcesTotal: 5, missingSources: ["art. 52 c.p."] },
    userId: "avv_001",
    timestamp: "2026-01-01T10:00:00+01:00",
    metadata: { page: 1 },
  });
  assert.equal(feedback.queryId, "q");
  assert.equal(feedback.userId, "avv_001");
  assert.equal(feedback.timestamp, "2026-01-01T09:00:00.000Z");
  assert.equal(feedback.overallRating, null);
  assert.deepEqual(feedback.levels, {
    retrieval: { precision: 0.5, sourcesRelevant: 3, sourcesTotal: 5, missingSources: ["art. 52 c.p."] },
  });
  assert.deepEqual(feedback.metadata, { page: 1 });
});

Deno.test("a rating overrides the levels, even a rating of 0", () => {
  const rated = (overallRating: number): number =>
    new MultilevelFeedback({ queryId: "q", overallRating, synthesisFeedback: { clarity: 1 } }).overallScore();
  assert.equal(rated(0.1), 0.1);
  assert.equal(rated(0), 0);
});

Deno.test("levels that were not judged do not count", () => {
  const feedback = new MultilevelFeedback({
    queryId: "q",
    retrievalFeedback: { precision: 0.2 },
    synthesisFeedback: { clarity: 0.8 },
  });
  near(feedback.overallScore(), 0.5);
  assert.equal(feedback.levelScore("reasoning"), undefined);
});

Deno.test("weights of the caller's own are normalised over the levels that count", () => {
  const feedback = example();
  near(feedback.overallScore({ weights: { reasoning: 7 } }), 0.85);
  near(feedback.overallScore({ weights: { reasoning: 1, synthesis: 3 } }), (0.85 + 0.9 + 0.85 + 0.9) / 4);
});

Deno.test("feedback without a single number has no score, and says so", () => {
  const silent = new MultilevelFeedback({ queryId: "q", retrievalFeedback: { sourcesRelevant: 3 } });
  refuses(() => silent.overallScore(), /cannot score the feedback on query "q": found no number on any level/);
  refuses(() => new MultilevelFeedback({ queryId: "q" }).overallScore(), /found no number/);
  refuses(() => example().overallScore({ weights: {} }), /found no number/);
});

Deno.test("the score lies in [0, 1], between the smallest and the largest number given", () => {
  fc.assert(
    fc.property(arbitraryFeedbackJson, (json) => {
      const feedback = MultilevelFeedback.fromJSON({ ...json, overall_rating: null });
      const scores = LEVELS.map((level) => feedback.levelScore(level)).filter((score) => score !== undefined);
      fc.pre(scores.length > 0);
      const score = feedback.overallScore();
      assert.ok(score >= Math.min(...scores) - 1e-12 && score <= Math.max(...scores) + 1e-12);
      assert.ok(score >= 0 && score <= 1 + 1e-12);
    }),
    { seed: 1, numRuns: 200 },
  );
});

Deno.test("feedback is complete with all three levels and not before", () => {
  assert.equal(example().isComplete, true);
  assert.equal(new MultilevelFeedback({ queryId: "q", retrievalFeedback: { recall: 1 } }).isComplete, false);
  const empty = { retrievalFeedback: {}, reasoningFeedback: {}, synthesisFeedback: {} };
  assert.equal(new MultilevelFeedback({ queryId: "q", ...empty }).isComplete, false);
});

Deno.test("any feedback is the same after being written as JSON and read again", () => {
  fc.assert(
    fc.property(arbitraryFeedbackJson, (json) => {
      const written = MultilevelFeedback.fromJSON(json).toJSON();
      assert.deepEqual(written, json);
      assert.deepEqual(MultilevelFeedback.fromJSON(JSON.parse(JSON.stringify(written))).toJSON(), json);
    }),
    { seed: 2, numRuns: 300 },
  );
});

Deno.test("feedback made in code is the same after being written as JSON and read again", () => {
  for (const feedback of [example(), new MultilevelFeedback({ queryId: "q", retrievalFeedback: {} })]) {
    assert.deepEqual(MultilevelFeedback.fromJSON(feedback.toJSON()), feedback);
  }
});

Deno.test("the JSON has the specification's names", () => {
  const json = example().toJSON();
  assert.deepEqual(Object.keys(json), [
    "query_id",
    "retrieval_feedback",
    "reasoning_feedback",
    "synthesis_feedback",
    "overall_rating",
    "timestamp",
    "user_id",
    "metadata",
  ]);
  assert.deepEqual(json.retrieval_feedback, { precision: 0.8, recall: 0.7, ranking_quality: 0.85 });
  assert.deepEqual(json.reasoning_feedback, { logical_coherence: 0.9, legal_soundness: 0.85, citation_quality: 0.8 });
  assert.deepEqual(json.synthesis_feedback, { clarity: 0.9, completeness: 0.85, usefulness: 0.9 });
});

Deno.test("feedback that the original wrote is read, its derived fields ignored", () => {
  const feedback = MultilevelFeedback.fromJSON({
    query_id: "q",
    retrieval_feedback: { precision: 0.5, recall: 0.5, f1_score: 0.5 },
    reasoning_feedback: { logical_coherence: 0.5, average_score: 0.99 },
    synthesis_feedback: {},
    overall_rating: null,
    overall_score: 0.9,
    timestamp: "2025-12-01T08:00:00",
    user_id: null,
    metadata: {},
  });
  near(feedback.overallScore(), 0.5);
  assert.equal(feedback.levels.synthesis, undefined);
});

Deno.test("feedback shares nothing with what it was made from, nor with its JSON", () => {
  const level = { precision: 0.5, missingSources: ["a"], metadata: { nested: [1] } };
  const metadata = { nested: [1] };
  const feedback = new MultilevelFeedback({ queryId: "q", retrievalFeedback: level, metadata });
  const before = JSON.stringify(feedback);
  level.missingSources.push("b");
  level.metadata.nested.push(2);
  metadata.nested.push(2);
  const json = feedback.toJSON() as unknown as {
    retrieval_feedback: { missing_sources: string[] };
    metadata: typeof metadata;
  };
  json.retrieval_feedback.missing_sources.push("c");
  json.metadata.nested.push(3);
  assert.equal(JSON.stringify(feedback), before);
});

Deno.test("a number outside [0, 1] or no number at all is refused with its place", () => {
  for (const value of [1.0001, -0.1, NaN, Infinity, "0.5", true, [0.5]]) {
    const json = { query_id: "q", reasoning_feedback: { legal_soundness: value } };
    refuses(
      () => MultilevelFeedback.fromJSON(json),
      /^feedback\.reasoning_feedback\.legal_soundness: found .* from 0 to 1$/,
    );
    const reasoningFeedback = { legalSoundness: value } as ReasoningFeedback;
    refuses(() => new MultilevelFeedback({ queryId: "q", reasoningFeedback }), /legal_soundness: found/);
    refuses(
      () => MultilevelFeedback.fromJSON({ query_id: "q", overall_rating: value }),
      /^feedback\.overall_rating: found/,
    );
  }
});

Deno.test("a field that does not exist is refused, so that a misspelt score is not lost in silence", () => {
  const misspelt = { query_id: "q", synthesis_feedback: { clarty: 0.9 } };
  refuses(
    () => MultilevelFeedback.fromJSON(misspelt),
    /^feedback\.synthesis_feedback\.clarty: found 0.9, wanted one of clarity/,
  );
  const camelCase = { query_id: "q", retrieval_feedback: { rankingQuality: 0.9 } };
  refuses(() => MultilevelFeedback.fromJSON(camelCase), /rankingQuality/);
  const retrievalFeedback = { ranking_quality: 0.9 } as never;
  refuses(
    () => new MultilevelFeedback({ queryId: "q", retrievalFeedback }),
    /ranking_quality: found 0.9, wanted no such field/,
  );
});

Deno.test("a level that is no object is refused", () => {
  for (const level of [null, 5, "good", [0.5]]) {
    refuses(
      () => new MultilevelFeedback({ queryId: "q", retrievalFeedback: level as never }),
      /retrieval_feedback: found/,
    );
  }
  refuses(() => MultilevelFeedback.fromJSON({ query_id: "q", retrieval_feedback: 5 }), /retrieval_feedback: found 5/);
});

Deno.test("hostile values anywhere in feedback are read or refused, never a crash", () => {
  for (const value of HOSTILE) {
    readsOrRefuses(() => MultilevelFeedback.fromJSON(value));
    for (const key of Object.keys(example().toJSON())) {
      readsOrRefuses(() => MultilevelFeedback.fromJSON({ ...example().toJSON(), [key]: value }));
    }
    for (const level of LEVELS) {
      for (
        const key of ["precision", "clarity", "missing_sources", "fallacies_detected", "sources_total", "metadata"]
      ) {
        readsOrRefuses(() => MultilevelFeedback.fromJSON({ query_id: "q", [`${level}_feedback`]: { [key]: value } }));
      }
      readsOrRefuses(() => new MultilevelFeedback({ queryId: "q", [`${level}Feedback`]: value }));
    }
  }
});
