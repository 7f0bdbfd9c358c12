import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import { effectiveSampleSize } from "../../src/evaluate/diagnostics.ts";
import {
  clipped,
  clippedIpsTerms,
  type ClipRange,
  directTerms,
  doublyRobustTerms,
  type EvaluatedRows,
  ipsTerms,
  ORIGINAL_CLIP,
  snipsTerms,
  SWITCH_THRESHOLD,
  switchTerms,
  type Terms,
  valueOf,
} from "../../src/evaluate/estimators.ts";
import { importanceWeights, logSupport } from "../../src/evaluate/support.ts";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import { drawnRow, episodesOf, OPTIONS } from "../episodes/rows.ts";
import { nestedState } from "../policy/torch.ts";
import { hasShared, readShared } from "../support/shared.ts";
import { allRows } from "../train/support.ts";

function near(found: number | null, wanted: number, what = ""): void {
  const error = found === null ? Infinity : Math.abs(found - wanted) / Math.max(1, Math.abs(wanted));
  assert.ok(error < 1e-9, `${what}: found ${found}, wanted ${wanted}`);
}

/** Three rows of weights 1, 1 and 2. */
const ROWS: EvaluatedRows = {
  rewards: Float64Array.of(0.5, 1, 0.25),
  sampleWeights: Float64Array.of(1, 1, 2),
  rho: Float64Array.of(0.5, 8, 0),
  routed: Float64Array.of(0.4, 0.6, 0.8),
  logged: Float64Array.of(0.5, 0.9, 0.3),
};

function value(terms: Terms | null, rows: EvaluatedRows = ROWS): number | null {
  return valueOf(terms, rows.sampleWeights);
}

Deno.test("the estimates of three rows are those computed by hand", () => {
  near(value(ipsTerms(ROWS)), (0.25 + 8 + 0) / 4, "ips");
  near(value(clippedIpsTerms(ROWS, [0.1, 2])), (0.25 + 2 + 2 * 0.025) / 4, "clipped ips");
  near(value(snipsTerms(ROWS)), (0.25 + 8) / 8.5, "snips");
  near(value(directTerms(ROWS)), (0.4 + 0.6 + 1.6) / 4, "direct");
  near(value(doublyRobustTerms(ROWS)), (0.4 + 0.6 + 8 * 0.1 + 1.6) / 4, "doubly robust");
  near(value(doublyRobustTerms(ROWS, [0, 2])), (0.4 + 0.6 + 2 * 0.1 + 1.6) / 4, "clipped doubly robust");
  near(value(switchTerms(ROWS, 5)), (0.4 + 0.6 + 1.6) / 4, "switch below the large weight");
  near(value(switchTerms(ROWS)), value(switchTerms(ROWS, SWITCH_THRESHOLD))!, "switch where nothing else is said");
  near(value(switchTerms(ROWS, 8)), value(doublyRobustTerms(ROWS))!, "switch above every weight");
  near(effectiveSampleSize(ROWS.rho), 8.5 ** 2 / (0.25 + 64), "effective sample size");
});

Deno.test("without a model the estimators that need one are silent, the others are not", () => {
  const { routed: _routed, logged: _logged, ...rows } = ROWS;
  assert.deepEqual([directTerms(rows), doublyRobustTerms(rows), switchTerms(rows, 3)], [null, null, null]);
  assert.equal(valueOf(null, rows.sampleWeights), null);
  near(value(ipsTerms(rows)), 8.25 / 4);
});

Deno.test("a policy that never does what was logged has no self-normalised estimate", () => {
  const rows = { ...ROWS, rho: new Float64Array(3) };
  assert.equal(value(snipsTerms(rows)), null);
  assert.equal(value(ipsTerms(rows)), 0);
  assert.equal(effectiveSampleSize(rows.rho), 0);
  // The model is all that is left.
  near(value(doublyRobustTerms(rows)), value(directTerms(rows))!);
});

Deno.test("a perfect model makes doubly robust exact, and a wrong one changes nothing on average", () => {
  const random = new Random(1);
  const draw = (): number[] => {
    const raw = Array.from({ length: 3 }, () => 0.05 + random.uniform());
    return raw.map((x) => x / raw.reduce((sum, y) => sum + y, 0));
  };
  for (let world = 0; world < 50; world++) {
    const [mu, pi, reward, wrong] = [draw(), draw(), draw(), draw()];
    const truth = pi.reduce((sum, p, e) => sum + p * reward[e]!, 0);
    const expected = { ips: 0, dr: 0, switch: 0, direct: 0 };
    for (let e = 0; e < 3; e++) {
      const rows = (q: number[]): EvaluatedRows => ({
        rewards: Float64Array.of(reward[e]!),
        sampleWeights: Float64Array.of(1),
        rho: Float64Array.of(pi[e]! / mu[e]!),
        routed: Float64Array.of(pi.reduce((sum, p, f) => sum + p * q[f]!, 0)),
        logged: Float64Array.of(q[e]!),
      });
      near(value(doublyRobustTerms(rows(reward)), rows(reward)), truth, "perfect model");
      const given = rows(wrong);
      // Every outcome of a single draw, weighed by its probability: the expectation itself.
      expected.ips += mu[e]! * value(ipsTerms(given), given)!;
      expected.dr += mu[e]! * value(doublyRobustTerms(given), given)!;
      expected.switch += mu[e]! * value(switchTerms(given, 1), given)!;
      expected.direct += mu[e]! * value(directTerms(given), given)!;
    }
    near(expected.ips, truth, "ips");
    near(expected.dr, truth, "doubly robust");
    // SWITCH's bias is the model's error on the mass beyond the threshold, and nothing else.
    const bias = pi.reduce((sum, p, e) => p / mu[e]! > 1 ? sum + p * (wrong[e]! - reward[e]!) : sum, 0);
    near(expected.switch, truth + bias, "switch");
    near(expected.direct, pi.reduce((sum, p, e) => sum + p * wrong[e]!, 0), "direct");
  }
});

Deno.test("SNIPS stays within the rewards and knows no scale of weights", () => {
  const row = fc.record({
    reward: fc.double({ min: 0, max: 1, noNaN: true }),
    rho: fc.double({ min: 0.001, max: 1000, noNaN: true }),
    weight: fc.double({ min: 0.1, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (drawn) => {
      const rows = (scale: number): EvaluatedRows => ({
        rewards: Float64Array.from(drawn, ({ reward }) => reward),
        sampleWeights: Float64Array.from(drawn, ({ weight }) => weight * scale),
        rho: Float64Array.from(drawn, ({ rho }) => rho * scale),
      });
      const found = value(snipsTerms(rows(1)), rows(1))!;
      const rewards = drawn.map(({ reward }) => reward);
      assert.ok(found >= Math.min(...rewards) - 1e-12 && found <= Math.max(...rewards) + 1e-12);
      near(value(snipsTerms(rows(3)), rows(3)), found);
      const effective = effectiveSampleSize(rows(1).rho);
      assert.ok(effective >= 1 - 1e-9 && effective <= drawn.length + 1e-9);
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
    readonly config: { readonly clip_weights: boolean; readonly min_weight: number; readonly max_weight: number };
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

const golden = hasShared ? await readShared<GoldenOpe>("golden/ope.json") : undefined;

for (const { name, n, config, new_log_prob, importance_weight, results } of golden?.cases ?? []) {
  Deno.test(`the original's estimates come out the same: ${name}`, () => {
    // The original scores a mixture by exp(sum_e u_e log pi_e), so its weights are taken as they were recorded.
    const data = golden!.data.slice(0, n);
    const range: ClipRange = config.clip_weights ? [config.min_weight, config.max_weight] : [-Infinity, Infinity];
    const raw = Float64Array.from(data, ({ old_log_prob }, i) => Math.exp(new_log_prob[i]! - old_log_prob));
    const rho = clipped(raw, range);
    rho.forEach((weight, i) => near(weight, importance_weight[i]!, `weight ${i}`));
    const rows = {
      rewards: Float64Array.from(data, ({ reward }) => reward),
      sampleWeights: new Float64Array(n).fill(1),
      rho: raw,
    };
    near(value(clippedIpsTerms(rows, range), rows), results.importance_sampling.estimated_value, "IS");
    const found = value(snipsTerms({ ...rows, rho }), rows);
    near(found, results.weighted_importance_sampling.estimated_value, "WIS");
    near(effectiveSampleSize(rho), results.importance_sampling.effective_sample_size, "ESS");
  });
}

Deno.test("the original's range is that of its recorded default", { ignore: golden === undefined }, () => {
  const { config } = golden!.cases.find(({ name }) => name === "default clip, 30 points")!;
  assert.deepEqual(ORIGINAL_CLIP, [config.min_weight, config.max_weight]);
});

Deno.test(
  "the importance weights of the recorded draws come out of the recorded network",
  { ignore: golden === undefined },
  async () => {
    const { importance_weight } = golden!.cases.find(({ name }) => name === "no clip, 30 points")!;
    const drawn = golden!.data.flatMap(({ action }, i) => action.some((share) => share === 1) ? [i] : []);
    assert.ok(drawn.length > 0);
    await using policy = await GatingPolicy.create({ inputDim: 16, hiddenDim: 8, inputScale: 1, backend: "cpu" });
    await policy.loadStateDict(nestedState(golden!.params));
    const { weights } = await policy.forward(drawn.map((i) => golden!.data[i]!.state));
    const rows = drawn.map((i) => {
      const { state, action, old_log_prob, reward } = golden!.data[i]!;
      const gatingWeights = { [policy.experts[action.indexOf(1)]!]: 1 };
      const embedding = Float32Array.from(state);
      return drawnRow({ traceId: `t${i}`, gatingWeights, gatingLogProb: old_log_prob, embedding, score: reward });
    });
    const episodes = episodesOf(rows, { ...OPTIONS, inputDim: 16, experts: policy.experts });
    const rho = importanceWeights(episodes, allRows(drawn.length), weights, logSupport(episodes));
    rho.forEach((weight, i) => {
      const wanted = importance_weight[drawn[i]!]!;
      const error = Math.abs(weight - wanted) / Math.max(1, wanted);
      assert.ok(error < 1e-5, `draw ${drawn[i]}: found ${weight}, wanted ${wanted}`);
    });
  },
);
