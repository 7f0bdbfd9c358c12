import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import type { TrajectorySet } from "../../src/episodes/trajectory_set.ts";
import { ReActPolicy } from "../../src/policy/react_policy.ts";
import { ppoColumns } from "../../src/train/ppo_columns.ts";
import { PPO_DEFAULTS, type PpoConfig, ppoConfigOf } from "../../src/train/ppo_config.ts";
import { PpoTrainer } from "../../src/train/ppo_trainer.ts";
import type { PpoMetrics } from "../../src/train/ppo_update.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { norm } from "../support/numbers.ts";
import { randomTrajectories } from "./trajectories.ts";

const ACTIONS = ["search", "read", "answer"];
const SET = randomTrajectories({ seed: 1, size: 12, stateDim: 6, actions: ACTIONS });
const CONFIG: Partial<PpoConfig> = { learningRate: 3e-3, targetKl: null, batchSize: 7, seed: 4 };

function newPolicy(): Promise<ReActPolicy> {
  return ReActPolicy.create({ stateDim: 6, hiddenDim: 8, actions: ACTIONS, seed: 2, backend: "simd" });
}

interface Result {
  readonly metrics: PpoMetrics;
  readonly states: readonly unknown[];
}

async function updated(config: Partial<PpoConfig>, set: TrajectorySet = SET): Promise<Result> {
  await using policy = await newPolicy();
  const metrics = await new PpoTrainer({ policy, config }).update(set);
  return { metrics, states: [await policy.actor.read(), await policy.critic.read()] };
}

Deno.test("the defaults are the original's, and the configuration's but for its step penalty", () => {
  assert.deepEqual(ppoConfigOf(resolveConfig({}).config), { ...PPO_DEFAULTS, stepPenalty: -0.05 });
});

Deno.test("every setting of the configuration reaches the trainer", () => {
  const flags = {
    "react_policy.learning_rate": 0.5,
    "react_policy.gamma": 0.5,
    "react_policy.gae_lambda": 0.25,
    "react_policy.clip_ratio": 0.3,
    "react_policy.num_epochs": 9,
    "react_policy.value_coef": 2,
    "training.entropy_coef": 0.125,
    "react_policy.max_grad_norm": 3,
    "react_policy.target_kl": 0,
    "react_policy.minibatch_size": 64,
    "react_policy.step_penalty": -1,
    "training.seed": 77,
  };
  assert.deepEqual(ppoConfigOf(resolveConfig({ flags }).config), {
    learningRate: 0.5,
    gamma: 0.5,
    gaeLambda: 0.25,
    clipRatio: 0.3,
    numEpochs: 9,
    valueCoef: 2,
    entropyCoef: 0.125,
    clipGradNorm: 3,
    targetKl: null,
    batchSize: 64,
    stepPenalty: -1,
    weightDecay: 0,
    seed: 77,
  });
});

Deno.test("advantages have mean 0 and deviation 1 over the chosen steps, each counted by its weight", () => {
  const trajectories = Uint32Array.of(1, 2, 5, 7);
  const { advantages, weights, steps } = ppoColumns(SET, trajectories, { ...PPO_DEFAULTS, stepPenalty: -0.1 });
  const chosen = [...trajectories].flatMap((n) =>
    Array.from({ length: SET.offsets[n + 1]! - SET.offsets[n]! }, (_, t) => SET.offsets[n]! + t)
  );
  assert.deepEqual([...steps], chosen);
  const sum = (of: (s: number) => number): number => chosen.reduce((total, s) => total + of(s), 0);
  assert.ok(Math.abs(sum((s) => weights[s]!) - chosen.length) < 1e-9);
  assert.ok(Math.abs(sum((s) => weights[s]! * advantages[s]!)) < 1e-9);
  assert.ok(Math.abs(sum((s) => weights[s]! * advantages[s]! ** 2) - (chosen.length - 1)) < 1e-5);
  for (let s = 0; s < SET.steps; s++) if (!chosen.includes(s)) assert.equal(advantages[s], 0);
});

Deno.test("the step penalty falls on every step but a trajectory's last, and changes no set", () => {
  const before = SET.rewards.slice();
  const settings = { gamma: 1, gaeLambda: 1 };
  const all = Uint32Array.from({ length: SET.size }, (_, n) => n);
  const free = ppoColumns(SET, all, { ...settings, stepPenalty: 0 });
  const charged = ppoColumns(SET, all, { ...settings, stepPenalty: -0.5 });
  for (let n = 0; n < SET.size; n++) {
    for (let s = SET.offsets[n]!; s < SET.offsets[n + 1]!; s++) {
      const stepsToCome = SET.offsets[n + 1]! - 1 - s;
      assert.ok(Math.abs(charged.returns[s]! - free.returns[s]! + 0.5 * stepsToCome) < 1e-9);
    }
  }
  assert.deepEqual(SET.rewards, before);
});

Deno.test("the same seed gives the same bits, another one another order", async () => {
  const first = await updated(CONFIG);
  assert.deepEqual(await updated(CONFIG), first);
  assert.notDeepEqual((await updated({ ...CONFIG, seed: 5 })).states, first.states);
});

Deno.test("an update that was taken up again after any epoch ends with the same bits", async () => {
  const whole = await updated(CONFIG);
  for (const stopAfter of [1, 3]) {
    await using policy = await newPolicy();
    const update = await new PpoTrainer({ policy, config: CONFIG }).begin(SET);
    for (let epoch = 0; epoch < stopAfter; epoch++) await update.epoch();
    const cursor = structuredClone(update.cursor);

    await using other = await newPolicy();
    await other.actor.load(await policy.actor.read());
    await other.critic.load(await policy.critic.read());
    const trainer = new PpoTrainer({ policy: other, config: CONFIG });
    const metrics = await trainer.update(SET, { cursor });
    assert.deepEqual({ metrics, states: [await other.actor.read(), await other.critic.read()] }, whole);
    assert.deepEqual(trainer.state, { numUpdates: 1, numTrajectories: SET.size });
  }
});

Deno.test("a limit that no gradient reaches changes no bit of the policy", async () => {
  const [free, limited] = [
    await updated({ ...CONFIG, clipGradNorm: 0 }),
    await updated({ ...CONFIG, clipGradNorm: 1e6 }),
  ];
  assert.deepEqual(free.states, limited.states);
  for (const name of ["policyLoss", "valueLoss", "gradNorm", "klDivergence"] as const) {
    assert.ok(Math.abs(free.metrics[name] - limited.metrics[name]) < 1e-6, name);
  }
});

Deno.test("the norm that is limited is that of actor and critic together, the critic's weighted", async () => {
  await using policy = await newPolicy();
  const config = { ...CONFIG, batchSize: null, numEpochs: 1, clipGradNorm: 1e-3, entropyCoef: 0, valueCoef: 3 };
  const { gradNorm } = await new PpoTrainer({ policy, config }).update(SET);
  // After one step the first moments are a tenth of the clipped gradients.
  const [actor, critic] = [await policy.actor.read(), await policy.critic.read()];
  const [ofActor, ofCritic] = [10 * norm(actor.firstMoments), 10 * norm(critic.firstMoments)];
  assert.ok(Math.abs(Math.hypot(ofActor, ofCritic) / 1e-3 - 1) < 1e-3, `${ofActor} and ${ofCritic}`);
  assert.ok(gradNorm > 0.1 && ofActor > 1e-5 && ofCritic > 1e-5);
});

Deno.test("an update ends with the epoch after which the policy has moved too far", async () => {
  const far = await updated({ ...CONFIG, targetKl: 1e-6 });
  assert.deepEqual([far.metrics.epochsCompleted, far.metrics.earlyStopped], [1, true]);
  const near = await updated({ ...CONFIG, targetKl: 100 });
  assert.deepEqual([near.metrics.epochsCompleted, near.metrics.earlyStopped], [4, false]);
});

Deno.test("a trajectory without weight weighs nothing among the others", () => {
  const few = randomTrajectories({ seed: 8, size: 4, stateDim: 6, actions: ACTIONS });
  const silenced = { ...few, sampleWeights: Float64Array.of(1, 1, 0, 1) };
  const trajectories = Uint32Array.of(0, 1, 3);
  const columns = (set: TrajectorySet, chosen: Uint32Array): Float64Array =>
    ppoColumns(set, chosen, { ...PPO_DEFAULTS, stepPenalty: 0 }).weights;
  const [all, some] = [columns(silenced, Uint32Array.of(0, 1, 2, 3)), columns(silenced, trajectories)];
  for (let s = few.offsets[2]!; s < few.offsets[3]!; s++) assert.equal(all[s], 0);
  assert.ok(some.every((weight, s) => weight === 0 || all[s]! > 0));
});

Deno.test("counters go on from where they stood", async () => {
  await using policy = await newPolicy();
  const trainer = new PpoTrainer({ policy, config: CONFIG, state: { numUpdates: 3, numTrajectories: 50 } });
  const { numUpdates, numTrajectories } = await trainer.update(SET, { trajectories: Uint32Array.of(0, 4) });
  assert.deepEqual([numUpdates, numTrajectories], [4, 52]);
});

Deno.test("what cannot be trained on is refused before anything changes", async () => {
  await using policy = await newPolicy();
  const before = await policy.stateDict();
  const trainer = new PpoTrainer({ policy, config: CONFIG });
  const refused = (work: Promise<unknown>, message: RegExp): Promise<void> =>
    assert.rejects(
      work,
      (error) => error instanceof RlcfError && error.code === "usage" && message.test(error.message),
    );
  await refused(trainer.update(SET, { trajectories: new Uint32Array(0) }), /found no trajectory/);
  await refused(trainer.update({ ...SET, stateDim: 5 }), /states have 5 numbers, wanted stateDim 6/);
  await refused(trainer.update({ ...SET, actionNames: ["a", "b", "c"] }), /actions are a, b, c, wanted search, read/);
  await refused(trainer.update(SET, { orders: [Uint32Array.of(0, 0)] }), /order of epoch 1 holds 2 entries/);
  assert.deepEqual(await policy.stateDict(), before);
});

Deno.test("settings that make no sense are refused by name", async () => {
  await using policy = await newPolicy();
  const wrong: [Partial<PpoConfig>, RegExp][] = [
    [{ learningRate: 0 }, /learningRate is 0, wanted a number > 0/],
    [{ gamma: 1.1 }, /gamma is 1.1/],
    [{ gaeLambda: -0.1 }, /gaeLambda is -0.1/],
    [{ clipRatio: 0 }, /clipRatio is 0/],
    [{ numEpochs: 1.5 }, /numEpochs is 1.5/],
    [{ valueCoef: 0 }, /valueCoef is 0/],
    [{ targetKl: 0 }, /targetKl is 0, wanted null or a number > 0/],
    [{ batchSize: 0 }, /batchSize is 0/],
    [{ stepPenalty: NaN }, /stepPenalty is NaN/],
    [{ seed: -1 }, /seed is -1/],
  ];
  for (const [config, message] of wrong) {
    assert.throws(() => new PpoTrainer({ policy, config }), message);
  }
});
