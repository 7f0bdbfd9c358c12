import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { estimateValue, ESTIMATORS, loggedValue } from "../../src/evaluate/policy_value.ts";
import { crossFittedValues, heldOutValues } from "../../src/evaluate/reward_values.ts";
import { fitRewardModel } from "../../src/train/reward_model.ts";
import { logSupport } from "../../src/evaluate/support.ts";
import { drawnRow, episodesOf, EXPERTS } from "../episodes/rows.ts";
import { LoggedWorld } from "../support/logged_world.ts";
import { allRows } from "../train/support.ts";

function near(found: number | null | undefined, wanted: number): void {
  assert.ok(typeof found === "number" && Math.abs(found - wanted) < 1e-6, `found ${found}, wanted ${wanted}`);
}

/** Two drawn episodes with propensities 1/2 and 1/4, weights 1/2 and 1. */
const TWO = episodesOf([
  drawnRow({ traceId: "a", queryId: "a", gatingWeights: { literal: 1 }, score: 0.5, userAuthority: 0.5 }),
  drawnRow({
    traceId: "b",
    queryId: "b",
    gatingWeights: { systemic: 1 },
    gatingLogProb: Math.log(0.25),
    score: 1,
    userAuthority: 1,
  }),
]);
const ROUTING = Float32Array.of(0.5, 0.5, 0, 0.5, 0.5, 0);
const CONTEXT = { support: logSupport(TWO), seed: 0 };

Deno.test("the estimates of two episodes are those computed by hand", () => {
  const valuesNE = Float32Array.of(0.4, 0.6, 0, 0.2, 0.8, 0);
  const found = estimateValue(TWO, allRows(2), ROUTING, { ...CONTEXT, valuesNE });
  // rho is 1 and 2; the model expects 0.5 of the routing of both, and 0.4 and 0.8 of what was drawn.
  near(found.ips, (0.5 * 0.5 + 1 * 2) / 1.5);
  near(found.snips, (0.5 * 0.5 + 1 * 2) / 2.5);
  near(found.direct, 0.5);
  near(found.doubly_robust, (0.5 * (0.5 + 0.1) + (0.5 + 2 * 0.2)) / 1.5);
  near(found.effective_sample_size, 9 / 5);
  near(loggedValue(TWO, allRows(2)), (0.25 + 1) / 1.5);
  const { diagnostics } = found;
  near(diagnostics?.mean_weight, 1.5);
  near(diagnostics?.max_weight, 2);
  near(diagnostics?.extreme_weight_share, 0);
  assert.deepEqual(Object.keys(diagnostics!.overlap), EXPERTS);
  near(diagnostics!.overlap.systemic!.logged_share, 0.5);
  near(diagnostics!.overlap.systemic!.policy_share, 0.5);
  near(diagnostics!.overlap.systemic!.importance_share, 2 / 3);
  near(diagnostics!.overlap.principles!.logged_share, 0);
});

Deno.test("a row that stands for more than ten is counted as extreme", () => {
  const rare = drawnRow({ traceId: "c", queryId: "c", gatingLogProb: Math.log(0.01) });
  const episodes = episodesOf([rare, drawnRow({ traceId: "d", queryId: "d" })]);
  const found = estimateValue(episodes, allRows(2), Float32Array.of(1, 0, 0, 1, 0, 0), {
    support: logSupport(episodes),
    seed: 0,
  });
  near(found.diagnostics?.extreme_weight_share, 0.5);
});

Deno.test("the policy that logged earns what was logged, with every row effective", () => {
  const random = new Random(3);
  const shares = [0.5, 0.3, 0.2];
  const episodes = episodesOf(Array.from({ length: 40 }, (_, i) =>
    drawnRow({
      traceId: `t${i}`,
      queryId: `q${i}`,
      gatingWeights: { [EXPERTS[i % 3]!]: 1 },
      gatingLogProb: Math.log(shares[i % 3]!),
      score: random.uniform(),
    })));
  const routing = Float32Array.from({ length: 120 }, (_, k) => shares[k % 3]!);
  const found = estimateValue(episodes, allRows(40), routing, { support: logSupport(episodes), seed: 0 });
  near(found.snips, loggedValue(episodes, allRows(40))!);
  near(found.ips, loggedValue(episodes, allRows(40))!);
  near(found.effective_sample_size, 40);
  assert.ok(found.intervals.snips![0] < found.snips! && found.snips! < found.intervals.snips![1]);
});

Deno.test("without rows there is nothing to estimate, and the reason is told", () => {
  const found = estimateValue(TWO, new Uint32Array(0), new Float32Array(0), CONTEXT);
  for (const name of ESTIMATORS) assert.equal(found[name], null);
  assert.deepEqual(
    [found.effective_sample_size, found.episodes, found.diagnostics, found.not_identified],
    [null, 0, null, ["there are no episodes"]],
  );
  assert.equal(loggedValue(TWO, new Uint32Array(0)), null);
});

Deno.test("what is not identified is refused by name, and the direct method alone still speaks", () => {
  const valuesNE = new Float32Array(6).fill(0.5);
  const routing = Float32Array.of(0, 0, 1, 0, 0, 1);
  const found = estimateValue(TWO, allRows(2), routing, { ...CONTEXT, valuesNE });
  assert.deepEqual(found.not_identified, [
    "principles was never used in the log, and the policy sends 100% of the queries there",
  ]);
  for (const name of ESTIMATORS) assert.equal(found[name] === null, name !== "direct", name);
  near(found.direct, 0.5);
});

Deno.test("over many logs of known worlds the estimators are unbiased, the direct method only nearly", async () => {
  const errors = { ips: 0, snips: 0, doubly_robust: 0 };
  const logs = 60;
  for (const soft of [undefined, "random"] as const) {
    for (let seed = 0; seed < logs; seed++) {
      const world = new LoggedWorld(seed);
      const policy = world.moved(world.logging, 0.05);
      const log = { size: 800, seed: 7000 + seed };
      const episodes = world.log(soft === undefined ? log : { ...log, soft });
      const [training, holdout] = [allRows(800).subarray(0, 300), allRows(800).subarray(300)];
      const found = estimateValue(episodes, holdout, world.route(episodes, holdout, policy), {
        support: logSupport(episodes),
        valuesNE: await heldOutValues(episodes, training, holdout, await fitRewardModel(episodes, training, 10)),
        seed,
      });
      assert.deepEqual(found.not_identified, []);
      for (const name of ["ips", "snips", "doubly_robust"] as const) {
        errors[name] += (found[name]! - world.valueOf(policy)) / (2 * logs);
      }
    }
  }
  // Four Monte Carlo errors of 120 logs: the estimates vary by 0.03 (mixtures: 0.045) for IPS, by 0.012 for the others.
  assert.ok(Math.abs(errors.ips) < 0.015, `ips ${errors.ips}`);
  assert.ok(Math.abs(errors.snips) < 0.005, `snips ${errors.snips}`);
  assert.ok(Math.abs(errors.doubly_robust) < 0.005, `doubly robust ${errors.doubly_robust}`);
});

Deno.test("the model of the holdout has seen the training rows alone, and stays within the rewards", async () => {
  const world = new LoggedWorld(1);
  const episodes = world.log({ size: 300, seed: 1 });
  const [training, holdout] = [allRows(300).subarray(0, 200), allRows(300).subarray(200)];
  const found = (await heldOutValues(episodes, training, holdout))!;
  const rewards = episodes.rewards.map((r, row) => row >= 200 ? 1 - r : r);
  assert.deepEqual(await heldOutValues({ ...episodes, rewards }, training, holdout), found);
  assert.notDeepEqual(
    await crossFittedValues({ ...episodes, rewards }, allRows(300)),
    await crossFittedValues(episodes, allRows(300)),
  );
  assert.ok(found.every((value) => value >= 0 && value <= 1));
  assert.ok(found.subarray(0, 800).every((value) => value === 0) && found.subarray(800).every((value) => value > 0));
  assert.equal(await heldOutValues(episodes, new Uint32Array(0), holdout), undefined);
});
