import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { PairedDifferences } from "../../src/evaluate/paired.ts";
import { doublyRobustTrajectoryTerms, returnsOf } from "../../src/evaluate/trajectory_terms.ts";
import {
  estimateTrajectories,
  evaluatedTrajectories,
  TRAJECTORY_ESTIMATORS,
  type TrajectoryValue,
} from "../../src/evaluate/trajectory_value.ts";
import { allPaths, drawPath, type Path, probsOf, randomPolicy, setOf, type Tabular, trueReturn } from "./paths.ts";

/** Estimates of a policy on paths that another one took. */
function estimated(
  paths: readonly Path[],
  policy: Tabular,
  logging: Tabular,
  options: Parameters<typeof setOf>[2] & { readonly stepPenalty?: number } = {},
): TrajectoryValue {
  const set = setOf(paths, logging, options);
  const acted = { trajectories: Uint32Array.from(paths.keys()), probsMA: probsOf(paths, policy) };
  return estimateTrajectories(set, acted, { stepPenalty: options.stepPenalty ?? 0, seed: 1 });
}

const near = (found: number | null, wanted: number, tolerance: number, what: string): void =>
  assert.ok(found !== null && Math.abs(found - wanted) <= tolerance, `${what}: found ${found}, wanted ${wanted}`);

Deno.test("over all paths with their probabilities every estimator gives exactly what the policy earns", () => {
  for (const [seed, stepPenalty] of [[1, 0], [2, -0.05], [3, 0.3]] as const) {
    const [logging, policy] = [randomPolicy(seed), randomPolicy(seed + 100)];
    const all = allPaths(logging);
    const found = estimated(all.map(({ path }) => path), policy, logging, {
      weights: all.map(({ probability }) => probability),
      // Whatever the critic says, the doubly robust estimate is unbiased.
      criticOf: (history) => Math.sin(history.length + Number(history || 3)),
      stepPenalty,
    });
    for (const name of TRAJECTORY_ESTIMATORS) near(found[name], trueReturn(policy, stepPenalty), 1e-5, name);
  }
});

Deno.test("the policy that logged is worth the mean return, whatever the critic said", () => {
  const logging = randomPolicy(4);
  const random = new Random(1);
  const paths = Array.from({ length: 50 }, () => drawPath(logging, random));
  const found = estimated(paths, logging, logging, { criticOf: (history) => history.length });
  const mean = paths.reduce((sum, { rewards }) => sum + rewards.reduce((a, b) => a + b, 0), 0) / paths.length;
  for (const name of TRAJECTORY_ESTIMATORS) near(found[name], mean, 1e-5, name);
  near(found.effective_sample_size, 50, 1e-3, "effective episodes");
});

Deno.test("a critic that is right makes the doubly robust estimate sharper than whole weights do", () => {
  const [logging, policy] = [randomPolicy(5), randomPolicy(6)];
  const criticOf = (history: string): number => {
    const later = allPaths(logging).filter(({ path }) => path.actions.join("").startsWith(history));
    const mass = later.reduce((sum, { probability }) => sum + probability, 0);
    return later.reduce((sum, { path, probability }) => {
      return sum + probability * path.rewards.slice(history.length).reduce((a, b) => a + b, 0);
    }, 0) / mass;
  };
  const values = new Map<string, number>();
  const remembered = (history: string): number => {
    if (!values.has(history)) values.set(history, criticOf(history));
    return values.get(history)!;
  };
  const random = new Random(2);
  const errors = { doubly_robust: 0, trajectory_is: 0 };
  for (let log = 0; log < 100; log++) {
    const paths = Array.from({ length: 100 }, () => drawPath(logging, random));
    const found = estimated(paths, policy, logging, { criticOf: remembered });
    for (const name of ["doubly_robust", "trajectory_is"] as const) {
      errors[name] += (found[name]! - trueReturn(policy)) ** 2;
    }
  }
  assert.ok(errors.doubly_robust < 0.9 * errors.trajectory_is, JSON.stringify(errors));
});

Deno.test("95% intervals hold the truth in about 95 of 100 logs", () => {
  const [logging, policy] = [randomPolicy(7), randomPolicy(8)];
  const truth = trueReturn(policy);
  const random = new Random(3);
  const held = { per_decision_is: 0, weighted_per_decision_is: 0, doubly_robust: 0 };
  const logs = 200;
  for (let log = 0; log < logs; log++) {
    const paths = Array.from({ length: 200 }, () => drawPath(logging, random));
    const { intervals } = estimated(paths, policy, logging, { criticOf: () => 0.5, users: 40 });
    for (const name of Object.keys(held) as (keyof typeof held)[]) {
      const [low, high] = intervals[name]!;
      if (low <= truth && truth <= high) held[name]++;
    }
  }
  // 190 +- 3.1 by chance; the intervals are asymptotic.
  for (const [name, count] of Object.entries(held)) assert.ok(count >= 178 && count <= 200, `${name}: ${count}`);
});

Deno.test("paired differences of equal policies are 0, and their bound is kept in about 39 of 40 logs", () => {
  const [logging, policy] = [randomPolicy(9), randomPolicy(10)];
  const truth = trueReturn(policy) - trueReturn(logging);
  const random = new Random(4);
  let above = 0;
  const logs = 300;
  for (let log = 0; log < logs; log++) {
    const paths = Array.from({ length: 150 }, () => drawPath(logging, random));
    const set = setOf(paths, logging, { criticOf: () => 0.4, users: 30 });
    const trajectories = Uint32Array.from(paths.keys());
    const columns = evaluatedTrajectories(set, { trajectories, probsMA: probsOf(paths, policy) }, 0);
    const mine = doublyRobustTrajectoryTerms(columns).numerator;
    const returns = returnsOf(columns);
    const found = new PairedDifferences(set, trajectories, mine.map((value, i) => value - returns[i]!)).compare()!;
    if (found.difference - found.margin(0.025) > truth) above++;
    const none = new PairedDifferences(set, trajectories, mine.map((value, i) => value - mine[i]!)).compare()!;
    assert.equal(none.difference, 0);
  }
  assert.ok(above <= 18, `${above} of ${logs} lower bounds are above the truth; 7.5 are expected`);
});

Deno.test("the effective number of episodes shrinks with every step that the policies differ in", () => {
  const [logging, policy] = [randomPolicy(11), randomPolicy(12)];
  const random = new Random(5);
  const paths = Array.from({ length: 600 }, () => drawPath(logging, random));
  const bySteps = [1, 2, 3].map((steps) => paths.filter(({ actions }) => actions.length === steps)).map((own) =>
    estimated(own, policy, logging).effective_sample_size! / own.length
  );
  assert.ok(bySteps[0]! > bySteps[2]!, bySteps.join(" "));
});

Deno.test("what the log never did or never left open is named, and no number is given", () => {
  const certain: Tabular = () => [0, 0, 1];
  const paths: Path[] = Array.from({ length: 20 }, () => ({ actions: [2], rewards: [0.5] }));
  const found = estimated(paths, () => [0.3, 0, 0.7], certain);
  assert.deepEqual(found.not_identified, [
    "left was never taken in the log, and the policy takes it in 30% of the steps",
    "100% of the logged steps had no alternative, and in 30% of the episodes the policy would act otherwise at one of them",
  ]);
  for (const name of TRAJECTORY_ESTIMATORS) assert.equal(found[name], null);
  // The same policy on the same log is known.
  assert.equal(estimated(paths, certain, certain).doubly_robust, 0.5);
});

Deno.test("weights that do not average 1 are evidence that the log lacks what the policy does", () => {
  const logging: Tabular = (history) => history === "" ? [0.02, 0.02, 0.96] : [0.4, 0.4, 0.2];
  // The log that was stored holds the episodes that stopped at once, and few of the others.
  const paths: Path[] = Array.from(
    { length: 200 },
    (_, i) =>
      i === 0 ? { actions: [0, 2], rewards: [0, 1] } : i === 1 ? { actions: [1, 2], rewards: [0, 1] } : {
        actions: [2],
        rewards: [0.5],
      },
  );
  const found = estimated(paths, (history) => history === "" ? [0.45, 0.45, 0.1] : [0.5, 0.49, 0.01], logging);
  assert.match(found.not_identified.join(), /^the weights of episodes average 0\.\d\d instead of 1/);
});
