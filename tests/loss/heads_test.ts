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
