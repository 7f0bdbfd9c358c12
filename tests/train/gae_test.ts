import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import { type AdvantageSettings, type EpisodeSteps, writeAdvantages } from "../../src/train/gae.ts";
import { hasShared, readShared } from "../support/shared.ts";

interface GoldenGae {
  readonly cases: readonly {
    readonly name: string;
    readonly rewards: number[];
    readonly values: number[];
    readonly dones: (boolean | number)[];
    readonly gamma: number;
    readonly gae_lambda: number;
    readonly last_value: number;
    readonly advantages: number[];
    readonly returns: number[];
  }[];
}

const episodes = fc.record({
  seed: fc.integer(),
  length: fc.integer({ min: 1, max: 12 }),
  gamma: fc.double({ min: 0, max: 1, noNaN: true }),
  gaeLambda: fc.double({ min: 0, max: 1, noNaN: true }),
  lastValue: fc.double({ min: -2, max: 2, noNaN: true }),
}).map(({ seed, length, ...settings }) => {
  const random = new Random(seed);
  const normals = (): Float64Array => Float64Array.from({ length }, () => random.normal());
  return { episode: { rewards: normals(), values: normals(), dones: new Uint8Array(length) }, settings };
});

function estimated(
  episode: EpisodeSteps,
  settings: AdvantageSettings,
): { readonly advantages: Float64Array; readonly returns: Float64Array } {
  const column = (): Float64Array => new Float64Array(episode.rewards.length);
  const [advantages, returns] = [column(), column()];
  writeAdvantages(episode, settings, advantages, returns);
  return { advantages, returns };
}

function near(found: ArrayLike<number>, wanted: ArrayLike<number>, limit = 1e-10): void {
  assert.equal(found.length, wanted.length);
  for (let t = 0; t < wanted.length; t++) {
    assert.ok(Math.abs(found[t]! - wanted[t]!) <= limit, `entry ${t}: found ${found[t]}, wanted ${wanted[t]}`);
  }
}

Deno.test({
  name: "advantages and returns are the original's, in all nine cases",
  ignore: !hasShared,
  fn: async () => {
    const { cases } = await readShared<GoldenGae>("golden/gae.json");
    assert.equal(cases.length, 9);
    for (const { rewards, values, dones, gamma, gae_lambda: gaeLambda, last_value: lastValue, ...wanted } of cases) {
      const episode = { rewards, values, dones: dones.map(Number) };
      const found = estimated(episode, { gamma, gaeLambda, lastValue });
      near(found.advantages, wanted.advantages, 1e-12);
      near(found.returns, wanted.returns, 1e-12);
    }
  },
});

Deno.test("with lambda 0 an advantage is the critic's error over one step", () => {
  fc.assert(
    fc.property(episodes, ({ episode: { rewards, values, dones }, settings }) => {
      const { gamma, lastValue } = settings;
      const { advantages } = estimated({ rewards, values, dones }, { ...settings, gaeLambda: 0 });
      near(advantages, rewards.map((r, t) => r + gamma * (values[t + 1] ?? lastValue) - values[t]!));
    }),
    { seed: 1, numRuns: 100 },
  );
});

Deno.test("with lambda 1 the returns are the discounted rewards, whatever the critic says", () => {
  fc.assert(
    fc.property(episodes, ({ episode, settings }) => {
      const { gamma, lastValue } = settings;
      const { returns } = estimated(episode, { ...settings, gaeLambda: 1 });
      const wanted = new Float64Array(returns.length);
      let next = lastValue;
      for (let t = wanted.length - 1; t >= 0; t--) wanted[t] = next = episode.rewards[t]! + gamma * next;
      near(returns, wanted);
    }),
    { seed: 2, numRuns: 100 },
  );
});

Deno.test("an advantage is the mean of the k-step ones, weighted by lambda", () => {
  fc.assert(
    fc.property(episodes, ({ episode: { rewards, values, dones }, settings }) => {
      const { gamma, gaeLambda, lastValue } = settings;
      const length = rewards.length;
      // A_t = (1 - lambda) sum_k lambda^(k-1) A_t^(k), the last one carrying all the weight that is left (eq. 16).
      const wanted = rewards.map((_, t) => {
        let [sum, discounted, weight] = [0, 0, 1];
        for (let k = 1; t + k <= length; k++) {
          discounted += gamma ** (k - 1) * rewards[t + k - 1]!;
          const ahead = gamma ** k * (t + k < length ? values[t + k]! : lastValue);
          const share = t + k === length ? weight : weight * (1 - gaeLambda);
          sum += share * (discounted + ahead - values[t]!);
          weight *= gaeLambda;
        }
        return sum;
      });
      near(estimated({ rewards, values, dones }, settings).advantages, wanted);
    }),
    { seed: 3, numRuns: 100 },
  );
});

Deno.test("nothing after an episode's end reaches back over it", () => {
  fc.assert(
    fc.property(episodes, episodes, ({ episode: first, settings }, { episode: second }) => {
      const joined = {
        rewards: [...first.rewards, ...second.rewards],
        values: [...first.values, ...second.values],
        dones: [...first.dones.with(-1, 1), ...second.dones],
      };
      const alone = estimated({ ...first, dones: first.dones.with(-1, 1) }, settings);
      near(estimated(joined, settings).advantages.subarray(0, first.rewards.length), alone.advantages);
    }),
    { seed: 4, numRuns: 100 },
  );
});

Deno.test("a critic that knows the returns leaves no advantage", () => {
  const values = [0.81 * 0.5, 0.9 * 0.5, 0.5];
  const episode = { rewards: [0, 0, 0.5], values, dones: [0, 0, 1] };
  near(estimated(episode, { gamma: 0.9, gaeLambda: 0.7 }).advantages, [0, 0, 0], 1e-15);
});
