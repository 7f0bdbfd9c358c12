/** What the finite differences of tests/engine/gradient_test.ts cannot see: the values of the heads themselves. */
import assert from "node:assert/strict";
import { type HeadBatch, logSoftmax, LOSS_HEADS } from "../../src/loss/heads.ts";

const BATCH: HeadBatch = {
  size: 2,
  outputs: 2,
  coefficientsBE: Float64Array.of(1, 0, 0.5, -0.5),
  targetsB: Float64Array.of(0.75, 0.25),
  sampleWeightsB: Float64Array.of(1, 3),
  entropyCoef: 0.1,
};

/** Rows with probabilities 1/4, 3/4 and 1/2, 1/2. */
const LOGITS = Float64Array.of(0, Math.log(3), 5, 5);
const ENTROPY = ((0.25 * Math.log(4) + 0.75 * Math.log(4 / 3)) + Math.log(2)) / 2;

function near(found: number, wanted: number): void {
  assert.ok(Math.abs(found - wanted) < 1e-14, `found ${found}, wanted ${wanted}`);
}

Deno.test("the policy's loss is minus its mean weighted gain less the entropy bonus", () => {
  const { loss, entropy } = LOSS_HEADS.policy_gain(LOGITS, BATCH, new Float64Array(4));
  near(entropy, ENTROPY);
  near(loss, -(1 * 0.25 * 1 + 3 * (0.5 * 0.5 - 0.5 * 0.5)) / 2 - 0.1 * ENTROPY);
});

Deno.test("the soft target's loss is the weighted cross entropy less the entropy bonus", () => {
  const { loss, entropy } = LOSS_HEADS.soft_target(LOGITS, BATCH, new Float64Array(4));
  near(entropy, ENTROPY);
  near(loss, -(1 * Math.log(0.25) + 3 * (0.5 * Math.log(0.5) - 0.5 * Math.log(0.5))) / 2 - 0.1 * ENTROPY);
});

Deno.test("the regression's loss is the mean weighted squared error of the mixture, without an entropy", () => {
  const { loss, entropy } = LOSS_HEADS.masked_regression(Float64Array.of(1, 9, 2, 4), BATCH, new Float64Array(4));
  assert.equal(entropy, 0);
  near(loss, (1 * (1 - 0.75) ** 2 + 3 * (0.5 * 2 - 0.5 * 4 - 0.25) ** 2) / 2);
});

Deno.test("the softmax of huge logits is finite and sums to 1", () => {
  for (const logits of [[1e30, -1e30, 0], [-1e30, -1e30, -1e30], [700, 710, 720]]) {
    const [pi, logPi] = [new Float64Array(3), new Float64Array(3)];
    logSoftmax(logits, pi, logPi);
    near(pi.reduce((sum, p) => sum + p, 0), 1);
    assert.ok(logPi.every((x) => x <= 0));
  }
});

Deno.test("PPO's loss is the smaller of the free and the bounded gain, and it says how far the policy has moved", () => {
  // The actions' probabilities are 3/4 and 1/2; they were logged with 1/2 (ratio 1.5) and 5/9 (ratio 0.9).
  const batch = { ...BATCH, coefficientsBE: Float64Array.of(0, 2, 1.8, 0), clipRatio: 0.2 };
  const gradient = new Float64Array(4);
  const { loss, entropy, kl, clipFraction } = LOSS_HEADS.ppo_actor(LOGITS, { ...batch, entropyCoef: 0 }, gradient);
  near(entropy, ENTROPY);
  near(loss, -(1 * 1.2 * 0.75 + 3 * 0.9 * 0.25) / 2);
  near(kl, (0.5 - Math.log(1.5) + (-0.1 - Math.log(0.9))) / 2);
  assert.equal(clipFraction, 0.5);
  // The first row has left the range in the direction of its advantage: nothing pulls at it any more.
  assert.deepEqual(Array.from(gradient.subarray(0, 2), Math.abs), [0, 0]);
  near(gradient[2]!, 1.5 * 0.9 * 0.25 * (0.5 - 1));
  near(gradient[3]!, 1.5 * 0.9 * 0.25 * 0.5);
});

Deno.test("PPO pulls a probability back that has left the clip range to the wrong side", () => {
  const batch = { ...BATCH, coefficientsBE: Float64Array.of(0, 2, 0.5 * 4, 0), targetsB: Float64Array.of(-1, 1) };
  const gradient = new Float64Array(4);
  const { loss } = LOSS_HEADS.ppo_actor(LOGITS, { ...batch, entropyCoef: 0 }, gradient);
  near(loss, -(1 * 1.5 * -1 + 3 * 1) / 2);
  near(gradient[1]!, 0.5 * 1.5 * -1 * (0.75 - 1));
});
