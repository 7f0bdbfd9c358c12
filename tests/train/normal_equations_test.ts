import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import type { EpisodeSet } from "../../src/episodes/episode_set.ts";
import { Design, INTERCEPT } from "../../src/train/design.ts";
import { NormalEquations, paysToSum } from "../../src/train/normal_equations.ts";
import { relativeError } from "../support/numbers.ts";
import { allRows, syntheticEpisodes } from "./support.ts";

/** A log whose embeddings lie around `distance`, the design of `regressions` on it, and what is subtracted. */
function designOf(
  options: { size: number; inputDim: number; seed?: number; soft?: boolean; distance?: number; regressions?: number },
): { episodes: EpisodeSet; design: Design; folds: Uint8Array; mean: Float64Array; regressions: number } {
  const { inputDim, size, distance = 0, regressions = 3 } = options;
  const { episodes: near } = syntheticEpisodes(options);
  const episodes = { ...near, embeddings: near.embeddings.map((value) => value + distance) };
  const random = new Random(9);
  // Fold 2 of 3 regressions is left out by none where there are only two.
  const folds = Uint8Array.from({ length: size }, () => random.below(3));
  const mean = new Float64Array(inputDim).fill(distance);
  const design = new Design(episodes, { rows: allRows(size), folds, regressions, mean });
  return { episodes, design, folds, mean, regressions };
}

/** `sum_i w_i row_i (row_i . theta)` of each regression in float64, row by row. */
function productsInLoops(
  { episodes, folds, mean, regressions }: ReturnType<typeof designOf>,
  coefficients: Float64Array,
): Float64Array {
  const { inputDim, embeddings, sampleWeights, mixtures, experts, size } = episodes;
  const width = inputDim + 1;
  const sums = new Float64Array(coefficients.length);
  for (let row = 0; row < size; row++) {
    const features = Float64Array.from(
      { length: width },
      (_, i) => i === inputDim ? INTERCEPT : embeddings[row * inputDim + i]! - mean[i]!,
    );
    const expert = experts.findIndex((_, e) => mixtures[row * experts.length + e] === 1);
    for (let k = 0; k < regressions; k++) {
      if (folds[row] === k) continue;
      const start = (k * experts.length + expert) * width;
      const product = features.reduce((sum, feature, i) => sum + feature * coefficients[start + i]!, 0);
      for (let i = 0; i < width; i++) sums[start + i]! += sampleWeights[row]! * product * features[i]!;
    }
  }
  return sums;
}

Deno.test("the products are those of the rows one by one, wherever the embeddings lie and whoever leaves rows out", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 0, max: 400 }),
      fc.constantFrom(0, 5),
      fc.integer({ min: 1, max: 3 }),
      async (seed, inputDim, more, distance, regressions) => {
        // Three folds of four experts: so many rows that their matrices are small beside them.
        const size = 8 * 12 * inputDim + more;
        const made = designOf({ size, inputDim, seed, distance, regressions });
        const equations = await NormalEquations.of(made.episodes, made.design, made.mean);
        assert.ok(equations !== undefined);
        const random = new Random(seed);
        const coefficients = Float64Array.from({ length: regressions * 4 * (inputDim + 1) }, () => random.normal());
        const wanted = productsInLoops(made, coefficients);
        assert.ok(relativeError(equations.multiply(coefficients), wanted) < 1e-5);
        const swept = made.design.weightedSums(
          coefficients,
          (row, _, product) => made.episodes.sampleWeights[row]! * product,
        );
        assert.ok(relativeError(swept, wanted) < 1e-5);
      },
    ),
    { seed: 1, numRuns: 40 },
  );
});

Deno.test("mixtures are not summed up, nor logs that are smaller than eight times their matrices", async () => {
  for (
    const [options, summed] of [
      [{ size: 4000, inputDim: 6, soft: true }, false],
      [{ size: 8 * 12 * 6 - 1, inputDim: 6 }, false],
      [{ size: 8 * 12 * 6, inputDim: 6 }, true],
    ] as const
  ) {
    const { episodes, design, mean } = designOf(options);
    assert.equal(await NormalEquations.of(episodes, design, mean) !== undefined, summed, JSON.stringify(options));
  }
  assert.ok(paysToSum(100_000, 16, 768) && !paysToSum(98_000, 16, 768));
  assert.ok(!paysToSum(1e9, 48, 4096), "the kernels could not address them");
});

Deno.test("while rows are summed up it is told how many, and an error of the listener ends it", async () => {
  const { episodes, design, mean } = designOf({ size: 1000, inputDim: 6 });
  const told: number[] = [];
  await NormalEquations.of(episodes, design, mean, (share) => told.push(share));
  assert.deepEqual(told, told.toSorted((a, b) => a - b));
  assert.deepEqual([told.length, told[0]], [12, 0]);
  assert.ok(told.at(-1)! < 1);
  const stop = (): void => {
    throw new Error("enough");
  };
  await assert.rejects(NormalEquations.of(episodes, design, mean, stop), /enough/);
});
