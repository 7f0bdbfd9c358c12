/** The original's PPO, recorded: all five cases on every engine. */
import assert from "node:assert/strict";
import { listBackends } from "../../src/engine/create.ts";
import type { BackendName, NetworkShape, PolicyEngine } from "../../src/engine/engine.ts";
import { createSimdEngine } from "../../src/engine/simd/engine.ts";
import { createTfjsEngine } from "../../src/engine/tfjs/engine.ts";
import { createWebgpuEngine } from "../../src/engine/webgpu/engine.ts";
import type { TrajectorySet } from "../../src/episodes/trajectory_set.ts";
import { REACT_ACTIONS, ReActPolicy } from "../../src/policy/react_policy.ts";
import type { StateDict } from "../../src/policy/state_dict.ts";
import { ppoColumns } from "../../src/train/ppo_columns.ts";
import { PpoTrainer } from "../../src/train/ppo_trainer.ts";
import type { PpoMetrics } from "../../src/train/ppo_update.ts";
import { relativeError } from "../support/numbers.ts";
import { ReferenceEngine } from "../support/reference_engine.ts";
import { hasShared, readShared } from "../support/shared.ts";

type Tensors = Readonly<Record<string, readonly number[] | readonly number[][]>>;
type Networks = Readonly<Record<"actor" | "critic", Tensors>>;

interface GoldenCase {
  readonly name: string;
  readonly config: Readonly<Record<string, number | null>>;
  readonly permutations: readonly number[][];
  readonly gae: readonly { readonly advantages: number[]; readonly returns: number[]; readonly rewards: number[] }[];
  readonly normalized_advantages: readonly number[];
  readonly first_epoch_metrics?: GoldenMetrics;
  readonly first_epoch_params?: Networks;
  readonly metrics: GoldenMetrics;
  readonly final_params: Networks;
}

type GoldenMetrics = Readonly<Record<string, number | boolean>>;

interface GoldenPpo {
  readonly policy: { readonly state_dim: number; readonly num_actions: number; readonly hidden_dim: number };
  readonly initial_params: Networks;
  readonly trajectories: readonly {
    readonly steps: readonly {
      readonly state: number[];
      readonly action_index: number;
      readonly log_prob: number;
      readonly value: number;
      readonly reward: number;
    }[];
    readonly final_reward: number;
  }[];
  readonly cases: readonly GoldenCase[];
}

const NAMES = {
  policy_loss: "policyLoss",
  value_loss: "valueLoss",
  entropy: "entropy",
  kl_divergence: "klDivergence",
  clip_fraction: "clipFraction",
  explained_variance: "explainedVariance",
  epochs_completed: "epochsCompleted",
  early_stopped: "earlyStopped",
  num_trajectories: "numTrajectories",
  num_steps: "numSteps",
  num_updates: "numUpdates",
} as const satisfies Record<string, keyof PpoMetrics>;

const gpu = (await listBackends()).find(({ name }) => name === "webgpu");
const noGpu = gpu?.available ? {} : { missing: gpu?.device ?? "no webgpu engine" };

/** An engine by the name under which a policy can be told to take it. */
interface Variant {
  readonly name: string;
  readonly create: (shape: NetworkShape) => Promise<PolicyEngine>;
  readonly missing?: string;
}

const VARIANTS: readonly Variant[] = [
  { name: "float64", create: (shape) => Promise.resolve(new ReferenceEngine(shape)) },
  { name: "simd", create: (shape) => createSimdEngine(shape) },
  { name: "tfjs on cpu", create: (shape) => createTfjsEngine(shape, "cpu") },
  { name: "tfjs on wasm", create: (shape) => createTfjsEngine(shape, "wasm") },
  { name: "tfjs on webgpu", create: (shape) => createTfjsEngine(shape, "webgpu"), ...noGpu },
  { name: "webgpu", create: (shape) => createWebgpuEngine(shape), ...noGpu },
];

for (const { name, create, missing } of VARIANTS) {
  Deno.test({
    name: `${name}: PPO repeats the original's five updates, metrics and weights to 1e-5${
      missing ? ` (${missing})` : ""
    }`,
    ignore: !hasShared || missing !== undefined,
    fn: async () => {
      const golden = await readShared<GoldenPpo>("golden/ppo_react_a.json");
      assert.equal(golden.cases.length, 5);
      let worst = 0;
      for (const given of golden.cases) worst = Math.max(worst, await assertRepeats(golden, given, create));
      if (Deno.env.get("RLCF_SHOW_ERRORS")) await Deno.stdout.write(new TextEncoder().encode(`${name}: ${worst}\n`));
    },
  });
}

/** Runs a case and returns the largest error. */
async function assertRepeats(golden: GoldenPpo, given: GoldenCase, create: Variant["create"]): Promise<number> {
  const set = setOf(golden);
  const order = Uint32Array.from({ length: set.steps }, (_, s) => s);
  const columns = ppoColumns(set, Uint32Array.from({ length: set.size }, (_, n) => n), settingsOf(given));
  const errors = [
    relativeError(columns.advantages, given.normalized_advantages),
    relativeError(columns.returns, given.gae.flatMap(({ returns }) => returns)),
  ];
  const runs = [[given.metrics, given.final_params, settingsOf(given).numEpochs]] as [
    GoldenMetrics,
    Networks,
    number,
  ][];
  if (given.first_epoch_metrics) runs.push([given.first_epoch_metrics, given.first_epoch_params!, 1]);
  for (const [metrics, params, numEpochs] of runs) {
    await using policy = await policyOf(golden, create);
    const config = { ...settingsOf(given), numEpochs };
    const orders = given.permutations.map((permutation) => Uint32Array.from(permutation, (s) => order[s]!));
    const found = await new PpoTrainer({ policy, config }).update(set, { orders });
    for (const [key, name] of Object.entries(NAMES)) {
      const [value, wanted] = [found[name], metrics[key]!];
      if (typeof wanted === "boolean" || Number.isInteger(wanted) && key.startsWith("num_")) {
        assert.equal(value, wanted, `${given.name}: ${key}`);
      } else errors.push(Math.abs((value as number) - (wanted as number)) / Math.max(1, Math.abs(wanted as number)));
      assert.ok(errors.at(-1)! < 1e-5, `${given.name}: ${key} is ${value}, wanted ${wanted}`);
    }
    const state = await policy.stateDict();
    for (const [tensor, wanted] of Object.entries(stateDictOf(params))) {
      errors.push(relativeError(state[tensor]!.data, wanted.data));
      assert.ok(errors.at(-1)! < 1e-5, `${given.name}: ${tensor} is off by ${errors.at(-1)}`);
    }
  }
  return Math.max(...errors);
}

async function policyOf(golden: GoldenPpo, create: Variant["create"]): Promise<ReActPolicy> {
  const { state_dim: stateDim, hidden_dim: hiddenDim } = golden.policy;
  const probe = (): Promise<{ available: true; device: string; software: false }> =>
    Promise.resolve({ available: true, device: "test", software: false });
  const engines = [{ name: "simd" as BackendName, probe, create }];
  const policy = await ReActPolicy.create({ stateDim, hiddenDim, inputScale: 1, backend: "simd", engines });
  await policy.loadStateDict(stateDictOf(golden.initial_params));
  return policy;
}

function settingsOf({ config }: GoldenCase): {
  learningRate: number;
  gamma: number;
  gaeLambda: number;
  clipRatio: number;
  numEpochs: number;
  valueCoef: number;
  entropyCoef: number;
  clipGradNorm: number;
  targetKl: number | null;
  batchSize: number | null;
  stepPenalty: number;
} {
  return {
    learningRate: config.learning_rate!,
    gamma: config.gamma!,
    gaeLambda: config.gae_lambda!,
    clipRatio: config.clip_ratio!,
    numEpochs: config.num_epochs!,
    valueCoef: config.value_coef!,
    entropyCoef: config.entropy_coef!,
    clipGradNorm: config.max_grad_norm!,
    targetKl: config.target_kl ?? null,
    batchSize: config.batch_size ?? null,
    stepPenalty: config.step_penalty!,
  };
}

function stateDictOf(networks: Networks): StateDict {
  return Object.fromEntries(
    (["actor", "critic"] as const).flatMap((network) =>
      Object.entries(networks[network]).map(([name, values]) => {
        const shape = Array.isArray(values[0]) ? [values.length, values[0].length] : [values.length];
        return [`${network}.${name}`, { shape, data: Float32Array.from((values as number[][]).flat()) }];
      })
    ),
  );
}

function setOf({ trajectories, policy }: GoldenPpo): TrajectorySet {
  const steps = trajectories.flatMap((trajectory) =>
    trajectory.steps.map((step, t) => {
      const last = t + 1 === trajectory.steps.length;
      return { ...step, done: last ? 1 : 0, reward: last ? trajectory.final_reward : step.reward };
    })
  );
  const offsets = new Uint32Array(trajectories.length + 1);
  for (const [n, trajectory] of trajectories.entries()) offsets[n + 1] = offsets[n]! + trajectory.steps.length;
  return {
    size: trajectories.length,
    steps: steps.length,
    stateDim: policy.state_dim,
    actionNames: REACT_ACTIONS,
    offsets,
    states: Float32Array.from(steps.flatMap(({ state }) => state)),
    actions: Uint32Array.from(steps, (step) => step.action_index),
    oldLogProbs: Float32Array.from(steps, (step) => step.log_prob),
    values: Float32Array.from(steps, (step) => step.value),
    rewards: Float64Array.from(steps, (step) => step.reward),
    dones: Uint8Array.from(steps, (step) => step.done),
    sampleWeights: new Float64Array(trajectories.length).fill(1),
    scores: Float64Array.from(trajectories, (trajectory) => trajectory.final_reward),
    queryIds: trajectories.map((_, n) => `q${n}`),
    userIds: trajectories.map(() => null),
    feedbackRows: trajectories.length,
    skipped: {},
  };
}
