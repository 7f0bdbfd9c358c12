import assert from "node:assert/strict";
import fc from "fast-check";
import { type BaselineSettings, RewardBaseline } from "../../src/train/baseline.ts";

const SETTINGS: BaselineSettings = { baselineDecay: 0.9, normalizeAdvantage: true, minVariance: 0.1 };
const arbitraryBatches = fc.array(
  fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 40 }),
  { minLength: 1, maxLength: 12 },
);

/** The original's rule in so many words. */
function naive(batches: readonly (readonly number[])[], { baselineDecay, minVariance }: BaselineSettings): number[] {
  let [baseline, std] = [0.5, 0.1];
  const history: number[] = [];
  const advantages: number[] = [];
  const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
  for (const batch of batches) {
    history.push(...batch);
    const window = history.slice(-100);
    if (window.length > 1) {
      std = Math.max(minVariance, Math.sqrt(mean(window.map((x) => (x - mean(window)) ** 2))));
    }
    advantages.push(...batch.map((reward) => (reward - baseline) / std));
    baseline = baselineDecay * baseline + (1 - baselineDecay) * mean(batch);
  }
  return [...advantages, baseline, std];
}

Deno.test("advantages, baseline and deviation follow the original's rule", () => {
  fc.assert(
    fc.property(arbitraryBatches, (batches) => {
      const baseline = new RewardBaseline(SETTINGS);
      const found = batches.flatMap((batch) => [...baseline.advantagesOf(batch)]);
      found.push(baseline.baseline, baseline.rewardStd);
      const wanted = naive(batches, SETTINGS);
      assert.equal(found.length, wanted.length);
      found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]!) < 1e-9, `${value}, wanted ${wanted[i]}`));
    }),
    { seed: 1, numRuns: 200 },
  );
});

Deno.test("going on from a saved state is going on", () => {
  fc.assert(
    fc.property(arbitraryBatches, fc.nat({ max: 11 }), (batches, cut) => {
      const whole = new RewardBaseline(SETTINGS);
      const first = new RewardBaseline(SETTINGS);
      for (const batch of batches.slice(0, cut)) {
        whole.advantagesOf(batch);
        first.advantagesOf(batch);
      }
      const second = new RewardBaseline(SETTINGS, JSON.parse(JSON.stringify(first.state)));
      for (const batch of batches.slice(cut)) assert.deepEqual(second.advantagesOf(batch), whole.advantagesOf(batch));
      assert.deepEqual(second.state, whole.state);
    }),
    { seed: 2, numRuns: 100 },
  );
});

Deno.test("equal rewards are divided by the smallest deviation, not by 0", () => {
  const baseline = new RewardBaseline(SETTINGS);
  assert.deepEqual([...baseline.advantagesOf([0.75, 0.75])], [2.5, 2.5]);
});
