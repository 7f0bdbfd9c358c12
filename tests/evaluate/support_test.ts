import assert from "node:assert/strict";
import { importanceWeights, isDeterministic, logSupport, unidentified } from "../../src/evaluate/support.ts";
import type { EpisodeSet } from "../../src/episodes/episode_set.ts";
import type { TrainingRow } from "../../src/store/persistence.ts";
import { Random } from "../../src/base/random.ts";
import { drawnRow, episodesOf, EXPERTS, mixedRow } from "../episodes/rows.ts";
import { allRows } from "../train/support.ts";

/** n rows with random embeddings; each is changed by its number. */
function manyRows(
  n: number,
  rowOf: (i: number, random: Random, embedding: Float32Array) => Partial<TrainingRow>,
): EpisodeSet {
  const random = new Random(7);
  return episodesOf(Array.from({ length: n }, (_, i) => {
    const embedding = Float32Array.of(random.normal(), random.normal());
    return drawnRow({ traceId: `t${i}`, queryId: `q${i}`, embedding, ...rowOf(i, random, embedding) });
  }));
}

/** A routing [n, 3] that is the same everywhere. */
function constant(n: number, weights: readonly number[]): Float32Array {
  return Float32Array.from({ length: 3 * n }, (_, k) => weights[k % 3]!);
}

function soft(weights: readonly number[]): Partial<TrainingRow> {
  const gatingWeights = Object.fromEntries(EXPERTS.map((expert, e) => [expert, weights[e]!]));
  return { logKind: "soft", gatingLogProb: null, gatingWeights };
}

function randomShares(random: Random): number[] {
  const raw = EXPERTS.map(() => -Math.log(1 - random.uniform()));
  return raw.map((x) => x / raw.reduce((sum, y) => sum + y, 0));
}

Deno.test("the weight of a drawn expert is pi / mu", () => {
  const episodes = episodesOf([
    drawnRow({ traceId: "a" }),
    drawnRow({ traceId: "b", gatingWeights: { systemic: 1 }, gatingLogProb: Math.log(0.25) }),
  ]);
  const routing = Float32Array.of(0.25, 0.5, 0.25, 0, 0.5, 0.5);
  assert.deepEqual(Array.from(importanceWeights(episodes, allRows(2), routing, logSupport(episodes))), [0.5, 2]);
  // The order is that of the rows given.
  const turned = Float32Array.of(0, 0.5, 0.5, 0.25, 0.5, 0.25);
  const rho = importanceWeights(episodes, Uint32Array.of(1, 0), turned, logSupport(episodes));
  assert.deepEqual(Array.from(rho), [2, 0.5]);
});

Deno.test("the weight of a mixture is pi G u with the inverse of the mixtures' second moment", () => {
  // Mixtures (1, 0) and (1/2, 1/2) of two experts in turn: E[uu'] = [[5/8, 1/8], [1/8, 1/8]], inverse [[2, -2], [-2, 10]].
  const episodes = manyRows(400, (i) => soft(i % 2 === 0 ? [1, 0, 0] : [0.5, 0.5, 0]));
  const support = logSupport(episodes);
  assert.equal(support.mixtureFlaw, null);
  const [first, second] = importanceWeights(episodes, allRows(2), constant(2, [0.25, 0.75, 0]), support);
  // (1/4, 3/4) G = (-1, 7); with (1, 0) that is -1, with (1/2, 1/2) it is 3.
  assert.ok(Math.abs(first! + 1) < 1e-9 && Math.abs(second! - 3) < 1e-9, `${first}, ${second}`);
});

Deno.test("the weights of mixtures give the exact value of a linear world", () => {
  const value = [0.2, 0.9, 0.4];
  const episodes = manyRows(500, (_, random) => {
    const shares = randomShares(random);
    return { ...soft(shares), score: shares.reduce((sum, share, e) => sum + share * value[e]!, 0) };
  });
  const pi = [0.1, 0.6, 0.3];
  const rho = importanceWeights(episodes, allRows(500), constant(500, pi), logSupport(episodes));
  const found = rho.reduce((sum, weight, i) => sum + weight * episodes.rewards[i]!, 0) / 500;
  // With G estimated from the same rows this is the regression of rewards on mixtures: exact without noise.
  assert.ok(Math.abs(found - 0.1 * 0.2 - 0.6 * 0.9 - 0.3 * 0.4) < 1e-6, String(found));
});

Deno.test("mixtures that follow from the query identify nothing, and no weight is made up", () => {
  const episodes = manyRows(300, (_, _random, [x]) => {
    const share = 1 / (1 + Math.exp(-x!));
    return soft([share, 1 - share, 0]);
  });
  const support = logSupport(episodes);
  assert.match(support.mixtureFlaw!, /follow from the query/);
  const routing = constant(300, [0.5, 0.5, 0]);
  assert.ok(importanceWeights(episodes, allRows(300), routing, support).every(Number.isNaN));
  assert.match(unidentified(episodes, allRows(300), routing, support).join(), /follow from the query/);
});

Deno.test("mixtures that never change identify nothing", () => {
  const episodes = manyRows(50, () => soft([0.2, 0.3, 0.5]));
  assert.match(
    unidentified(episodes, allRows(50), constant(50, [1, 0, 0]), logSupport(episodes)).join(),
    /hardly vary/,
  );
});

Deno.test("random mixtures and drawn experts are identified", () => {
  const mixed = manyRows(300, (_, random) => soft(randomShares(random)));
  assert.deepEqual(unidentified(mixed, allRows(300), constant(300, [0, 1, 0]), logSupport(mixed)), []);
  const drawn = manyRows(300, (i) => ({ gatingWeights: { [EXPERTS[i % 3]!]: 1 }, gatingLogProb: Math.log(1 / 3) }));
  assert.deepEqual(unidentified(drawn, allRows(300), constant(300, [0, 1, 0]), logSupport(drawn)), []);
});

Deno.test("an expert that the log never used is named where the policy uses it, and only there", () => {
  const episodes = manyRows(200, (i) => ({ gatingWeights: { [EXPERTS[i % 2]!]: 1 }, gatingLogProb: Math.log(0.5) }));
  const refused = unidentified(episodes, allRows(200), constant(200, [0.5, 0.25, 0.25]), logSupport(episodes));
  assert.deepEqual(refused, ["principles was never used in the log, and the policy sends 25% of the queries there"]);
  assert.deepEqual(unidentified(episodes, allRows(200), constant(200, [0.5, 0.495, 0.005]), logSupport(episodes)), []);
});

Deno.test("a deterministic log is refused with the experts that had no chance", () => {
  const episodes = manyRows(200, (i) => ({ gatingWeights: { [EXPERTS[i % 3]!]: 1 }, gatingLogProb: 0 }));
  const refused = unidentified(episodes, allRows(200), constant(200, [0.5, 0.5, 0]), logSupport(episodes));
  assert.equal(refused.length, 1);
  assert.match(refused[0]!, /^100% of the log is deterministic.*\(literal, systemic; 67% of its routing\)$/);
  // The policy that logged needs no expert that had no chance.
  assert.deepEqual(unidentified(episodes, allRows(200), episodes.mixtures, logSupport(episodes)), []);
});

Deno.test("importance weights that are far from averaging 1 betray a log without what the policy does", () => {
  // `principles` was drawn in one row of 200; the policy always takes it.
  const episodes = manyRows(200, (i) => ({
    gatingWeights: { [i === 0 ? "principles" : "literal"]: 1 },
    gatingLogProb: Math.log(0.5),
  }));
  const refused = unidentified(episodes, allRows(200), constant(200, [0, 0, 1]), logSupport(episodes));
  assert.match(refused.join(), /average 0\.01 instead of 1/);
});

Deno.test("a log is deterministic if no draw had an alternative", () => {
  assert.equal(isDeterministic(episodesOf([drawnRow({ gatingLogProb: 0 })])), true);
  assert.equal(isDeterministic(episodesOf([drawnRow({ gatingLogProb: 0 }), drawnRow({ traceId: "b" })])), false);
  assert.equal(isDeterministic(episodesOf([mixedRow()])), false);
});
