import assert from "node:assert/strict";
import fc from "fast-check";
import type { EpisodeSet } from "../../src/episodes/episode_set.ts";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import { DISCOUNT_BELOW, discountContradictions } from "../../src/train/contradictions.ts";
import { crossFitValues } from "../../src/train/reward_model.ts";
import { SingleStepTrainer } from "../../src/train/single_step_trainer.ts";
import { TrainingRun } from "../../src/train/training_run.ts";
import { allRows, syntheticEpisodes } from "./support.ts";

const USERS = 10;

/** A log of ten users; the given ones answer the opposite of the truth. */
function judged(size: number, contrarians: readonly string[], seed = 1): EpisodeSet {
  const { episodes } = syntheticEpisodes({ size, noise: 0.05, seed });
  const userIds = Array.from({ length: size }, (_, i) => `u${i % USERS}`);
  const rewards = episodes.rewards.map((reward, i) => contrarians.includes(userIds[i]!) ? 1 - reward : reward);
  return { ...episodes, userIds, rewards };
}

async function discounted(episodes: EpisodeSet): Promise<ReturnType<typeof discountContradictions>> {
  const rows = allRows(episodes.size);
  return discountContradictions(episodes, rows, (await crossFitValues(episodes, rows)).valuesNE);
}

Deno.test("users who answer the opposite of the truth are found, and nobody else", async () => {
  const found = await discounted(judged(1000, ["u3", "u7"]));
  assert.deepEqual(found.contradictions.map(({ userId }) => userId).sort(), ["u3", "u7"]);
  for (const { episodes, factor } of found.contradictions) {
    assert.equal(episodes, 100);
    assert.ok(factor > 0 && factor < DISCOUNT_BELOW);
  }
});

Deno.test("only the weights of those users change, by their factor", async () => {
  const episodes = judged(400, ["u3"]);
  const found = await discounted(episodes);
  const { factor } = found.contradictions[0]!;
  for (const [i, user] of episodes.userIds.entries()) {
    const before = episodes.sampleWeights[i]!;
    assert.equal(found.episodes.sampleWeights[i], user === "u3" ? before * factor : before);
  }
  assert.equal(found.episodes.rewards, episodes.rewards);
});

Deno.test("an honest log stays as it is, to the object", async () => {
  const episodes = judged(400, []);
  const found = await discounted(episodes);
  assert.deepEqual(found.contradictions, []);
  assert.equal(found.episodes, episodes);
});

Deno.test("one surprising answer convicts nobody", async () => {
  const honest = judged(400, []);
  const userIds = honest.userIds.map((user, i) => i === 0 ? "newcomer" : user);
  const rewards = honest.rewards.slice();
  // Twice the usual error, on a single row: five usual rows stand beside it.
  const values = await crossFitValues(honest, allRows(400));
  const valuesNE = values.valuesNE;
  const drawn = honest.mixtures.subarray(0, 4).indexOf(1);
  rewards[0] = valuesNE[drawn]! + 2 * Math.sqrt(values.meanSquaredError);
  const found = discountContradictions({ ...honest, rewards, userIds }, allRows(400), valuesNE);
  assert.deepEqual(found.contradictions, []);
});

Deno.test("rows that name nobody, or lie outside the training rows, keep their weight", async () => {
  const episodes = judged(400, ["u3"]);
  const userIds = episodes.userIds.map((user, i) => i < 20 ? null : user);
  const rows = allRows(400).filter((row) => row < 300);
  const set = { ...episodes, userIds };
  const found = discountContradictions(set, rows, (await crossFitValues(set, rows)).valuesNE);
  assert.equal(found.contradictions.length, 1);
  for (const i of [3, 13, 303, 313]) assert.equal(found.episodes.sampleWeights[i], episodes.sampleWeights[i]);
});

Deno.test("perfect values and empty logs discount nobody", () => {
  const { episodes } = syntheticEpisodes({ size: 40 });
  const userIds = Array.from({ length: 40 }, (_, i) => `u${i % 4}`);
  const exact = new Float32Array(160).map((_, k) => episodes.rewards[Math.floor(k / 4)]!);
  const rewards = Float64Array.from({ length: 40 }, (_, row) => exact[4 * row]!);
  const set = { ...episodes, userIds, rewards };
  assert.deepEqual(discountContradictions(set, allRows(40), exact).contradictions, []);
  assert.deepEqual(discountContradictions(set, new Uint32Array(), exact).contradictions, []);
});

Deno.test("factors lie between 0 and the threshold, the strongest discount first, whatever the rewards", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 40, maxLength: 40 }), (rewards) => {
      const set = { ...judged(40, []), rewards: Float64Array.from(rewards) };
      const { contradictions } = discountContradictions(set, allRows(40), new Float32Array(160).fill(0.5));
      for (const [i, { factor }] of contradictions.entries()) {
        assert.ok(factor > 0 && factor < DISCOUNT_BELOW);
        assert.ok(i === 0 || contradictions[i - 1]!.factor <= factor);
      }
    }),
    { seed: 20261122 },
  );
});

/** The parameters after a short run. */
async function trained(episodes: EpisodeSet, discountContradictions?: boolean): Promise<Float32Array> {
  await using policy = await GatingPolicy.create({ inputDim: 6, hiddenDim: 4, seed: 1, backend: "simd" });
  const run = await TrainingRun.start({
    trainer: new SingleStepTrainer({ policy }),
    episodes,
    trainingRows: allRows(episodes.size),
    objective: "doubly_robust",
    epochs: 1,
    batchSize: 8,
    seed: 7,
    discountContradictions,
  });
  assert.equal(run.contradictions.length > 0, discountContradictions !== false && episodes.rewards[3] !== HONEST[3]);
  await run.advance(1e9);
  return (await policy.engine.read()).parameters;
}
const HONEST = judged(400, []).rewards;

Deno.test("a run discounts by default, only if somebody contradicts, and not when told not to", async () => {
  const spoiled = judged(400, ["u3", "u7"]);
  assert.notDeepEqual(await trained(spoiled), await trained(spoiled, false));
  const honest = judged(400, []);
  assert.deepEqual(await trained(honest), await trained(honest, false));
});

Deno.test("somebody who uses the whole scale among people who always give the same contradicts nobody", async () => {
  const honest = judged(700, []);
  const userIds = honest.userIds.map((user) => user === "u0" ? "careful" : user);
  // The careful one tells good from bad, strongly; the others are as good as silent.
  const rewards = honest.rewards.map((reward, i) => userIds[i] === "careful" ? 0.5 + 3 * (reward - 0.5) : 0.8);
  const set = { ...honest, rewards, userIds };
  const values = (await crossFitValues(set, allRows(700))).valuesNE;
  assert.deepEqual(discountContradictions(set, allRows(700), values).contradictions, []);
});

Deno.test("the reward model of a run, which the evaluation uses, is fitted before anybody is discounted", async () => {
  const episodes = judged(1000, ["u3", "u7"]);
  const rows = allRows(1000);
  await using policy = await GatingPolicy.create({ inputDim: episodes.inputDim, hiddenDim: 4, backend: "simd" });
  const options = {
    episodes,
    trainingRows: rows,
    objective: "doubly_robust",
    epochs: 1,
    batchSize: 32,
    seed: 1,
  } as const;
  const run = await TrainingRun.start({ trainer: new SingleStepTrainer({ policy }), ...options });
  assert.ok(run.contradictions.length > 0);
  assert.deepEqual(run.rewardModel, (await crossFitValues(episodes, rows)).model);
  const discounts = (await discounted(episodes)).episodes;
  assert.notDeepEqual(run.rewardModel, (await crossFitValues(discounts, rows)).model);
});
