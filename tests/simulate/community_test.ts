import assert from "node:assert/strict";
import { LEVELS } from "../../src/feedback/levels.ts";
import { Community, COMMUNITY_EXPERTS, type SimulatedQuery, trueValue } from "../../src/simulate/community.ts";

const OPTIONS = { seed: 3, inputDim: 24 };
const TIME = "2026-01-01T00:00:00.000Z";

function queriesOf(community: Community, n: number): SimulatedQuery[] {
  return Array.from({ length: n }, () => community.query());
}

/** [n, E] routing that sends every query to one expert. */
function routing(queries: readonly SimulatedQuery[], expertOf: (query: SimulatedQuery) => number): Float32Array {
  const experts = COMMUNITY_EXPERTS.length;
  const weights = new Float32Array(queries.length * experts);
  for (const [i, query] of queries.entries()) weights[i * experts + expertOf(query)] = 1;
  return weights;
}

Deno.test("the experts are the specification's", () => {
  assert.deepEqual(COMMUNITY_EXPERTS, ["literal", "systemic", "principles", "precedent"]);
});

Deno.test("the best expert of a query has the highest reward, and no other has it", () => {
  for (const { best, rewards } of queriesOf(new Community(OPTIONS), 50)) {
    assert.equal(rewards.length, COMMUNITY_EXPERTS.length);
    for (const [e, reward] of rewards.entries()) {
      assert.ok(reward > 0 && reward < 1);
      if (e !== best) assert.ok(reward < rewards[best]!);
    }
  }
});

Deno.test("every expert is best for some queries, and queries have ids of their own", () => {
  const queries = queriesOf(new Community(OPTIONS), 200);
  const counts = COMMUNITY_EXPERTS.map((_, e) => queries.filter(({ best }) => best === e).length);
  assert.ok(Math.min(...counts) > 25, `queries by best expert: ${counts}`);
  assert.equal(new Set(queries.map(({ queryId }) => queryId)).size, 200);
});

Deno.test("embeddings have length 1 and tell the kinds apart", () => {
  const queries = queriesOf(new Community({ ...OPTIONS, embeddingNoise: 0.05 }), 200);
  const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  for (const { embedding } of queries) assert.ok(Math.abs(dot(embedding, embedding) - 1) < 1e-5);
  const likenesses = (same: boolean): number[] =>
    queries.slice(1).filter(({ best }) => (best === queries[0]!.best) === same)
      .map(({ embedding }) => dot(embedding, queries[0]!.embedding));
  assert.ok(Math.min(...likenesses(true)) > Math.max(...likenesses(false)));
});

Deno.test("the same seed gives the same community, another seed another one", () => {
  const told = (seed: number): unknown => {
    const community = new Community({ ...OPTIONS, seed });
    const queries = queriesOf(community, 5);
    const lawyer = community.lawyer();
    const feedback = community.judge(queries[0]!, 0.6, lawyer, TIME);
    return [queries, lawyer, feedback, community.randomWeights(), community.drawSeed(), community.lawyers];
  };
  assert.deepEqual(told(1), told(1));
  assert.notDeepEqual(told(1), told(2));
});

Deno.test("the oracle earns at least what any constant expert or even weights do", () => {
  const queries = queriesOf(new Community(OPTIONS), 300);
  const oracle = trueValue(queries, routing(queries, ({ best }) => best));
  assert.equal(oracle.accuracy, 1);
  assert.ok(Math.abs(oracle.sampled - 0.96) < 1e-6 && Math.abs(oracle.argmax - 0.96) < 1e-6);
  const even = trueValue(queries, new Float32Array(300 * 4).fill(0.25));
  assert.ok(even.sampled < oracle.sampled);
  for (const expert of [0, 1, 2, 3]) {
    const constant = trueValue(queries, routing(queries, () => expert));
    assert.ok(constant.sampled < oracle.sampled);
    assert.ok(Math.abs(constant.sampled - constant.argmax) < 1e-6);
    assert.equal(constant.accuracy, queries.filter(({ best }) => best === expert).length / 300);
  }
});

Deno.test("the true value of a routing is its expected reward, or that of its likeliest expert", () => {
  const query = (best: number, rewards: number[]): SimulatedQuery => ({
    queryId: "q",
    text: "",
    embedding: new Float32Array(1),
    best,
    rewards,
  });
  const found = trueValue([query(0, [1, 0.5]), query(1, [0.25, 0.75])], [0.75, 0.25, 0.5 + 0.125, 0.375]);
  assert.deepEqual(found, { sampled: (0.875 + 0.4375) / 2, argmax: (1 + 0.25) / 2, accuracy: 0.5 });
});

Deno.test("judgements scatter around the truth, more so from lawyers without authority", () => {
  const community = new Community({ ...OPTIONS, rewardNoise: 0.02 });
  const query = community.query();
  const scoresOf = (authority: number): number[] =>
    Array.from({ length: 400 }, () => {
      const feedback = community.judge(query, 0.6, { userId: "avv", authority }, TIME);
      assert.equal(feedback.queryId, query.queryId);
      assert.equal(feedback.timestamp, TIME);
      assert.ok(LEVELS.every((level) => feedback.levelScore(level) !== undefined));
      return feedback.overallScore();
    });
  const [sure, unsure] = [scoresOf(1), scoresOf(0)];
  const mean = (values: number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
  const spread = (values: number[]): number => Math.sqrt(mean(values.map((x) => (x - mean(values)) ** 2)));
  assert.ok(Math.abs(mean(sure) - 0.6) < 0.01 && Math.abs(mean(unsure) - 0.6) < 0.02);
  assert.ok(spread(unsure) > 1.2 * spread(sure), `spread ${spread(unsure)} against ${spread(sure)}`);
});

Deno.test("lawyers have earned authority between 0.3 and 1, and names of their own", () => {
  const { lawyers } = new Community({ ...OPTIONS, lawyers: 25 });
  assert.equal(new Set(lawyers.map(({ userId }) => userId)).size, 25);
  assert.ok(lawyers.every(({ authority }) => authority >= 0.3 && authority <= 1));
});

Deno.test("random weights are a distribution, and even on average", () => {
  const community = new Community(OPTIONS);
  const sums = new Float64Array(4);
  for (let i = 0; i < 2000; i++) {
    const weights = community.randomWeights();
    assert.ok(Math.abs(weights.reduce((sum, w) => sum + w, 0) - 1) < 1e-12 && weights.every((w) => w >= 0));
    weights.forEach((weight, e) => sums[e]! += weight / 2000);
  }
  // The standard deviation of a weight of a flat Dirichlet over four is 0.194.
  sums.forEach((mean) => assert.ok(Math.abs(mean - 0.25) < 4 * 0.194 / Math.sqrt(2000), `mean ${mean}`));
});

Deno.test("the questions are Italian sentences without gaps", () => {
  for (const { text } of queriesOf(new Community(OPTIONS), 50)) assert.match(text, /^[A-ZÈ][^{}]+\?$/);
});

Deno.test("contrarians answer the opposite of the truth with little authority, and the others are as they were", () => {
  const plain = new Community({ seed: 5, inputDim: 4, rewardNoise: 0 });
  const community = new Community({ seed: 5, inputDim: 4, rewardNoise: 0, contrarians: 0.25 });
  const contrary = community.lawyers.filter(({ contrarian }) => contrarian);
  assert.equal(contrary.length, 10);
  assert.ok(contrary.every(({ authority }) => authority === 0.1));
  assert.deepEqual(community.lawyers.slice(0, 30), plain.lawyers.slice(0, 30));
  const query = community.query();
  let sum = 0;
  for (let i = 0; i < 50; i++) {
    sum += community.judge(query, 0.9, contrary[i % 10]!, "2026-01-01T00:00:00Z").overallScore() / 50;
  }
  assert.ok(Math.abs(sum - 0.1) < 0.03, String(sum));
});
