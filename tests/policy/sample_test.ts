import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { GatingPolicy, type SampledExpert, type SampleOptions } from "../../src/policy/gating_policy.ts";

const random = new Random(5);
const QUERY = Float32Array.from({ length: 8 }, () => random.normal());
const SEEDS = Array.from({ length: 4000 }, (_, seed) => seed);

/** A linear policy whose routing of QUERY is far from even. */
function policy(): Promise<GatingPolicy> {
  return GatingPolicy.create({ inputDim: 8, hiddenDim: 0, seed: 4, backend: "cpu" });
}

async function drawMany(options: SampleOptions): Promise<SampledExpert[]> {
  await using drawn = await policy();
  const all: SampledExpert[] = [];
  for (const seed of SEEDS) all.push(await drawn.sample(QUERY, { ...options, seed }));
  return all;
}

const cases: [string, SampleOptions][] = [
  ["plain", {}],
  ["hot", { temperature: 3 }],
  ["cold", { temperature: 0.5 }],
  ["exploring", { epsilon: 0.4 }],
  ["cold and exploring", { temperature: 0.5, epsilon: 0.2 }],
];

for (const [name, options] of cases) {
  Deno.test(`experts are drawn as often as the returned probabilities say (${name})`, async () => {
    const draws = await drawMany(options);
    const { weights } = draws[0]!;
    assert.ok(Math.abs(weights.reduce((sum, w) => sum + w, 0) - 1) < 1e-6);
    const counts = new Array<number>(4).fill(0);
    for (const draw of draws) {
      counts[draw.index]!++;
      assert.deepEqual(draw.weights, weights);
      assert.equal(draw.weight, weights[draw.index]);
      assert.ok(Math.abs(draw.logProb - Math.log(draw.weight)) < 1e-6);
      assert.ok(draw.logProb <= 0);
    }
    const chiSquare = counts.reduce((sum, n, e) => {
      const wanted = draws.length * weights[e]!;
      return sum + (n - wanted) ** 2 / wanted;
    }, 0);
    assert.ok(chiSquare < 16.3, `chi-square ${chiSquare} of 3 degrees, wanted below the 0.1 % quantile`);
  });
}

Deno.test("temperature divides the logits", async () => {
  await using drawn = await policy();
  const { logProbs } = await drawn.forward([QUERY]);
  const { weights } = await drawn.sample(QUERY, { temperature: 2.5, seed: 1 });
  const exps = logProbs.map((logProb) => Math.exp(logProb / 2.5));
  const sum = exps.reduce((total, x) => total + x, 0);
  weights.forEach((weight, e) => assert.ok(Math.abs(weight - exps[e]! / sum) < 1e-6));
});

Deno.test("epsilon mixes in the uniform distribution", async () => {
  await using drawn = await policy();
  const { weights: plain } = await drawn.forward([QUERY]);
  const { weights } = await drawn.sample(QUERY, { epsilon: 0.25, seed: 1 });
  weights.forEach((weight, e) => assert.ok(Math.abs(weight - (0.75 * plain[e]! + 0.25 / 4)) < 1e-6));
  const { weights: uniform, logProb } = await drawn.sample(QUERY, { epsilon: 1, seed: 1 });
  assert.deepEqual(uniform, new Float32Array(4).fill(0.25));
  assert.equal(logProb, Math.log(0.25));
});

Deno.test("without options the probabilities are those of forward", async () => {
  await using drawn = await policy();
  const { weights } = await drawn.forward([QUERY]);
  const sample = await drawn.sample(QUERY);
  weights.forEach((weight, e) => assert.ok(Math.abs(sample.weights[e]! - weight) < 1e-7));
  assert.equal(sample.expert, drawn.experts[sample.index]);
});

Deno.test("the same seed draws the same expert, and no seed draws different ones", async () => {
  await using drawn = await policy();
  const options = { temperature: 3, seed: 42 };
  assert.deepEqual(await drawn.sample(QUERY, options), await drawn.sample(QUERY, options));
  const unseeded = new Set<number>();
  // At temperature 1000 all four are about equally likely: that 60 draws agree has odds of 4^-59.
  for (let i = 0; i < 60; i++) unseeded.add((await drawn.sample(QUERY, { temperature: 1000 })).index);
  assert.ok(unseeded.size > 1);
});

Deno.test("however small the temperature, the likeliest expert is drawn with certainty", async () => {
  await using drawn = await policy();
  const { weights } = await drawn.forward([QUERY]);
  for (const temperature of [1e-3, 1e-30, 1e-45, Number.MIN_VALUE]) {
    const sample = await drawn.sample(QUERY, { temperature, seed: 1 });
    assert.deepEqual([sample.index, sample.weight, sample.logProb], [weights.indexOf(Math.max(...weights)), 1, 0]);
  }
});

Deno.test("a temperature or an epsilon that makes no sense is refused", async () => {
  await using drawn = await policy();
  for (const temperature of [0, -1, NaN, Infinity]) {
    await assert.rejects(drawn.sample(QUERY, { temperature }), (thrown) => {
      return thrown instanceof RlcfError && /temperature is .*, wanted a number > 0/.test(thrown.message);
    });
  }
  for (const epsilon of [-0.1, 1.1, NaN]) {
    await assert.rejects(drawn.sample(QUERY, { epsilon }), (thrown) => {
      return thrown instanceof RlcfError && /epsilon is .*, wanted a number from 0 to 1/.test(thrown.message);
    });
  }
});
