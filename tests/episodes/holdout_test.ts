import assert from "node:assert/strict";
import fc from "fast-check";
import { hashToUnit, type HoldoutSplit, splitHoldout } from "../../src/episodes/holdout.ts";
import { drawnRow, episodesOf } from "./rows.ts";

/** Splits a log of these queries, a trace each. */
function splitOf(queryIds: readonly string[], ratio: number, minHoldout: number): HoldoutSplit {
  const rows = queryIds.map((queryId, i) => drawnRow({ traceId: `t${i}`, queryId }));
  return splitHoldout(episodesOf(rows), ratio, minHoldout);
}

const queries = (n: number): string[] => Array.from({ length: n }, (_, i) => `query_${i}`);
const arbitraryQueries = fc.array(fc.nat({ max: 40 }).map((i) => `query_${i}`), { maxLength: 80 });
const arbitraryRatio = fc.double({ min: 0, max: 0.99, noNaN: true });

Deno.test("the two sides are disjoint, ascending and together complete, and no query lies on both", () => {
  fc.assert(
    fc.property(arbitraryQueries, arbitraryRatio, fc.nat({ max: 20 }), (queryIds, ratio, minHoldout) => {
      const { training, holdout } = splitOf(queryIds, ratio, minHoldout);
      for (const side of [training, holdout]) assert.deepEqual(side, side.toSorted());
      assert.deepEqual([...training, ...holdout].toSorted((a, b) => a - b), [...queryIds.keys()]);
      const held = new Set(Array.from(holdout, (row) => queryIds[row]));
      assert.ok(training.every((row) => !held.has(queryIds[row])));
    }),
    { seed: 1, numRuns: 300 },
  );
});

Deno.test("about the ratio of many queries is held out", () => {
  const { holdout } = splitOf(queries(2000), 0.2, 5);
  assert.ok(Math.abs(holdout.length - 400) < 4 * Math.sqrt(2000 * 0.2 * 0.8), `held out ${holdout.length}`);
});

Deno.test("the side of a query does not change as the log grows", () => {
  const sideOf = (n: number): boolean[] => {
    const { holdout } = splitOf(queries(n), 0.2, 5);
    return queries(100).map((_, row) => holdout.includes(row));
  };
  assert.deepEqual(sideOf(100), sideOf(1500));
});

Deno.test("the split does not depend on the order of the log", () => {
  const order = queries(60);
  const sideOf = (queryIds: string[]): string[] =>
    Array.from(splitOf(queryIds, 0.3, 0).holdout, (row) => queryIds[row]!).toSorted();
  assert.deepEqual(sideOf(order), sideOf(order.toReversed()));
});

Deno.test("the minimum is held out where the ratio gives less", () => {
  assert.equal(splitOf(queries(40), 0.001, 6).holdout.length, 6);
});

Deno.test("the minimum never takes more than half, and never cuts a query in two", () => {
  fc.assert(
    fc.property(arbitraryQueries, fc.nat({ max: 60 }), (queryIds, minHoldout) => {
      const { holdout } = splitOf(queryIds, 1e-12, minHoldout);
      assert.ok(2 * holdout.length <= queryIds.length, `${holdout.length} of ${queryIds.length} held out`);
    }),
    { seed: 2, numRuns: 300 },
  );
});

Deno.test("a log of one query is trained on whole rather than held out whole for the minimum", () => {
  const { training, holdout } = splitOf(new Array(10).fill("query_1"), 0.01, 5);
  assert.deepEqual([training.length, holdout.length], [10, 0]);
});

Deno.test("a ratio of 0 holds nothing out, whatever the minimum", () => {
  const { training, holdout } = splitOf(queries(30), 0, 5);
  assert.deepEqual([training.length, holdout.length], [30, 0]);
});

Deno.test("an empty log splits into nothing", () => {
  assert.deepEqual(splitOf([], 0.2, 5), { training: new Uint32Array(0), holdout: new Uint32Array(0) });
});

Deno.test("the hash is even over [0, 1) and the same on every machine", () => {
  const counts = new Array<number>(20).fill(0);
  for (const query of queries(10_000)) counts[Math.floor(20 * hashToUnit(query))]!++;
  const chiSquare = counts.reduce((sum, n) => sum + (n - 500) ** 2 / 500, 0);
  assert.ok(chiSquare < 43.8, `chi-square ${chiSquare} of 19 degrees, wanted below the 0.1 % quantile`);
  // Computed once with an independent program; a change would move queries between training and holdout.
  assert.equal(hashToUnit("query_1"), 3685847673 / 2 ** 32);
  assert.equal(hashToUnit("però"), 1508484828 / 2 ** 32);
});
