import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";

/** The authors' C code (prng.di.unimi.it/xoshiro128starstar.c) in integers without bounds. */
function* xoshiro128starstar(state: readonly number[]): Generator<number> {
  const mask = 0xffffffffn;
  const rotl = (x: bigint, k: bigint): bigint => ((x << k) | (x >> (32n - k))) & mask;
  const s = state.map(BigInt) as [bigint, bigint, bigint, bigint];
  while (true) {
    const result = (rotl((s[1] * 5n) & mask, 7n) * 9n) & mask;
    const t = (s[1] << 9n) & mask;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 11n);
    yield Number(result);
  }
}

const take = (n: number, draw: () => number): number[] => Array.from({ length: n }, draw);

Deno.test("the generator gives the published first numbers of xoshiro128** for the state 1, 2, 3, 4", () => {
  const random = Random.fromState([1, 2, 3, 4]);
  assert.deepEqual(take(4, () => random.nextUint32()), [11520, 0, 5927040, 70819200]);
});

Deno.test("the generator agrees with the authors' algorithm from any seed", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new Random(seed);
      const reference = xoshiro128starstar(random.state);
      for (let i = 0; i < 20; i++) assert.equal(random.nextUint32(), reference.next().value);
    }),
    { seed: 1, numRuns: 100 },
  );
});

Deno.test("a generator made from a state goes on as the first one does", () => {
  const random = new Random(5);
  take(7, () => random.uniform());
  const copy = Random.fromState(JSON.parse(JSON.stringify(random.state)));
  assert.deepEqual(take(50, () => copy.normal()), take(50, () => random.normal()));
});

Deno.test("reading the state does not let anyone change it", () => {
  const random = new Random(5);
  random.state[0] = 0;
  assert.deepEqual(random.state, new Random(5).state);
});

Deno.test("neighbouring seeds give unrelated numbers", () => {
  const first = take(
    1000,
    (() => {
      let seed = 0;
      return () => new Random(seed++).uniform();
    })(),
  );
  const mean = first.reduce((sum, x) => sum + x, 0) / 1000;
  let covariance = 0;
  for (let i = 0; i < 999; i++) covariance += (first[i]! - mean) * (first[i + 1]! - mean) / 999;
  // Standard errors: 0.289 / sqrt(1000) of the mean, (1/12) / sqrt(999) of the covariance.
  assert.ok(Math.abs(mean - 0.5) < 4 * 0.289 / Math.sqrt(1000), `mean ${mean}`);
  assert.ok(Math.abs(covariance) < 4 / 12 / Math.sqrt(999), `covariance ${covariance}`);
});

Deno.test("uniform numbers lie in [0, 1) and fill it evenly", () => {
  const random = new Random(11);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const x = random.uniform();
    assert.ok(x >= 0 && x < 1);
    counts[Math.floor(10 * x)]!++;
  }
  const chiSquare = counts.reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
  assert.ok(chiSquare < 27.9, `chi-square ${chiSquare} of 9 degrees, wanted below the 0.1 % quantile`);
});

Deno.test("normal numbers have mean 0, variance 1 and the tails of the normal law", () => {
  const random = new Random(12);
  const draws = take(20_000, () => random.normal());
  const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
  const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
  const beyondTwo = draws.filter((x) => Math.abs(x) > 2).length / draws.length;
  assert.ok(Math.abs(mean) < 0.03, `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 0.04, `variance ${variance}`);
  assert.ok(Math.abs(beyondTwo - 0.0455) < 0.006, `share beyond two deviations ${beyondTwo}`);
  assert.ok(draws.every(Number.isFinite));
});

Deno.test("integers below a bound are whole and below it", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 31 }), (seed, bound) => {
      const drawn = new Random(seed).below(bound);
      assert.ok(Number.isInteger(drawn) && drawn >= 0 && drawn < bound);
    }),
    { seed: 2, numRuns: 200 },
  );
});

Deno.test("a permutation holds every index once", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 200 }), (seed, n) => {
      const sorted = new Random(seed).permutation(n).toSorted();
      assert.deepEqual(sorted, Uint32Array.from({ length: n }, (_, i) => i));
    }),
    { seed: 3, numRuns: 100 },
  );
});

Deno.test("all orders of three come up equally often", () => {
  const random = new Random(4);
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = random.permutation(3).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  const chiSquare = [...counts.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
  assert.ok(chiSquare < 20.5, `chi-square ${chiSquare} of 5 degrees, wanted below the 0.1 % quantile`);
});

Deno.test("categories come up as often as their probabilities say", () => {
  const random = new Random(6);
  const probabilities = [0.5, 0.25, 0.2, 0.05];
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 10_000; i++) counts[random.categorical(probabilities)]!++;
  const chiSquare = counts.reduce(
    (sum, n, k) => sum + (n - 1e4 * probabilities[k]!) ** 2 / (1e4 * probabilities[k]!),
    0,
  );
  assert.ok(chiSquare < 16.3, `chi-square ${chiSquare} of 3 degrees, wanted below the 0.1 % quantile`);
});

Deno.test("a category of probability 0 never comes up, not even where rounding leaves the sum below 1", () => {
  const random = new Random(7);
  for (let i = 0; i < 1000; i++) assert.equal(random.categorical([0, 0.4, 0]), 1);
});
