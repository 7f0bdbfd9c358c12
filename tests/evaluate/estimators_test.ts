import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import type { EpisodeSet } from "../../src/episodes/episode_set.ts";
import { estimateValue, importanceWeights, loggedValue } from "../../src/evaluate/estimators.ts";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import { drawnRow, episodesOf, EXPERTS, mixedRow, OPTIONS } from "../episodes/rows.ts";
import { nestedState } from "../policy/torch.ts";
import { hasShared, readShared } from "../support/shared.ts";
import { allRows } from "../train/support.ts";

function near(found: number | null, wanted: number, what = ""): void {
  const error = found === null ? Infinity : Math.abs(found - wanted) / Math.max(1, Math.abs(wanted));
  assert.ok(error < 1e-6, `${what}: found ${found}, wanted ${wanted}`);
}

/** Two drawn episodes, with propensities 1/2 and 1/4, and one mixed episode; weights 1/2, 1 and 1/4. */
function threeEpisodes(): EpisodeSet {
  return episodesOf([
    drawnRow({ traceId: "a", queryId: "a", gatingWeights: { literal: 1 }, score: 0.5, userAuthority: 0.5 }),
    drawnRow({
      traceId: "b",
      queryId: "b",
      gatingWeights: { systemic: 1 },
      gatingLogProb: Math.log(0.25),
      score: 1,
      userAuthority: 1,
    }),
    mixedRow({
      traceId: "c",
      queryId: "c",
      gatingWeights: { literal: 0.5, principles: 0.5 },
      score: 0.25,
      userAuthority: 0.25,
    }),
  ]);
}

/** [3, 3] routing of the three episodes. */
const ROUTING = Float32Array.of(0.25, 0.5, 0.25, 0, 0.5, 0.5, 0.75, 0.25, 0);

Deno.test("importance weights are pi / mu of drawn experts and the pseudo-inverse weight of mixtures", () => {
  const rho = importanceWeights(threeEpisodes(), allRows(3), ROUTING);
  // 0.25 / 0.5, 0.5 / 0.25, and (0.5 * 0.75 + 0.5 * 0) / (0.25 + 0.25).
  assert.deepEqual(Array.from(rho), [0.5, 2, 0.75]);
});

Deno.test("the estimates of three episodes are those computed by hand", () => {
  const found = estimateValue(threeEpisodes(), allRows(3), ROUTING);
  const weighted = 0.5 * 0.5 + 1 * 2 + 0.25 * 0.75;
  const gained = 0.5 * 0.5 * 0.5 + 1 * 2 * 1 + 0.25 * 0.75 * 0.25;
  near(found.snips, gained / weighted, "snips");
  near(found.ips, gained / 1.75, "ips");
  near(found.effective_sample_size, (0.5 + 2 + 0.75) ** 2 / (0.25 + 4 + 0.5625), "effective sample size");
  assert.equal(found.episodes, 3);
  near(loggedValue(threeEpisodes(), allRows(3)), (0.5 * 0.5 + 1 * 1 + 0.25 * 0.25) / 1.75);
});

Deno.test("only the given rows count, in the order in which they are given", () => {
  const [episodes, rows] = [threeEpisodes(), Uint32Array.of(2, 0)];
  const routing = Float32Array.of(...ROUTING.subarray(6, 9), ...ROUTING.subarray(0, 3));
  assert.deepEqual(Array.from(importanceWeights(episodes, rows, routing)), [0.75, 0.5]);
  near(estimateValue(episodes, rows, routing).ips, (0.25 * 0.75 * 0.25 + 0.5 * 0.5 * 0.5) / 0.75);
  near(loggedValue(episodes, rows), (0.25 * 0.25 + 0.5 * 0.5) / 0.75);
});

Deno.test("a policy that never does what was logged has no self-normalised estimate", () => {
  const routing = Float32Array.of(0, 1, 0, 1, 0, 0, 0, 1, 0);
  assert.deepEqual(estimateValue(threeEpisodes(), allRows(3), routing), {
    snips: null,
    ips: 0,
    effective_sample_size: 0,
    episodes: 3,
  });
});

Deno.test("without rows there is nothing to estimate", () => {
  const none = new Uint32Array(0);
  assert.deepEqual(estimateValue(threeEpisodes(), none, new Float32Array(0)), {
    snips: null,
    ips: 0,
    effective_sample_size: 0,
    episodes: 0,
  });
  assert.equal(loggedValue(threeEpisodes(), none), null);
});

Deno.test("the policy that logged earns what was logged, with every sample effective", () => {
  const random = new Random(3);
  const rows = Array.from({ length: 40 }, (_, i) =>
    drawnRow({
      traceId: `t${i}`,
      queryId: `q${i}`,
      gatingWeights: { [EXPERTS[i % 3]!]: 1 },
      gatingLogProb: Math.log([0.5, 0.3, 0.2][i % 3]!),
      score: random.uniform(),
    }));
  const episodes = episodesOf(rows);
  const routing = Float32Array.from({ length: 120 }, (_, k) => [0.5, 0.3, 0.2][k % 3]!);
  const found = estimateValue(episodes, allRows(40), routing);
  near(found.snips, loggedValue(episodes, allRows(40))!);
  near(found.ips, loggedValue(episodes, allRows(40))!);
  near(found.effective_sample_size, 40);
});

Deno.test("over all draws of the log, importance sampling is unbiased", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new Random(seed);
      const draw = (): number[] => {
        const raw = EXPERTS.map(() => 0.05 + random.uniform());
        return raw.map((x) => x / raw.reduce((sum, y) => sum + y, 0));
      };
      const [mu, pi, reward] = [draw(), draw(), EXPERTS.map(() => random.uniform())];
      let expected = 0;
      for (const [e, expert] of EXPERTS.entries()) {
        const row = drawnRow({ gatingWeights: { [expert]: 1 }, gatingLogProb: Math.log(mu[e]!), score: reward[e]! });
        expected += mu[e]! * estimateValue(episodesOf([row]), allRows(1), Float32Array.from(pi)).ips;
      }
      near(expected, pi.reduce((sum, p, e) => sum + p * reward[e]!, 0));
    }),
    { seed: 1, numRuns: 50 },
  );
});

Deno.test("the self-normalised estimate stays within the rewards and knows no scale of the weights", () => {
  const row = fc.record({
    expert: fc.constantFrom(...EXPERTS),
    logProb: fc.double({ min: -6, max: 0, noNaN: true }),
    score: fc.double({ min: 0, max: 1, noNaN: true }),
    authority: fc.double({ min: 0.1, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (drawn) => {
      const rows = (scale: number) =>
        drawn.map(({ expert, logProb, score, authority }, i) =>
          drawnRow({
            traceId: `t${i}`,
            gatingWeights: { [expert]: 1 },
            gatingLogProb: logProb,
            score,
            userAuthority: authority * scale,
          })
        );
      const routing = new Float32Array(3 * drawn.length).fill(1 / 3);
      const { snips, effective_sample_size } = estimateValue(episodesOf(rows(1)), allRows(drawn.length), routing);
      const scores = drawn.map(({ score }) => score);
      assert.ok(snips! >= Math.min(...scores) - 1e-12 && snips! <= Math.max(...scores) + 1e-12);
      assert.ok(effective_sample_size >= 1 - 1e-12 && effective_sample_size <= drawn.length + 1e-9);
      near(snips, estimateValue(episodesOf(rows(0.5)), allRows(drawn.length), routing).snips!);
    }),
    { seed: 2, numRuns: 100 },
  );
});

interface GoldenOpe {
  readonly params: Readonly<Record<string, number[] | number[][]>>;
  readonly data: {
    readonly state: number[];
    readonly action: number[];
    readonly reward: number;
    readonly old_log_prob: number;
  }[];
  readonly cases: {
    readonly name: string;
    readonly n: number;
    readonly new_log_prob: number[];
    readonly importance_weight: number[];
    readonly results: Readonly<
      Record<"importance_sampling" | "weighted_importance_sampling", {
        estimated_value: number;
        effective_sample_size: number;
      }>
    >;
  }[];
}

// Two of the five recorded cases apply: in the others the original cuts importance weights at both ends, and we at none.
for (const name of ["no clip, 30 points", "one point"]) {
  Deno.test(`the original's estimates come out the same: ${name}`, { ignore: !hasShared }, async () => {
    const golden = await readShared<GoldenOpe>("golden/ope.json");
    const { n, new_log_prob, importance_weight, results } = golden.cases.find((one) => one.name === name)!;
    // The original scores a mixture by exp(sum_e u_e log pi_e). That number stands here as the probability of the
    // logged decision, so that the weights are the recorded ones and the estimators can be compared.
    const rows = golden.data.slice(0, n).map(({ reward, old_log_prob }, i) =>
      drawnRow({ traceId: `t${i}`, gatingLogProb: old_log_prob, score: reward, userAuthority: 1 })
    );
    const routing = Float32Array.from({ length: 3 * n }, (_, k) => k % 3 === 0 ? Math.exp(new_log_prob[k / 3]!) : 0);
    const episodes = episodesOf(rows);
    importanceWeights(episodes, allRows(n), routing).forEach((rho, i) => near(rho, importance_weight[i]!, `rho ${i}`));
    const found = estimateValue(episodes, allRows(n), routing);
    near(found.ips, results.importance_sampling.estimated_value, "IS");
    near(found.snips, results.weighted_importance_sampling.estimated_value, "WIS");
    near(found.effective_sample_size, results.importance_sampling.effective_sample_size, "ESS");
  });
}

Deno.test(
  "the importance weights of the recorded draws come out of the recorded network",
  { ignore: !hasShared },
  async () => {
    const golden = await readShared<GoldenOpe>("golden/ope.json");
    const { importance_weight } = golden.cases.find(({ name }) => name === "no clip, 30 points")!;
    const drawn = golden.data.flatMap(({ action }, i) => action.some((share) => share === 1) ? [i] : []);
    assert.ok(drawn.length > 0);
    await using policy = await GatingPolicy.create({ inputDim: 16, hiddenDim: 8, inputScale: 1, backend: "cpu" });
    await policy.loadStateDict(nestedState(golden.params));
    const { weights } = await policy.forward(drawn.map((i) => golden.data[i]!.state));
    const rows = drawn.map((i) => {
      const { state, action, old_log_prob, reward } = golden.data[i]!;
      const gatingWeights = { [policy.experts[action.indexOf(1)]!]: 1 };
      const embedding = Float32Array.from(state);
      return drawnRow({ traceId: `t${i}`, gatingWeights, gatingLogProb: old_log_prob, embedding, score: reward });
    });
    const episodes = episodesOf(rows, { ...OPTIONS, inputDim: 16, experts: policy.experts });
    importanceWeights(episodes, allRows(drawn.length), weights).forEach((rho, i) => {
      const wanted = importance_weight[drawn[i]!]!;
      assert.ok(
        Math.abs(rho - wanted) < 1e-5 * Math.max(1, wanted),
        `draw ${drawn[i]}: found ${rho}, wanted ${wanted}`,
      );
    });
  },
);
