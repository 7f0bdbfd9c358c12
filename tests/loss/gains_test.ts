import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import { directGain, doublyRobustGain, mixtureGain, reinforceGain, softTargetGain } from "../../src/loss/gains.ts";
import { type HeadBatch, LOSS_HEADS, type LossHeadName } from "../../src/loss/heads.ts";
import { relativeError } from "../support/numbers.ts";

/** Random logits, logging probabilities and rewards over some experts. */
interface Problem {
  readonly logitsE: Float64Array;
  readonly piE: Float64Array;
  readonly muE: Float64Array;
  readonly rewardE: Float64Array;
}

const problems = fc.record({ seed: fc.integer(), experts: fc.integer({ min: 2, max: 6 }) }).map(
  ({ seed, experts }): Problem => {
    const random = new Random(seed);
    const draw = (from: () => number): Float64Array => Float64Array.from({ length: experts }, from);
    const softmax = (logits: Float64Array): Float64Array => {
      const exps = logits.map(Math.exp);
      return exps.map((x) => x / exps.reduce((sum, y) => sum + y, 0));
    };
    const logitsE = draw(() => random.normal());
    return {
      logitsE,
      piE: softmax(logitsE),
      muE: softmax(draw(() => random.normal())),
      rewardE: draw(() => random.uniform()),
    };
  },
);

function oneHot(experts: number, drawn: number): Float64Array {
  return Float64Array.from({ length: experts }, (_, e) => e === drawn ? 1 : 0);
}

/** The gradient at the logits of a head on one row, without an entropy bonus. */
function gradientOf(head: LossHeadName, logitsE: Float64Array, coefficientsBE: Float64Array): Float64Array {
  const batch: HeadBatch = {
    size: 1,
    outputs: logitsE.length,
    coefficientsBE,
    targetsB: Float64Array.of(0),
    sampleWeightsB: Float64Array.of(1),
    entropyCoef: 0,
  };
  const gradient = new Float64Array(logitsE.length);
  LOSS_HEADS[head](logitsE, batch, gradient);
  return gradient;
}

/** d (-sum_e pi_e r_e) / d logit_e, by the formula of the softmax: the gradient that training should follow. */
function trueGradient({ piE, rewardE }: Problem): Float64Array {
  const value = piE.reduce((sum, pi, e) => sum + pi * rewardE[e]!, 0);
  return piE.map((pi, e) => -pi * (rewardE[e]! - value));
}

/** The expectation over the logged draw of the gradient that `gain` leads to. */
function expectedGradient(problem: Problem, gain: (drawn: number, gainE: Float64Array) => void): Float64Array {
  const experts = problem.muE.length;
  const mean = new Float64Array(experts);
  for (let drawn = 0; drawn < experts; drawn++) {
    const gainE = new Float64Array(experts);
    gain(drawn, gainE);
    const gradient = gradientOf("policy_gain", problem.logitsE, gainE);
    for (let e = 0; e < experts; e++) mean[e]! += problem.muE[drawn]! * gradient[e]!;
  }
  return mean;
}

function assertClose(found: Float64Array, wanted: Float64Array): void {
  assert.ok(relativeError(found, wanted) < 1e-10, `found ${found}, wanted ${wanted}`);
}

Deno.test("over all draws of the log, REINFORCE's gradient is the true gradient, whatever policy logged", () => {
  fc.assert(
    fc.property(problems, (problem) => {
      const found = expectedGradient(problem, (drawn, gainE) => {
        const mixtureE = oneHot(problem.muE.length, drawn);
        reinforceGain(mixtureE, problem.muE[drawn]!, problem.rewardE[drawn]!, Infinity, gainE);
      });
      assertClose(found, trueGradient(problem));
    }),
    { seed: 1, numRuns: 100 },
  );
});

Deno.test("a baseline leaves the expectation of REINFORCE's gradient as it is", () => {
  fc.assert(
    fc.property(problems, fc.double({ min: -3, max: 3, noNaN: true }), (problem, baseline) => {
      const found = expectedGradient(problem, (drawn, gainE) => {
        const mixtureE = oneHot(problem.muE.length, drawn);
        reinforceGain(mixtureE, problem.muE[drawn]!, problem.rewardE[drawn]! - baseline, Infinity, gainE);
      });
      assert.ok(relativeError(found, trueGradient(problem)) < 1e-9);
    }),
    { seed: 2, numRuns: 100 },
  );
});

Deno.test("on the policy that logged, the gain's gradient is REINFORCE's own: A (pi - one-hot)", () => {
  fc.assert(
    fc.property(problems, ({ logitsE, piE }) => {
      const drawn = 1;
      const gainE = new Float64Array(piE.length);
      reinforceGain(oneHot(piE.length, drawn), piE[drawn]!, 0.7, Infinity, gainE);
      const wanted = piE.map((pi, e) => 0.7 * (pi - (e === drawn ? 1 : 0)));
      assertClose(gradientOf("policy_gain", logitsE, gainE), wanted);
    }),
    { seed: 3, numRuns: 100 },
  );
});

Deno.test("the importance weight is cut at the clip and not before", () => {
  const gain = (propensity: number, advantage: number, clip: number): number[] => {
    const gainE = new Float64Array(3);
    reinforceGain(oneHot(3, 1), propensity, advantage, clip, gainE);
    return Array.from(gainE, (x) => x + 0);
  };
  assert.deepEqual(gain(0.5, 0.25, 20), [0, 0.5, 0]);
  assert.deepEqual(gain(0.01, 0.25, 20), [0, 5, 0]);
  assert.deepEqual(gain(0.01, -0.25, 20), [0, -5, 0]);
  assert.deepEqual(gain(0.05, 1, 20), [0, 20, 0]);
  assert.deepEqual(gain(1, 0.25, 1), [0, 0.25, 0]);
});

Deno.test("the pseudo-inverse gain of a mixture explains exactly the advantage", () => {
  fc.assert(
    fc.property(problems, fc.double({ min: -3, max: 3, noNaN: true }), ({ muE }, advantage) => {
      const gainE = new Float64Array(muE.length);
      mixtureGain(muE, advantage, gainE);
      const explained = muE.reduce((sum, share, e) => sum + share * gainE[e]!, 0);
      assert.ok(Math.abs(explained - advantage) < 1e-12);
    }),
    { seed: 4, numRuns: 100 },
  );
});

Deno.test("the pseudo-inverse gain of a one-hot mixture is REINFORCE's without the importance weight", () => {
  for (const drawn of [0, 1, 2]) {
    const [mixture, reinforce] = [new Float64Array(3), new Float64Array(3)];
    mixtureGain(oneHot(3, drawn), -0.4, mixture);
    reinforceGain(oneHot(3, drawn), 1, -0.4, 20, reinforce);
    assert.deepEqual(mixture, reinforce);
  }
});

Deno.test("an expert without a share in a mixture gets no gain", () => {
  const gainE = new Float64Array(3);
  mixtureGain(Float64Array.of(0.5, 0, 0.5), 1, gainE);
  assert.deepEqual(gainE, Float64Array.of(1, 0, 1));
});

Deno.test("the direct gain is the value less the baseline, which the gradient does not see", () => {
  fc.assert(
    fc.property(problems, fc.double({ min: -5, max: 5, noNaN: true }), (problem, baseline) => {
      const gainE = new Float64Array(problem.rewardE.length);
      directGain(problem.rewardE, baseline, gainE);
      assertClose(gainE, problem.rewardE.map((value) => value - baseline));
      const gradient = gradientOf("policy_gain", problem.logitsE, gainE);
      assert.ok(relativeError(gradient, trueGradient(problem)) < 1e-9);
    }),
    { seed: 5, numRuns: 100 },
  );
});

Deno.test("over all draws of the log, the doubly robust gradient is the true one, however wrong the reward model", () => {
  const wrong = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 6, maxLength: 6 });
  fc.assert(
    fc.property(problems, wrong, fc.double({ min: -2, max: 2, noNaN: true }), (problem, values, baseline) => {
      const { muE, rewardE } = problem;
      const valueE = Float64Array.from(values.slice(0, muE.length));
      const found = expectedGradient(problem, (drawn, gainE) => {
        doublyRobustGain(valueE, baseline, oneHot(muE.length, drawn), rewardE[drawn]!, 1 / muE[drawn]!, gainE);
      });
      assert.ok(relativeError(found, trueGradient(problem)) < 1e-8);
    }),
    { seed: 8, numRuns: 100 },
  );
});

Deno.test("with a right reward model the doubly robust gain is the direct one, whatever the propensities", () => {
  const [robust, direct] = [new Float64Array(3), new Float64Array(3)];
  const valueE = Float64Array.of(0.25, 0.5, 0.75);
  doublyRobustGain(valueE, 0.1, oneHot(3, 1), 0.5, 1000, robust);
  directGain(valueE, 0.1, direct);
  assert.deepEqual(robust, direct);
  doublyRobustGain(valueE, 0.1, Float64Array.of(0.5, 0, 0.5), 0.5, 1, robust);
  assert.deepEqual(robust, direct);
});

Deno.test("the doubly robust gain of a mixture explains exactly the logged reward", () => {
  fc.assert(
    fc.property(problems, fc.double({ min: 0, max: 1, noNaN: true }), ({ muE, rewardE }, reward) => {
      const gainE = new Float64Array(muE.length);
      doublyRobustGain(rewardE, 0.25, muE, reward, 1, gainE);
      const explained = muE.reduce((sum, share, e) => sum + share * gainE[e]!, 0);
      assert.ok(Math.abs(explained - (reward - 0.25)) < 1e-12);
    }),
    { seed: 9, numRuns: 100 },
  );
});

Deno.test("the original's soft target has no gradient on traces of the policy's own softmax, whatever the reward", () => {
  fc.assert(
    fc.property(problems, fc.double({ min: -5, max: 5, noNaN: true }), ({ logitsE, piE }, advantage) => {
      const gainE = new Float64Array(piE.length);
      softTargetGain(piE, advantage, gainE);
      assert.ok(Math.hypot(...gradientOf("soft_target", logitsE, gainE)) < 1e-13 * (1 + Math.abs(advantage)));
    }),
    { seed: 6, numRuns: 100 },
  );
});

Deno.test("the soft target of a drawn expert is REINFORCE on the policy that logged", () => {
  fc.assert(
    fc.property(problems, ({ logitsE, piE }) => {
      const [soft, gain] = [new Float64Array(piE.length), new Float64Array(piE.length)];
      softTargetGain(oneHot(piE.length, 0), 0.6, soft);
      reinforceGain(oneHot(piE.length, 0), piE[0]!, 0.6, Infinity, gain);
      assertClose(gradientOf("soft_target", logitsE, soft), gradientOf("policy_gain", logitsE, gain));
    }),
    { seed: 7, numRuns: 50 },
  );
});
