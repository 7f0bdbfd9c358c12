import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { SINGLE_STEP_DEFAULTS, type SingleStepConfig, SingleStepTrainer } from "../../src/train/single_step_trainer.ts";
import { allRows, drawnTrace, mixedTrace, rated, syntheticEpisodes } from "./support.ts";

const random = new Random(8);
const QUERY = Float32Array.from({ length: 16 }, () => random.normal() / 4);

/** A trainer of a fresh small policy; dispose of its policy. */
async function freshTrainer(
  config: Partial<SingleStepConfig> = {},
  state?: { baseline: number },
): Promise<SingleStepTrainer> {
  const policy = await GatingPolicy.create({ inputDim: 16, hiddenDim: 8, seed: 3, backend: "cpu" });
  const start = { baseline: 0.5, rewardStd: 0.1, rewardWindow: [], numUpdates: 0 };
  return new SingleStepTrainer({ policy, config, ...(state === undefined ? {} : { state: { ...start, ...state } }) });
}

const EVEN = [0.25, 0.25, 0.25, 0.25];

Deno.test("a trainer starts with the original's settings, its baseline 0.5 and no update", async () => {
  const trainer = await freshTrainer();
  await using _policy = trainer.policy;
  assert.deepEqual(trainer.getStats(), {
    numUpdates: 0,
    baseline: 0.5,
    rewardStd: 0.1,
    rewardHistoryLength: 0,
    config: SINGLE_STEP_DEFAULTS,
  });
  const { learningRate, baselineDecay, clipGradNorm, entropyCoef, normalizeAdvantage, minVariance } = trainer.config;
  assert.deepEqual([learningRate, baselineDecay, clipGradNorm, entropyCoef, normalizeAdvantage, minVariance], [
    1e-4,
    0.99,
    1,
    0.01,
    true,
    0.1,
  ]);
});

Deno.test("settings that are given are kept", async () => {
  const trainer = await freshTrainer({ learningRate: 0.01, baselineDecay: 0.9 });
  await using _policy = trainer.policy;
  assert.deepEqual(trainer.getStats().config, { ...SINGLE_STEP_DEFAULTS, learningRate: 0.01, baselineDecay: 0.9 });
});

Deno.test("settings that make no sense are refused by name", async () => {
  await using policy = await GatingPolicy.create({ inputDim: 2, hiddenDim: 0, backend: "cpu" });
  const bad: Partial<SingleStepConfig>[] = [
    { learningRate: 0 },
    { learningRate: NaN },
    { entropyCoef: -1 },
    { clipGradNorm: Infinity },
    { weightDecay: -0.1 },
    { baselineDecay: 1 },
    { minVariance: 0 },
    { importanceClip: 0.5 },
    { residualClip: -1 },
    { objective: "abacus" as never },
  ];
  for (const config of bad) {
    assert.throws(() => new SingleStepTrainer({ policy, config }), (thrown) => {
      const [name] = Object.keys(config);
      return thrown instanceof RlcfError && thrown.message.startsWith(`cannot build the trainer: ${name} is `);
    });
  }
});

/** Trains on the specification's example and tells how each expert's probability changed, and by which factor. */
async function afterExample(reward: number): Promise<number[]> {
  const trainer = await freshTrainer({ learningRate: 1e-3, weightDecay: 0, entropyCoef: 0 });
  await using policy = trainer.policy;
  const before = (await policy.forward([QUERY])).weights;
  const trace = drawnTrace(QUERY, "literal", -0.357, 0.7);
  const { numUpdates, skipped } = await trainer.update(trace, rated(reward));
  assert.deepEqual([numUpdates, skipped], [1, []]);
  const after = (await policy.forward([QUERY])).weights;
  return Array.from(after, (weight, e) => weight / before[e]!);
}

Deno.test("the specification's example with a good reward raises the expert that was drawn, and no other", async () => {
  const [literal, ...others] = await afterExample(0.9);
  assert.ok(literal! > 1.0001, `literal times ${literal}`);
  assert.ok(others.every((factor) => factor < 1), `others times ${others}`);
});

Deno.test("the specification's example with a bad reward lowers the expert that was drawn, and no other", async () => {
  const [literal, ...others] = await afterExample(0.1);
  assert.ok(literal! < 0.9999, `literal times ${literal}`);
  assert.ok(others.every((factor) => factor > 1), `others times ${others}`);
});

Deno.test("in a linear policy the others move through the softmax alone", async () => {
  await using policy = await GatingPolicy.create({ inputDim: 16, hiddenDim: 0, seed: 3, backend: "cpu" });
  const trainer = new SingleStepTrainer({ policy, config: { objective: "soft", entropyCoef: 0, clipGradNorm: 0 } });
  const { weights } = await policy.forward([QUERY]);
  await trainer.update(drawnTrace(QUERY, "literal", -0.357, 0.7), rated(0.9));
  // The first moment is a tenth of the gradient: A (pi - one-hot), advantage (0.9 - 0.5) / 0.1, at the biases.
  const { firstMoments } = await policy.engine.read();
  const biases = firstMoments.subarray(firstMoments.length - 4);
  const wanted = weights.map((weight, e) => 0.1 * 4 * (weight - (e === 0 ? 1 : 0)));
  biases.forEach((moment, e) => assert.ok(Math.abs(moment - wanted[e]!) < 1e-6, `bias ${e}: ${moment}`));
});

Deno.test("one update on a usable trace has a gradient and changes the parameters", async () => {
  const trainer = await freshTrainer();
  await using policy = trainer.policy;
  const before = (await policy.engine.read()).parameters;
  const metrics = await trainer.update(mixedTrace(QUERY, [0.4, 0.3, 0.2, 0.1]), rated(0.9));
  assert.ok(metrics.gradNorm > 0 && metrics.loss !== 0);
  assert.equal(metrics.numUpdates, 1);
  assert.notDeepEqual((await policy.engine.read()).parameters, before);
});

Deno.test("the metrics of an update fit together", async () => {
  const trainer = await freshTrainer({ entropyCoef: 0.05 });
  await using _policy = trainer.policy;
  const metrics = await trainer.update(mixedTrace(QUERY, EVEN), rated(0.75));
  assert.ok(Math.abs(metrics.loss - metrics.policyLoss - metrics.entropyLoss) < 1e-12);
  assert.ok(Math.abs(metrics.entropyLoss + 0.05 * metrics.entropy) < 1e-12);
  assert.equal(metrics.reward, 0.75);
  assert.equal(metrics.rawAdvantage, 0.25);
  assert.equal(metrics.advantage, 2.5);
  assert.ok(Math.abs(metrics.baseline - (0.99 * 0.5 + 0.01 * 0.75)) < 1e-15);
});

Deno.test("good rewards raise the baseline", async () => {
  const trainer = await freshTrainer();
  await using _policy = trainer.policy;
  const good = new MultilevelFeedback({
    queryId: "q",
    retrievalFeedback: { precision: 0.95, recall: 0.95 },
    reasoningFeedback: { logicalCoherence: 0.95 },
  });
  let last = 0.5;
  for (let i = 0; i < 10; i++) {
    const { baseline } = await trainer.update(drawnTrace(QUERY, "systemic", -1), good);
    assert.ok(baseline > last && baseline < 0.95);
    last = baseline;
  }
});

Deno.test("bad rewards lower the baseline", async () => {
  const trainer = await freshTrainer({}, { baseline: 0.8 });
  await using _policy = trainer.policy;
  const { baseline } = await trainer.update(drawnTrace(QUERY, "systemic", -1), rated(0.1));
  assert.ok(Math.abs(baseline - (0.99 * 0.8 + 0.01 * 0.1)) < 1e-15);
});

Deno.test("a reward above the baseline is an advantage, one below it a disadvantage", async () => {
  for (const [baseline, reward] of [[0.5, 0.9], [0.8, 0.2]] as const) {
    const trainer = await freshTrainer({}, { baseline });
    await using _policy = trainer.policy;
    const { rawAdvantage, advantage } = await trainer.update(drawnTrace(QUERY, "literal", -1), rated(reward));
    assert.ok(Math.abs(rawAdvantage - (reward - baseline)) < 1e-15);
    assert.equal(Math.sign(advantage), Math.sign(reward - baseline));
  }
});

Deno.test("without normalisation the advantage is the raw one", async () => {
  const trainer = await freshTrainer({ normalizeAdvantage: false });
  await using _policy = trainer.policy;
  const { advantage, rawAdvantage } = await trainer.update(drawnTrace(QUERY, "literal", -1), rated(0.75));
  assert.deepEqual([advantage, rawAdvantage], [0.25, 0.25]);
});

Deno.test("a batch is one step on all its traces", async () => {
  const trainer = await freshTrainer();
  await using _policy = trainer.policy;
  const rewards = [0.1, 0.3, 0.5, 0.7, 0.9];
  const metrics = await trainer.updateBatch(rewards.map((reward) => [mixedTrace(QUERY, EVEN), rated(reward)]));
  assert.deepEqual([metrics.batchSize, metrics.numUpdates, metrics.skipped], [5, 1, []]);
  assert.ok(Math.abs(metrics.reward - 0.5) < 1e-15);
  assert.ok(metrics.gradNorm > 0);
  assert.equal(trainer.getStats().rewardHistoryLength, 5);
});

Deno.test("a batch of one is an update, bit for bit", async () => {
  const [one, batch] = [await freshTrainer(), await freshTrainer()];
  await using first = one.policy;
  await using second = batch.policy;
  const trace = drawnTrace(QUERY, "literal", -0.5);
  assert.deepEqual(await one.update(trace, rated(0.9)), await batch.updateBatch([[trace, rated(0.9)]]));
  assert.deepEqual(await first.engine.read(), await second.engine.read());
});

Deno.test("traces that teach nothing leave a batch as it is without them, and are named", async () => {
  const [with_, without] = [await freshTrainer(), await freshTrainer()];
  await using first = with_.policy;
  await using second = without.policy;
  const good = [[drawnTrace(QUERY, "literal", -0.5), rated(0.9)], [mixedTrace(QUERY, EVEN), rated(0.2)]] as const;
  const silent = [new ExecutionTrace({ queryId: "q" }), rated(1)] as const;
  const short = [drawnTrace([1, 2], "literal", -0.5), rated(1)] as const;
  const stranger = [drawnTrace(QUERY, "oracle", -0.5), rated(1)] as const;
  const found = await with_.updateBatch([silent, good[0], short, good[1], stranger]);
  const wanted = await without.updateBatch(good);
  assert.deepEqual(found, { ...wanted, skipped: ["no_gating_action", "wrong_dimension", "unknown_expert"] });
  assert.deepEqual(with_.state, without.state);
  assert.deepEqual(await first.engine.read(), await second.engine.read());
});

Deno.test("an update on a trace that teaches nothing moves nothing", async () => {
  const trainer = await freshTrainer();
  await using policy = trainer.policy;
  const [state, engine] = [trainer.state, await policy.engine.read()];
  const metrics = await trainer.update(new ExecutionTrace({ queryId: "q" }), rated(1));
  assert.deepEqual([metrics.loss, metrics.gradNorm, metrics.batchSize, metrics.numUpdates], [0, 0, 0, 0]);
  assert.deepEqual(metrics.skipped, ["no_gating_action"]);
  assert.deepEqual(trainer.state, state);
  assert.deepEqual(await policy.engine.read(), engine);
});

Deno.test("an empty batch and feedback without a score are refused, and move nothing", async () => {
  const trainer = await freshTrainer();
  await using policy = trainer.policy;
  const [state, engine] = [trainer.state, await policy.engine.read()];
  await assert.rejects(trainer.updateBatch([]), /^RlcfError: cannot update: found an empty batch/);
  const silent = new MultilevelFeedback({ queryId: "q" });
  await assert.rejects(
    trainer.update(drawnTrace(QUERY, "literal", -1), silent),
    /^RlcfError: cannot score the feedback/,
  );
  assert.deepEqual(trainer.state, state);
  assert.deepEqual(await policy.engine.read(), engine);
});

for (const objective of ["direct", "doubly_robust"] as const) {
  Deno.test(`a single trace cannot be trained on with a reward model (${objective}), and moves nothing`, async () => {
    const trainer = await freshTrainer({ objective });
    await using policy = trainer.policy;
    const [state, engine] = [trainer.state, await policy.engine.read()];
    const update = trainer.update(drawnTrace(QUERY, "literal", -1), rated(1));
    await assert.rejects(update, {
      name: "RlcfError",
      message: `objective ${objective} fits a reward model to a whole log: use a training session, not update()`,
    });
    assert.deepEqual(trainer.state, state);
    assert.deepEqual(await policy.engine.read(), engine);
  });
}

Deno.test("a rarely drawn expert is pushed harder, up to the clip", async () => {
  const gradNormOf = async (logProb: number, importanceClip = 20): Promise<number> => {
    const trainer = await freshTrainer({ importanceClip, entropyCoef: 0 });
    await using _policy = trainer.policy;
    return (await trainer.update(drawnTrace(QUERY, "literal", logProb), rated(0.9))).gradNorm;
  };
  const plain = await gradNormOf(0);
  assert.ok(Math.abs(await gradNormOf(Math.log(1 / 8)) / plain - 8) < 1e-4);
  assert.ok(Math.abs(await gradNormOf(Math.log(1 / 1000)) / plain - 20) < 1e-4);
  assert.ok(Math.abs(await gradNormOf(Math.log(1 / 1000), 5) / plain - 5) < 1e-4);
});

Deno.test("the window of rewards keeps the last hundred", async () => {
  const { episodes } = syntheticEpisodes({ size: 130, inputDim: 16, noise: 0.1 });
  const trainer = await freshTrainer();
  await using policy = trainer.policy;
  await policy.engine.upload(episodes.embeddings);
  await trainer.trainRows({ episodes, rows: allRows(130), batchSize: 13, objective: "reinforce" });
  assert.deepEqual(trainer.state.rewardWindow, Array.from(episodes.rewards.slice(30)));
  assert.equal(trainer.getStats().numUpdates, 10);
});

Deno.test("a trainer made from another's state goes on as that one does", async () => {
  const { episodes } = syntheticEpisodes({ size: 64, inputDim: 16, noise: 0.1 });
  const trainer = await freshTrainer();
  await using policy = trainer.policy;
  const visit = { episodes, batchSize: 8, objective: "reinforce" } as const;
  await policy.engine.upload(episodes.embeddings);
  await trainer.trainRows({ ...visit, rows: allRows(32) });
  await using copy = await GatingPolicy.create({ inputDim: 16, hiddenDim: 8, seed: 99, backend: "cpu" });
  await copy.engine.load(await policy.engine.read());
  await copy.engine.upload(episodes.embeddings);
  const other = new SingleStepTrainer({ policy: copy, state: JSON.parse(JSON.stringify(trainer.state)) });
  const rows = allRows(64).subarray(32);
  assert.deepEqual(await other.trainRows({ ...visit, rows }), await trainer.trainRows({ ...visit, rows }));
  assert.deepEqual(other.state, trainer.state);
  assert.deepEqual(await copy.engine.read(), await policy.engine.read());
});

Deno.test("reading the state does not let anyone change it", async () => {
  const trainer = await freshTrainer();
  await using _policy = trainer.policy;
  await trainer.update(drawnTrace(QUERY, "literal", -1), rated(0.9));
  (trainer.state.rewardWindow as number[]).push(7);
  assert.deepEqual(trainer.state.rewardWindow, [0.9]);
});
