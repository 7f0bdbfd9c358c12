import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { levelFromJson, type LevelName } from "../../src/feedback/levels.ts";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import { type LevelWeights, merltScore } from "../../src/feedback/scoring.ts";
import { hasShared, readShared } from "../support/shared.ts";

interface ScoreCase {
  readonly name: string;
  readonly input: { readonly overall_rating?: number | null; readonly [level: string]: unknown };
  readonly weights: LevelWeights | null;
  readonly overall_score: number;
  readonly is_complete: boolean;
  readonly retrieval_f1: number | null;
  readonly reasoning_avg: number | null;
  readonly synthesis_avg: number | null;
}

const ignore = !hasShared;
const cases = hasShared ? (await readShared<{ cases: ScoreCase[] }>("golden/feedback_scores.json")).cases : [];

function near(found: number, wanted: number, name: string): void {
  assert.ok(Math.abs(found - wanted) < 1e-12, `${name}: found ${found}, wanted ${wanted}`);
}

Deno.test({
  name: "the original's scores of all 42 recorded feedbacks come out the same",
  ignore,
  fn: () => {
    assert.equal(cases.length, 42);
    for (const { name, input, weights, overall_score } of cases) {
      const read = <L extends LevelName>(level: L) => levelFromJson(level, input[`${level}_feedback`]);
      const levels = Object.fromEntries(
        Object.entries({
          retrieval: read("retrieval"),
          reasoning: read("reasoning"),
          synthesis: read("synthesis"),
        }).filter(([, level]) => level !== undefined),
      );
      near(merltScore(levels, input.overall_rating ?? null, weights ?? undefined), overall_score, name);
    }
  },
});

Deno.test({
  name: "recorded feedback scores the same through the class, which refuses only the rating that is out of range",
  ignore,
  fn: () => {
    const refused: string[] = [];
    for (const { name, input, weights, overall_score, is_complete } of cases) {
      try {
        const feedback = MultilevelFeedback.fromJSON(input);
        const options = { scoring: "merlt", ...(weights === null ? {} : { weights }) } as const;
        near(feedback.overallScore(options), overall_score, name);
        assert.equal(feedback.isComplete, is_complete, name);
      } catch (thrown) {
        if (!(thrown instanceof RlcfError)) throw thrown;
        refused.push(name);
      }
    }
    assert.deepEqual(refused, ["rating out of range"]);
  },
});

Deno.test({
  name: "the original's score of each level comes out the same when only that level counts",
  ignore,
  fn: () => {
    for (const { name, input, retrieval_f1, reasoning_avg, synthesis_avg } of cases) {
      const feedback = MultilevelFeedback.fromJSON({ ...input, overall_rating: null });
      const wanted = { retrieval: retrieval_f1, reasoning: reasoning_avg, synthesis: synthesis_avg };
      for (const [level, score] of Object.entries(wanted)) {
        if (score === null) continue;
        near(feedback.overallScore({ scoring: "merlt", weights: { [level]: 1 } }), score, `${name}, ${level}`);
      }
    }
  },
});

Deno.test("F1 of precision and recall is their harmonic mean, and 0 where both are", () => {
  const f1 = (precision: number, recall: number): number => merltScore({ retrieval: { precision, recall } }, null);
  near(f1(0.8, 0.6), 2 * 0.8 * 0.6 / 1.4, "F1");
  assert.equal(f1(0, 0), 0);
});

Deno.test("the original's rule fills in what was not given, ours does not", () => {
  const feedback = new MultilevelFeedback({ queryId: "q", reasoningFeedback: { logicalCoherence: 1 } });
  near(feedback.overallScore({ scoring: "merlt" }), (1 + 5 * 0.5) / 6, "merlt");
  assert.equal(feedback.overallScore(), 1);
});
