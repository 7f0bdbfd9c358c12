import assert from "node:assert/strict";
import type { EpisodeSet } from "../../src/episodes/episode_set.ts";
import { hashToUnit } from "../../src/episodes/holdout.ts";
import { crossFitValues, fitRewardModel, predictRows } from "../../src/train/reward_model.ts";
import { relativeError } from "../support/numbers.ts";
import { solve } from "./linear_system.ts";
import { allRows, syntheticEpisodes } from "./support.ts";

/** The set with the reward of one row changed. */
function withReward(episodes: EpisodeSet, row: number, reward: number): EpisodeSet {
  const rewards = episodes.rewards.slice();
  rewards[row] = reward;
  return { ...episodes, rewards };
}

/** q(x, e) of every row under coefficients [E, I + 1], in plain loops. */
function valuesOf(episodes: EpisodeSet, theta: Float64Array): number[] {
  const { inputDim, experts, embeddings, size } = episodes;
  return Array.from({ length: size * experts.length }, (_, k) => {
    const [row, e] = [Math.floor(k / experts.length), k % experts.length];
    let value = theta[e * (inputDim + 1) + inputDim]!;
    for (let i = 0; i < inputDim; i++) value += theta[e * (inputDim + 1) + i]! * embeddings[row * inputDim + i]!;
    return value;
  });
}

/** Values [N, E] less the mean over the experts of each row: all that a policy can see of them. */
function contrasts(values: ArrayLike<number>): number[] {
  return Array.from(values, (value, k) => {
    const start = k - k % 4;
    return value - (values[start]! + values[start + 1]! + values[start + 2]! + values[start + 3]!) / 4;
  });
}

/**
 * Values [N, E] in float64 by ridge regression under the spectral prior, through the normal equations: the features of
 * expert e are `u_e [C (x - mean), 30]`, the penalty the ridge times the mean weight times the embeddings' variance.
 *
 * @param priorRows rows whose covariance C is; those of the fit by default
 */
function ridgeInClosedForm(episodes: EpisodeSet, rows: Uint32Array, ridge: number, priorRows = rows): number[] {
  const { inputDim, experts, embeddings, mixtures, sampleWeights, rewards } = episodes;
  const width = inputDim + 1;
  const size = experts.length * width;
  const entry = (row: number, i: number): number => embeddings[row * inputDim + i]!;
  const center = Float64Array.from({ length: inputDim }, (_, i) => {
    return priorRows.reduce((sum, row) => sum + entry(row, i), 0) / priorRows.length;
  });
  const covariance = Array.from({ length: inputDim }, () => new Float64Array(inputDim));
  for (const row of priorRows) {
    for (let i = 0; i < inputDim; i++) {
      for (let j = 0; j < inputDim; j++) {
        covariance[i]![j]! += (entry(row, i) - center[i]!) * (entry(row, j) - center[j]!) / priorRows.length;
      }
    }
  }
  const totalVariance = covariance.reduce((sum, row, i) => sum + row[i]!, 0);
  const featuresOf = (row: number): Float64Array =>
    Float64Array.from({ length: width }, (_, i) => {
      if (i === inputDim) return 30;
      let product = 0;
      for (let j = 0; j < inputDim; j++) product += covariance[i]![j]! * (entry(row, j) - center[j]!);
      return product * inputDim / totalVariance;
    });
  const system = Array.from({ length: size }, () => new Float64Array(size + 1));
  const mass = rows.reduce((sum, row) => sum + sampleWeights[row]!, 0);
  // Intercepts are drawn towards the mean reward, not towards 0.
  const mean = rows.reduce((sum, row) => sum + sampleWeights[row]! * rewards[row]!, 0) / mass;
  for (const row of rows) {
    const own = featuresOf(row);
    const features = Float64Array.from({ length: size }, (_, k) => {
      return mixtures[row * experts.length + Math.floor(k / width)]! * own[k % width]!;
    });
    for (let j = 0; j < size; j++) {
      if (features[j] === 0) continue;
      for (let k = 0; k < size; k++) system[j]![k]! += sampleWeights[row]! * features[j]! * features[k]!;
      system[j]![size]! += sampleWeights[row]! * features[j]! * (rewards[row]! - mean);
    }
  }
  for (let k = 0; k < size; k++) system[k]![k]! += ridge * (mass / rows.length) * totalVariance;
  const phi = solve(system);
  return Array.from({ length: episodes.size * experts.length }, (_, k) => {
    const [row, start] = [Math.floor(k / experts.length), (k % experts.length) * width];
    return featuresOf(row).reduce((sum, feature, i) => sum + feature * phi[start + i]!, mean);
  });
}

/** A log of drawn experts and one of mixtures, one after the other. */
function mixedLog(size: number, inputDim: number): EpisodeSet {
  const [drawn, mixed] = [false, true].map((soft) => syntheticEpisodes({ size, inputDim, soft, noise: 0.1 }).episodes);
  const half = size / 2;
  const experts = drawn!.experts.length;
  const mixtures = drawn!.mixtures.slice();
  mixtures.set(mixed!.mixtures.subarray(half * experts), half * experts);
  return { ...drawn!, mixtures };
}

for (const soft of [false, true]) {
  const log = soft ? "mixed" : "drawn";
  Deno.test(`a linear truth is recovered from ${log} experts`, async () => {
    const { episodes, truth } = syntheticEpisodes({ size: 400, soft });
    const { theta } = await fitRewardModel(episodes, allRows(400), 1e-6);
    const error = relativeError(contrasts(valuesOf(episodes, theta)), contrasts(valuesOf(episodes, truth)));
    assert.ok(error < 0.15, `contrasts are off by ${error}`);
    const values = new Float32Array(400 * 4);
    predictRows({ theta }, episodes, allRows(400), values);
    assert.ok(relativeError(values, valuesOf(episodes, truth)) < 5e-2);
  });

  Deno.test(`the cross-fitted values of ${log} experts are near a linear truth in spite of noise`, async () => {
    const { episodes, truth } = syntheticEpisodes({ size: 1000, soft, noise: 0.05 });
    const { valuesNE } = await crossFitValues(episodes, allRows(1000));
    const wanted = valuesOf(episodes, truth);
    const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
    const spread = Math.hypot(...wanted.map((value) => value - mean));
    const error = Math.hypot(...wanted.map((value, i) => value - valuesNE[i]!));
    assert.ok(error < 0.6 * spread, `off by ${error} of a spread of ${spread}`);
  });

  // Of the larger log, where experts were drawn, the normal equations are summed up.
  for (const size of [60, 600]) {
    Deno.test(`the fit to ${size} rows of ${log} experts is the ridge regression in closed form`, async () => {
      const { episodes } = syntheticEpisodes({ size, soft, noise: 0.1 });
      const rows = allRows(size).filter((row) => row % 5 !== 0);
      for (const ridge of [3, 30, 300]) {
        const found = new Float32Array(4 * size);
        predictRows(await fitRewardModel(episodes, rows, ridge), episodes, allRows(size), found);
        const wanted = ridgeInClosedForm(episodes, rows, ridge);
        assert.ok(relativeError(found, wanted) < 1e-3, `ridge ${ridge}`);
        const error = relativeError(contrasts(found), contrasts(wanted));
        assert.ok(error < 0.01, `contrasts are off by ${error} at ridge ${ridge}`);
      }
    });
  }
}

Deno.test("the fit is the closed form for more rows than a window has, some drawn, some mixed", async () => {
  const episodes = mixedLog(1400, 13);
  const found = new Float32Array(5600);
  const rows = allRows(1400).filter((row) => row % 9 !== 0);
  predictRows(await fitRewardModel(episodes, rows, 10), episodes, allRows(1400), found);
  const wanted = ridgeInClosedForm(episodes, rows, 10);
  assert.ok(relativeError(found, wanted) < 1e-3);
  assert.ok(relativeError(contrasts(found), contrasts(wanted)) < 5e-3);
});

Deno.test("the fit is the closed form where the embeddings lie far from 0", async () => {
  const { episodes } = syntheticEpisodes({ size: 300, noise: 0.1 });
  // A hundred times as far as they differ: to a few digits less, float32 embeddings say the same.
  const far = { ...episodes, embeddings: episodes.embeddings.map((entry) => entry + 40) };
  const found = new Float32Array(1200);
  predictRows(await fitRewardModel(far, allRows(300), 10), far, allRows(300), found);
  const wanted = ridgeInClosedForm(far, allRows(300), 10);
  assert.ok(relativeError(found, wanted) < 1e-3);
  assert.ok(relativeError(contrasts(found), contrasts(wanted)) < 0.01);
});

Deno.test("cross-fitted values are the closed form on the other folds, for more rows than a window has", async () => {
  const episodes = mixedLog(1200, 9);
  const { valuesNE, ridge } = await crossFitValues(episodes, allRows(1200));
  const foldOf = (row: number): number => Math.floor(4 * hashToUnit(`fold ${episodes.queryIds[row]}`));
  for (let fold = 0; fold < 4; fold++) {
    const others = allRows(1200).filter((row) => foldOf(row) !== fold);
    const wanted = ridgeInClosedForm(episodes, others, ridge, allRows(1200));
    const own = wanted.map((_, k) => k).filter((k) => foldOf(Math.floor(k / 4)) === fold);
    const error = relativeError(own.map((k) => valuesNE[k]!), own.map((k) => wanted[k]!));
    // The solver stops at a residual of 1e-3; solved to the end, they agree to 1e-6.
    assert.ok(error < 3e-3, `off by ${error} in fold ${fold}`);
  }
});

Deno.test("the model beside the cross-fitted values is the closed form on all rows, and none but the given ones", async () => {
  const episodes = mixedLog(1200, 9);
  const rows = allRows(1200).filter((row) => row % 7 !== 0);
  const { model, ridge } = await crossFitValues(episodes, rows);
  const found = new Float32Array(4800);
  predictRows(model, episodes, allRows(1200), found);
  const wanted = ridgeInClosedForm(episodes, rows, ridge);
  // As above: the solver stops at a residual of 1e-3.
  assert.ok(relativeError(found, wanted) < 3e-3);
  assert.ok(relativeError(contrasts(found), contrasts(wanted)) < 0.02);
  const { theta } = (await crossFitValues(withReward(episodes, 7, 1 - episodes.rewards[7]!), rows)).model;
  assert.deepEqual(theta, model.theta);
});

Deno.test("the values of a row never depend on its own reward", async () => {
  const { episodes } = syntheticEpisodes({ size: 80, noise: 0.1 });
  const rows = allRows(80);
  const before = await crossFitValues(episodes, rows);
  for (const row of [0, 13, 40, 79]) {
    const after = await crossFitValues(withReward(episodes, row, episodes.rewards[row]! + 0.05), rows);
    // One ridge is chosen for all rows by the error on all of them; that choice alone could carry a row's reward over.
    assert.equal(after.ridge, before.ridge);
    assert.deepEqual(after.valuesNE.subarray(4 * row, 4 * row + 4), before.valuesNE.subarray(4 * row, 4 * row + 4));
    assert.notDeepEqual(after.valuesNE, before.valuesNE);
  }
});

Deno.test("the values of a row never depend on another reward of its query", async () => {
  const { episodes } = syntheticEpisodes({ size: 80, noise: 0.1 });
  const queryIds = episodes.queryIds.map((query, row) => row === 30 ? episodes.queryIds[3]! : query);
  const before = await crossFitValues({ ...episodes, queryIds }, allRows(80));
  const changed = withReward({ ...episodes, queryIds }, 30, episodes.rewards[30]! + 0.02);
  const after = await crossFitValues(changed, allRows(80));
  assert.equal(after.ridge, before.ridge);
  assert.deepEqual(after.valuesNE.subarray(12, 16), before.valuesNE.subarray(12, 16));
});

Deno.test("rows that are held out neither teach nor get a value", async () => {
  const { episodes } = syntheticEpisodes({ size: 80, noise: 0.1 });
  const rows = allRows(80).filter((row) => row >= 20);
  const { valuesNE } = await crossFitValues(episodes, rows);
  assert.ok(valuesNE.subarray(0, 4 * 20).every((value) => value === 0));
  assert.deepEqual((await crossFitValues(withReward(episodes, 5, 0), rows)).valuesNE, valuesNE);
});

Deno.test("the fold of a query is not the digit by which it is held out", () => {
  const heldOut = Array.from({ length: 4000 }, (_, i) => `query_${i}`).filter((query) => hashToUnit(query) < 0.2);
  const counts = [0, 0, 0, 0];
  for (const query of heldOut) counts[Math.floor(4 * hashToUnit(`fold ${query}`))]!++;
  assert.ok(Math.min(...counts) > heldOut.length / 4 * 0.75, `folds of the held-out queries: ${counts}`);
});

Deno.test("feedback of more weight counts for more in the fit", async () => {
  const { episodes } = syntheticEpisodes({ size: 40 });
  const rewards = episodes.rewards.map((_, row) => row < 20 ? 1 : 0);
  const meanValue = async (first: number): Promise<number> => {
    const sampleWeights = episodes.sampleWeights.map((_, row) => row < 20 ? first : 1);
    const weighted = { ...episodes, rewards, sampleWeights };
    const values = new Float32Array(160);
    predictRows(await fitRewardModel(weighted, allRows(40), 100), weighted, allRows(40), values);
    return values.reduce((sum, value) => sum + value, 0) / 160;
  };
  assert.ok(await meanValue(9) > await meanValue(1) + 0.2);
});

Deno.test("one query alone, or embeddings of zeros, give finite values", async () => {
  const { episodes } = syntheticEpisodes({ size: 10, noise: 0.1 });
  const oneQuery = { ...episodes, queryIds: episodes.queryIds.map(() => "q") };
  const zeros = { ...episodes, embeddings: new Float32Array(episodes.embeddings.length) };
  for (const odd of [oneQuery, zeros]) {
    assert.ok((await crossFitValues(odd, allRows(10))).valuesNE.every(Number.isFinite));
  }
});

for (const [way, size] of [["swept over", 100], ["summed up", 1000]] as const) {
  Deno.test(`while a log is ${way}, timers have their turn again and again`, async () => {
    const { episodes } = syntheticEpisodes({ size, noise: 0.1 });
    // A clock by which everything takes long, so that each turn is due.
    const { now } = performance;
    let time = 0;
    performance.now = () => time += 1000;
    let rang = 0;
    const timer = setInterval(() => rang++);
    try {
      let calls = 0;
      await crossFitValues(episodes, allRows(size), { onFit: () => void calls++ });
      assert.ok(calls > 5 && rang >= 2, `${rang} turns, told ${calls} times`);
    } finally {
      clearInterval(timer);
      performance.now = now;
    }
  });
}
