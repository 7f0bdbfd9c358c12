import assert from "node:assert/strict";
import { type EpisodeSet, EpisodeSetBuilder } from "../../src/episodes/episode_set.ts";
import { routingChanges } from "../../src/session/routing_changes.ts";

const EXPERTS = ["literal", "systemic"];
const texts = {
  getQueryTexts: (ids: readonly string[]): Promise<Map<string, string>> =>
    Promise.resolve(new Map(ids.map((id) => [id, `text ${id}`]))),
};

/** A log of answers: the query, its embedding, the logged weights, the drawn expert's log probability or null. */
function logOf(
  ...answers: [query: string, axis: number, weights: Record<string, number>, logProb: number | null][]
): EpisodeSet {
  const builder = new EpisodeSetBuilder(answers.length, { inputDim: 3, experts: EXPERTS, feedbackWeighting: "none" });
  for (const [i, [queryId, axis, gatingWeights, gatingLogProb]] of answers.entries()) {
    builder.add({
      traceId: `t${i}`,
      queryId,
      logKind: gatingLogProb === null ? "soft" : "sampled",
      gatingWeights,
      gatingLogProb,
      embedding: Float32Array.from({ length: 3 }, (_, k) => k === axis ? 1 : 0),
      score: i / 10,
      levelScores: { retrieval: null, reasoning: null, synthesis: null },
      userAuthority: 1,
      userId: null,
    });
  }
  return builder.build();
}

Deno.test("queries that a policy cannot tell apart are one, with the answers of all", async () => {
  const half = Math.log(0.5);
  const episodes = logOf(
    ["a", 0, { literal: 1 }, half],
    ["b", 1, { literal: 1 }, half],
    ["a2", 0, { systemic: 1 }, half],
    ["b", 1, { systemic: 1 }, half],
  );
  const before = { version: "v1", weightsNE: Float32Array.of(0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5) };
  const after = { version: "v2", weightsNE: Float32Array.of(0.75, 0.25, 0, 1, 0.75, 0.25, 0, 1) };
  const changes = await routingChanges(texts, episodes, after, before);
  assert.deepEqual([changes.against, changes.queries, changes.otherExpert], ["previous", 3, 1]);
  assert.ok(Math.abs(changes.mean - 1 / 3) < 1e-6);
  assert.deepEqual(changes.most.map(({ queryIds, change, text }) => [queryIds, change, text]), [
    [["b"], 0.5, "text b"],
    [["a", "a2"], 0.25, "text a"],
  ]);
  assert.deepEqual(changes.most[1]!.answers, [
    { expert: "literal", propensity: 0.5, score: 0 },
    { expert: "systemic", propensity: 0.5, score: 0.2 },
  ]);
});

Deno.test("without a version before, mixtures stand in for it, and draws by the probability of the drawn expert", async () => {
  const after = { version: "v1", weightsNE: Float32Array.of(1, 0, 0.25, 0.75) };
  const soft = logOf(["a", 0, { literal: 0.5, systemic: 0.5 }, null], [
    "b",
    1,
    { literal: 0.25, systemic: 0.75 },
    null,
  ]);
  const mixed = await routingChanges(texts, soft, after, null);
  assert.deepEqual([mixed.against, mixed.otherExpert, mixed.most[0]!.before], ["mixtures", 0, [0.5, 0.5]]);
  assert.deepEqual(mixed.most.map(({ change }) => change), [0.5, 0]);

  // One query with two draws: the change is the larger of the two bounds, and its answer comes first.
  const drawn = logOf(["a", 0, { literal: 1 }, Math.log(0.75)], ["a", 0, { systemic: 1 }, Math.log(0.75)]);
  const same = { version: "v1", weightsNE: Float32Array.of(1, 0, 1, 0) };
  const { against, otherExpert, most: [only] } = await routingChanges(texts, drawn, same, null);
  assert.deepEqual([against, otherExpert, only!.change, only!.before], ["propensities", null, 0.75, null]);
  assert.deepEqual(only!.answers.map(({ expert }) => expert), ["systemic", "literal"]);
});

Deno.test("a query with many answers shows a few and counts the others", async () => {
  const answers = Array.from({ length: 9 }, (): Parameters<typeof logOf>[0] => ["a", 0, { literal: 1 }, Math.log(0.5)]);
  const after = { version: "v1", weightsNE: new Float32Array(18).fill(0.5) };
  const { most } = await routingChanges(texts, logOf(...answers), after, null);
  assert.deepEqual([most[0]!.answers.length, most[0]!.moreAnswers], [4, 5]);
});
