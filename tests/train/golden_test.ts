/**
 * The objective `soft` against runs of the original, recorded in golden/reinforce_*.json.
 *
 * Of the thirteen odd traces in reinforce_edge_a.json three are the original's normal behaviour and must come out the same:
 * "four selections", "weights x3" and "weight missing". The others document what rlcf does on purpose in another way:
 * - reversed order, embedding on the second selection: the original matches by position and looks at the first
 *   selection only; rlcf matches by name and looks at all, so both give what "four selections" gives;
 * - one, two or five selections: the original pushes all experts, or fails; rlcf trains the experts that are named;
 * - embedding nowhere, source missing, no actions: skipped by both, but the original moves its baseline;
 * - all weights zero: the original's parameters become NaN; rlcf skips the trace;
 * - reward 1.7: rlcf's feedback refuses it.
 */
import assert from "node:assert/strict";
import type { BackendName, TrainingState } from "../../src/engine/engine.ts";
import { feedbackFromRating } from "../../src/feedback/factories.ts";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import { fromStateDict } from "../../src/policy/state_dict.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { SingleStepTrainer, type UpdateMetrics } from "../../src/train/single_step_trainer.ts";
import { nestedState } from "../policy/torch.ts";
import { relativeError } from "../support/numbers.ts";
import { hasShared, readShared } from "../support/shared.ts";
import { mixedTrace, rated, testBackends } from "./support.ts";

type Nested = number[] | number[][];
type Params = Readonly<Record<string, Nested>>;

interface GoldenConfig {
  readonly learning_rate: number;
  readonly baseline_decay: number;
  readonly clip_grad_norm: number;
  readonly entropy_coef: number;
  readonly normalize_advantage: boolean;
  readonly min_variance: number;
}

interface Checksum {
  readonly sum: number;
  readonly l2: number;
}

type Step = Readonly<Record<string, number>> & {
  readonly params_checksum?: Checksum;
  readonly derived?: { readonly advantages: number[]; readonly mean_policy_loss: number };
};

interface GoldenRun {
  readonly config: GoldenConfig;
  readonly batch_size?: number;
  readonly initial: { readonly params: Params };
  readonly episodes: {
    readonly query_embedding: number[];
    readonly expert_weights: number[];
    readonly reward: number;
  }[];
  readonly steps: Step[];
  readonly final: {
    readonly params: Params;
    /** Not recorded for the long run. */
    readonly optimizer_state?: Readonly<Record<string, { step: number; exp_avg: Nested; exp_avg_sq: Nested }>>;
    readonly baseline: number;
    readonly reward_variance: number;
  };
}

interface EdgeCase {
  readonly case: string;
  readonly reward: number;
  readonly actions: unknown[];
  readonly metrics: Readonly<Record<string, number>>;
  readonly params_checksum: Checksum;
  readonly baseline_after: number;
}

const TOLERANCE = 1e-5;

function near(found: number, wanted: number, what: string): void {
  const error = Math.abs(found - wanted) / Math.max(1, Math.abs(wanted));
  assert.ok(error < TOLERANCE, `${what}: found ${found}, wanted ${wanted}`);
}

function assertChecksum(parameters: Float32Array, wanted: Checksum, what: string): void {
  near(parameters.reduce((sum, p) => sum + p, 0), wanted.sum, `${what}: sum of the parameters`);
  near(Math.hypot(...parameters), wanted.l2, `${what}: norm of the parameters`);
}

/** Asserts the metrics of one update that the golden step has under the original's names. */
function assertMetrics(found: UpdateMetrics, wanted: Readonly<Record<string, unknown>>, what: string): void {
  const names: Readonly<Record<string, keyof UpdateMetrics>> = {
    loss: "loss",
    policy_loss: "policyLoss",
    entropy_loss: "entropyLoss",
    reward: "reward",
    avg_reward: "reward",
    advantage: "advantage",
    raw_advantage: "rawAdvantage",
    baseline: "baseline",
    entropy: "entropy",
    avg_entropy: "entropy",
    grad_norm: "gradNorm",
    reward_variance: "rewardStd",
    num_updates: "numUpdates",
    batch_size: "batchSize",
    valid_traces: "batchSize",
  };
  for (const [theirs, ours] of Object.entries(names)) {
    if (wanted[theirs] !== undefined) near(found[ours] as number, wanted[theirs] as number, `${what}: ${theirs}`);
  }
}

async function goldenTrainer(backend: BackendName, config: GoldenConfig, params: Params): Promise<SingleStepTrainer> {
  const policy = await GatingPolicy.create({ inputDim: 16, hiddenDim: 8, inputScale: 1, backend });
  await policy.loadStateDict(nestedState(params));
  return new SingleStepTrainer({
    policy,
    config: {
      learningRate: config.learning_rate,
      baselineDecay: config.baseline_decay,
      clipGradNorm: config.clip_grad_norm,
      entropyCoef: config.entropy_coef,
      normalizeAdvantage: config.normalize_advantage,
      minVariance: config.min_variance,
      objective: "soft",
    },
  });
}

function assertFinal(state: TrainingState, trainer: SingleStepTrainer, golden: GoldenRun): void {
  const { final, steps, episodes } = golden;
  const flat = (params: Params): Float32Array => fromStateDict(state.shape, nestedState(params));
  const wanted = flat(final.params);
  state.parameters.forEach((parameter, p) => near(parameter, wanted[p]!, `parameter ${p}`));
  if (final.optimizer_state !== undefined) {
    const saved = Object.entries(final.optimizer_state);
    const first = flat(Object.fromEntries(saved.map(([name, { exp_avg }]) => [name, exp_avg])));
    const second = flat(Object.fromEntries(saved.map(([name, { exp_avg_sq }]) => [name, exp_avg_sq])));
    const errors = [relativeError(state.firstMoments, first), relativeError(state.secondMoments, second)];
    assert.ok(errors.every((error) => error < TOLERANCE), `moments are off by ${errors}`);
  }
  assert.equal(state.step, steps.length);
  near(trainer.state.baseline, final.baseline, "baseline");
  near(trainer.state.rewardStd, final.reward_variance, "reward deviation");
  assert.equal(trainer.state.numUpdates, steps.length);
  assert.deepEqual(trainer.state.rewardWindow, episodes.slice(-100).map(({ reward }) => reward));
}

for (const backend of await testBackends()) {
  const options = { ignore: !hasShared || backend.ignore };
  for (
    const [file, what] of [
      ["reinforce_update_a", "12 updates"],
      ["reinforce_update_raw_a", "12 updates without normalised advantages"],
      ["reinforce_long_a", "130 updates"],
    ] as const
  ) {
    Deno.test(`${what} of the original come out the same (${backend.label})`, options, async () => {
      const golden = await readShared<GoldenRun>(`golden/${file}.json`);
      const trainer = await goldenTrainer(backend.name, golden.config, golden.initial.params);
      await using policy = trainer.policy;
      for (const [i, { query_embedding, expert_weights, reward }] of golden.episodes.entries()) {
        const metrics = await trainer.update(mixedTrace(query_embedding, expert_weights), rated(reward));
        assertMetrics(metrics, golden.steps[i]!, `update ${i + 1}`);
        const { params_checksum } = golden.steps[i]!;
        // The long run is recorded without checksums.
        if (params_checksum === undefined) continue;
        assertChecksum((await policy.engine.read()).parameters, params_checksum, `update ${i + 1}`);
      }
      assertFinal(await policy.engine.read(), trainer, golden);
    });
  }

  Deno.test(`batch updates of the original come out the same (${backend.label})`, options, async () => {
    const golden = await readShared<GoldenRun>("golden/reinforce_batch_a.json");
    const trainer = await goldenTrainer(backend.name, golden.config, golden.initial.params);
    await using policy = trainer.policy;
    for (const [i, step] of golden.steps.entries()) {
      const size = golden.batch_size!;
      const batch = golden.episodes.slice(i * size, (i + 1) * size).map(
        ({ query_embedding, expert_weights, reward }) =>
          [mixedTrace(query_embedding, expert_weights), rated(reward)] as const,
      );
      const metrics = await trainer.updateBatch(batch);
      assertMetrics(metrics, step, `batch ${i + 1}`);
      near(metrics.policyLoss, step.derived!.mean_policy_loss, `batch ${i + 1}: policy loss`);
      const meanAdvantage = step.derived!.advantages.reduce((sum, a) => sum + a, 0) / size;
      near(metrics.advantage, meanAdvantage, `batch ${i + 1}: advantage`);
      assertChecksum((await policy.engine.read()).parameters, step.params_checksum!, `batch ${i + 1}`);
    }
    assertFinal(await policy.engine.read(), trainer, golden);
  });
}

interface GoldenEdges {
  readonly config: GoldenConfig;
  readonly initial_params: Params;
  readonly cases: EdgeCase[];
}

const edges = hasShared ? await readShared<GoldenEdges>("golden/reinforce_edge_a.json") : undefined;

/** Runs one odd trace on a fresh trainer. */
async function runEdge(name: string): Promise<{
  golden: EdgeCase;
  metrics: UpdateMetrics;
  before: Float32Array;
  after: Float32Array;
  trainer: SingleStepTrainer;
}> {
  const golden = edges!.cases.find((edge) => edge.case === name);
  assert.ok(golden, `no golden case "${name}"`);
  const trainer = await goldenTrainer("cpu", edges!.config, edges!.initial_params);
  await using policy = trainer.policy;
  const before = (await policy.engine.read()).parameters;
  const trace = ExecutionTrace.fromJSON({ query_id: "q", actions: golden.actions });
  const metrics = await trainer.update(trace, rated(golden.reward));
  return { golden, metrics, before, after: (await policy.engine.read()).parameters, trainer };
}

const ignore = !hasShared;

for (
  const name of [
    "four selections, embedding on the first only",
    "weights not summing to 1 (x3)",
    "weight key missing on every selection",
  ]
) {
  Deno.test(`the original's odd trace "${name}" comes out the same`, { ignore }, async () => {
    const { golden, metrics, after } = await runEdge(name);
    assertMetrics(metrics, golden.metrics, name);
    assertChecksum(after, golden.params_checksum, name);
  });
}

for (const name of ["selections in reverse order", "embedding only on the second selection"]) {
  Deno.test(
    `the trace "${name}" trains like the one in order with its embedding on the first`,
    { ignore },
    async () => {
      const wanted = await runEdge("four selections, embedding on the first only");
      const found = await runEdge(name);
      assert.deepEqual(found.after, wanted.after);
      assert.deepEqual(found.metrics, wanted.metrics);
    },
  );
}

for (
  const [name, reason] of [
    ["embedding nowhere", "no_embedding"],
    ["source missing", "no_gating_action"],
    ["no actions", "no_gating_action"],
    ["all weights zero", "zero_weights"],
  ] as const
) {
  Deno.test(`the trace "${name}" is skipped and moves nothing, not even the baseline`, { ignore }, async () => {
    const { metrics, before, after, trainer } = await runEdge(name);
    assert.deepEqual(after, before);
    assert.deepEqual([metrics.loss, metrics.gradNorm, metrics.numUpdates, metrics.skipped], [0, 0, 0, [reason]]);
    assert.deepEqual(trainer.state, { baseline: 0.5, rewardStd: 0.1, rewardWindow: [], numUpdates: 0 });
  });
}

for (const name of ["two selections", "five selections"]) {
  Deno.test(`the trace "${name}" is trained on the experts that it names`, { ignore }, async () => {
    const { metrics, before, after } = await runEdge(name);
    assert.notDeepEqual(after, before);
    assert.deepEqual([metrics.numUpdates, metrics.skipped], [1, []]);
  });
}

Deno.test("the original's reward 1.7 is refused", { ignore }, () => {
  const { reward } = edges!.cases.find((edge) => edge.case === "reward 1.7")!;
  assert.throws(() => feedbackFromRating("q", reward), /overall_rating: found 1.7, wanted a number from 0 to 1/);
});
