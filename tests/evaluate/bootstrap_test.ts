import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { bootstrapIntervals, userClusters } from "../../src/evaluate/bootstrap.ts";
import type { Terms } from "../../src/evaluate/estimators.ts";
import { estimateValue } from "../../src/evaluate/policy_value.ts";
import { heldOutValues } from "../../src/evaluate/reward_values.ts";
import { fitRewardModel } from "../../src/train/reward_model.ts";
import { logSupport } from "../../src/evaluate/support.ts";
import { drawnRow, episodesOf } from "../episodes/rows.ts";
import { LoggedWorld } from "../support/logged_world.ts";
import { allRows } from "../train/support.ts";

function ones(n: number): Float64Array {
  return new Float64Array(n).fill(1);
}

function over(numerator: Float64Array): Terms {
  return { numerator, denominator: ones(numerator.length) };
}

Deno.test("users are clusters, and a row that names nobody is one of its own", () => {
  const episodes = episodesOf(
    ["u", null, "v", "u", null].map((userId, i) => drawnRow({ traceId: `t${i}`, queryId: `q${i}`, userId })),
  );
  const { clusters, users } = userClusters(episodes, allRows(5));
  assert.deepEqual(users, ["u", "v"]);
  assert.deepEqual(Array.from(clusters), [0, 2, 1, 0, 3]);
});

Deno.test("the same seed gives the same interval, another one nearly the same", () => {
  const random = new Random(1);
  const terms = over(Float64Array.from({ length: 300 }, () => random.uniform()));
  const clusters = Uint32Array.from({ length: 300 }, (_, i) => i % 50);
  const [a, b, c] = [1, 1, 2].map((seed) => bootstrapIntervals([terms], ones(300), clusters, { seed })[0]!);
  assert.deepEqual(a, b);
  assert.notDeepEqual(a, c);
  assert.ok(Math.abs(a![0] - c![0]) < 0.01 && Math.abs(a![1] - c![1]) < 0.01);
});

Deno.test("the interval of a mean of independent rows is the textbook's", () => {
  const random = new Random(2);
  const values = Float64Array.from({ length: 400 }, () => random.normal());
  const mean = values.reduce((sum, x) => sum + x, 0) / 400;
  const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 399);
  const [interval] = bootstrapIntervals([over(values)], ones(400), allRows(400), { seed: 1, draws: 4000 });
  const half = 1.966 * deviation / 20;
  assert.ok(Math.abs(interval![0] - (mean - half)) < 0.1 * half, String(interval));
  assert.ok(Math.abs(interval![1] - (mean + half)) < 0.1 * half, String(interval));
});

Deno.test("people who all say the same thing many times count once each", () => {
  const random = new Random(3);
  const opinions = Float64Array.from({ length: 30 }, () => random.uniform());
  const repeated = Float64Array.from({ length: 600 }, (_, i) => opinions[i % 30]!);
  const users = Uint32Array.from({ length: 600 }, (_, i) => i % 30);
  const [clustered] = bootstrapIntervals([over(repeated)], ones(600), users, { seed: 1 });
  const [once] = bootstrapIntervals([over(opinions)], ones(30), allRows(30), { seed: 1 });
  const [naive] = bootstrapIntervals([over(repeated)], ones(600), allRows(600), { seed: 1 });
  const width = (interval: readonly [number, number] | null | undefined): number => interval![1] - interval![0];
  assert.ok(Math.abs(width(clustered) / width(once) - 1) < 1e-9);
  assert.ok(width(clustered) > 3 * width(naive));
});

Deno.test("SNIPS is normalised anew in every draw: equal rewards give an interval of no width", () => {
  const random = new Random(4);
  const rho = Float64Array.from({ length: 60 }, () => 5 * random.uniform());
  const [snips, ips] = bootstrapIntervals(
    [{ numerator: rho.map((w) => 0.7 * w), denominator: rho }, over(rho.map((w) => 0.7 * w))],
    ones(60),
    allRows(60),
    { seed: 1 },
  );
  assert.ok(Math.abs(snips![0] - 0.7) < 1e-12 && Math.abs(snips![1] - 0.7) < 1e-12);
  assert.ok(ips![1] - ips![0] > 0.1);
});

Deno.test("a single user, or draws without weight, have no interval", () => {
  const terms = over(Float64Array.of(0.1, 0.9));
  assert.deepEqual(bootstrapIntervals([terms, null], ones(2), Uint32Array.of(0, 0), { seed: 1 }), [null, null]);
  const rare = { numerator: Float64Array.of(1, 0, 0, 0), denominator: Float64Array.of(1, 0, 0, 0) };
  assert.deepEqual(bootstrapIntervals([rare], ones(4), allRows(4), { seed: 1 }), [null]);
});

Deno.test("95% intervals cover the truth of known worlds about as often as they say", async () => {
  // 120 logs: 95% would miss 6; more than 14 or fewer than 1 happens to a sound interval once in a thousand studies.
  // bench/coverage.ts has the study that is large enough for two digits.
  const missed = { ips: 0, snips: 0, doubly_robust: 0 };
  for (let seed = 0; seed < 120; seed++) {
    const world = new LoggedWorld(seed);
    const policy = world.moved(world.logging, 0.05);
    const episodes = world.log({ size: 500, seed: 9000 + seed });
    const [training, holdout] = [allRows(500).subarray(0, 200), allRows(500).subarray(200)];
    const found = estimateValue(episodes, holdout, world.route(episodes, holdout, policy), {
      support: logSupport(episodes),
      valuesNE: await heldOutValues(episodes, training, holdout, await fitRewardModel(episodes, training, 10)),
      seed,
    });
    for (const name of ["ips", "snips", "doubly_robust"] as const) {
      const [low, high] = found.intervals[name]!;
      if (world.valueOf(policy) < low || world.valueOf(policy) > high) missed[name]++;
    }
  }
  for (const [name, count] of Object.entries(missed)) assert.ok(count >= 1 && count <= 14, `${name}: missed ${count}`);
});
