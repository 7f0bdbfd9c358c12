import assert from "node:assert/strict";
import { SpectralPrior } from "../../src/train/spectral_prior.ts";
import { allRows, syntheticEpisodes } from "./support.ts";

Deno.test("the prior is the covariance of the embeddings, scaled to mean variance 1, in float32", () => {
  const { episodes } = syntheticEpisodes({ size: 30, inputDim: 4 });
  const rows = allRows(30).filter((row) => row !== 7);
  const prior = new SpectralPrior(episodes, rows);
  const entry = (row: number, i: number): number => episodes.embeddings[row * 4 + i]!;
  const meanOf = (f: (row: number) => number): number => rows.reduce((sum, row) => sum + f(row), 0) / rows.length;
  const mean = [0, 1, 2, 3].map((i) => meanOf((row) => entry(row, i)));
  mean.forEach((value, i) => assert.ok(Math.abs(prior.mean[i]! - value) < 1e-12));
  const covariance = mean.map((_, i) =>
    mean.map((_, j) => meanOf((row) => (entry(row, i) - mean[i]!) * (entry(row, j) - mean[j]!)))
  );
  const trace = covariance.reduce((sum, row, i) => sum + row[i]!, 0);
  assert.ok(Math.abs(prior.totalVariance / trace - 1) < 1e-6);
  for (let j = 0; j < 4; j++) {
    const unit = Float64Array.of(0, 0, 0, 0, 5);
    unit[j] = 1;
    const column = prior.multiply(unit);
    for (let i = 0; i < 4; i++) assert.ok(Math.abs(column[i]! - covariance[i]![j]! * 4 / trace) < 1e-6);
    assert.equal(column[4], 5);
  }
});

Deno.test("several vectors are multiplied each for itself", () => {
  const { episodes } = syntheticEpisodes({ size: 30, inputDim: 4 });
  const prior = new SpectralPrior(episodes, allRows(30));
  const vectors = Float64Array.from({ length: 15 }, (_, i) => i);
  const together = prior.multiply(vectors);
  for (let start = 0; start < 15; start += 5) {
    assert.deepEqual(together.slice(start, start + 5), prior.multiply(vectors.slice(start, start + 5)));
  }
});

Deno.test("without rows, or with equal ones, the prior is 0 and finite", () => {
  const { episodes } = syntheticEpisodes({ size: 3, inputDim: 4 });
  for (const rows of [new Uint32Array(0), Uint32Array.of(1, 1, 1)]) {
    const prior = new SpectralPrior(episodes, rows);
    assert.equal(prior.totalVariance, 0);
    assert.deepEqual(prior.multiply(Float64Array.of(1, 2, 3, 4, 5)), Float64Array.of(0, 0, 0, 0, 5));
  }
});
