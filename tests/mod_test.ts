/**
 * The public face as the README shows it and as services rely on it: everything here is imported from `src/mod.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  createPersistence,
  DEFAULT_EXPERTS,
  ExecutionTrace,
  findStoredPolicy,
  GatingPolicy,
  LEVEL_SCORES,
  MultilevelFeedback,
  openPolicy,
  RlcfError,
  SINGLE_STEP_DEFAULTS,
  SingleStepTrainer,
  type StateDict,
  type TrainerStats,
  type UpdateMetrics,
} from "../src/mod.ts";
import { INPUT_DIM, Workplace } from "./session/support.ts";

const EMBEDDING = Float32Array.from({ length: 6 }, (_, i) => Math.sin(i + 1));

/** A small policy on the plain CPU backend. */
function smallPolicy(): Promise<GatingPolicy> {
  return GatingPolicy.create({ inputDim: 6, hiddenDim: 4, seed: 5, backend: "cpu" });
}

/** A query that an expert drawn with probability 1/2 answered. */
function drawn(expertType: string): ExecutionTrace {
  return new ExecutionTrace({ queryId: `query_${expertType}` }).addExpertSelection({
    expertType,
    weight: 0.5,
    logProb: Math.log(0.5),
    metadata: { source: "gating_policy", query_embedding: EMBEDDING },
  });
}

const judged = (overallRating: number): MultilevelFeedback => new MultilevelFeedback({ queryId: "q", overallRating });

/** What the README's example left behind. */
interface ExampleResult {
  readonly printed: readonly string[];
  readonly score: number;
  readonly stats: TrainerStats;
  readonly state: StateDict;
  readonly drawn: { readonly expert: string; readonly logProb: number };
  readonly trace: ExecutionTrace;
  readonly totals: { readonly total_traces: number; readonly traces_with_feedback: number };
}

/** The README's example as a module: another database, no printing, and its results exported; else as it stands. */
function exampleModule(readme: string): string {
  const section = readme.split("\n## As a library\n")[1]?.split("\n## ")[0] ?? "";
  const example = /```ts\n([\s\S]*?)```/.exec(section)?.[1];
  assert.ok(example !== undefined, "README.md has an example in its section As a library");
  const changes: [found: RegExp, wanted: string][] = [
    [/"\.\/src\/mod\.ts"/, JSON.stringify(new URL("../src/mod.ts", import.meta.url).href)],
    [/createPersistence\("[^"]+"\)/, 'createPersistence("sqlite://")'],
    [/console\.log/, "printed.push"],
  ];
  const changed = changes.reduce((text, [found, wanted]) => {
    assert.match(text, found);
    return text.replace(found, wanted);
  }, example);
  return `const printed: string[] = [];
${changed}
export const result = {
  printed, drawn, score: feedback.overallScore(), stats: trainer.getStats(), state: await policy.stateDict(),
  trace: await store.getTrace(traceId), totals: await store.getTrainingStats(),
};`;
}

Deno.test("the README's example runs as it stands and shows what its comments say", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const module = exampleModule(readme);
  const { result } = await import(`data:application/typescript,${encodeURIComponent(module)}`) as {
    result: ExampleResult;
  };
  assert.deepEqual([result.totals.total_traces, result.totals.traces_with_feedback], [1, 1]);
  const said = /feedback\.overallScore\(\); \/\/ ([\d.]+)/.exec(readme)?.[1];
  assert.equal(String(Math.round(result.score * 1e9) / 1e9), said);

  const [selection, traversal] = result.trace.actions;
  assert.equal(selection?.parameters.expert_type, result.drawn.expert);
  assert.equal(selection?.logProb, result.drawn.logProb);
  assert.equal((selection?.metadata.query_embedding as number[]).length, 768);
  assert.equal(traversal?.parameters.relation_type, "RIFERIMENTO");

  assert.equal(result.printed.length, 1);
  assert.match(result.printed[0]!, /^loss -?\d+\.\d{4}, reward 0\.8400$/);
  assert.equal(result.stats.numUpdates, 1);
  assert.equal(result.stats.config.baselineDecay, 0.9);
  const statsShown = /getStats\(\); \/\/ \{ ([^}]+) \}/.exec(readme)?.[1]?.split(", ");
  assert.deepEqual(Object.keys(result.stats), statsShown);
  assert.deepEqual(result.state["0.weight"]?.shape, [256, 768]);
});

Deno.test("a policy takes numExperts instead of experts, and names the specification's four", async () => {
  await using four = await GatingPolicy.create({ inputDim: 3, hiddenDim: 2, numExperts: 4, backend: "cpu" });
  assert.deepEqual(four.experts, ["literal", "systemic", "principles", "precedent"]);
  assert.deepEqual(four.experts, DEFAULT_EXPERTS);
  await using two = await GatingPolicy.create({ inputDim: 3, hiddenDim: 2, numExperts: 2, backend: "cpu" });
  assert.equal(two.experts.length, 2);
  assert.equal((await two.forward([[1, 2, 3]])).weights.length, 2);
});

Deno.test("forward takes rows or a flat array and returns weights and logProbs [n, numExperts]", async () => {
  await using policy = await smallPolicy();
  const rows = [[1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 1], [-1, 1, -1, 1, -1, 1]];
  const routing = await policy.forward(rows);
  assert.deepEqual(Object.keys(routing).sort(), ["logProbs", "weights"]);
  for (const column of [routing.weights, routing.logProbs]) {
    assert.ok(column instanceof Float32Array);
    assert.equal(column.length, 3 * policy.numExperts);
  }
  for (let i = 0; i < 3; i++) {
    const weights = routing.weights.slice(4 * i, 4 * i + 4);
    assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-6);
    weights.forEach((weight, e) => assert.ok(Math.abs(Math.exp(routing.logProbs[4 * i + e]!) - weight) < 1e-6));
  }
  assert.deepEqual(await policy.forward(Float32Array.from(rows.flat())), routing);
  assert.deepEqual((await policy.forward([])).weights.length, 0);
});

Deno.test("a state dict has torch's names and shapes and moves a policy's routing to another", async () => {
  await using policy = await smallPolicy();
  const state = await policy.stateDict();
  assert.deepEqual(Object.entries(state).map(([name, { shape }]) => [name, shape]), [
    ["0.weight", [4, 6]],
    ["0.bias", [4]],
    ["3.weight", [2, 4]],
    ["3.bias", [2]],
    ["6.weight", [4, 2]],
    ["6.bias", [4]],
  ]);
  for (const { shape, data } of Object.values(state)) {
    assert.ok(data instanceof Float32Array);
    assert.equal(data.length, shape.reduce((product, length) => product * length, 1));
  }
  await using other = await GatingPolicy.create({ inputDim: 6, hiddenDim: 4, seed: 6, backend: "cpu" });
  assert.notDeepEqual(await other.forward(EMBEDDING), await policy.forward(EMBEDDING));
  await other.loadStateDict(state);
  assert.deepEqual(await other.forward(EMBEDDING), await policy.forward(EMBEDDING));
});

Deno.test("update and updateBatch return the documented metrics, and every number is finite", async () => {
  await using policy = await smallPolicy();
  const trainer = new SingleStepTrainer({ policy, config: { learningRate: 0.01 } });
  const one: UpdateMetrics = await trainer.update(drawn("literal"), judged(0.9));
  const two = await trainer.updateBatch([[drawn("literal"), judged(0.9)], [drawn("systemic"), judged(0.2)]]);
  for (const metrics of [one, two]) {
    const { skipped, ...numbers } = metrics;
    assert.deepEqual(skipped, []);
    assert.deepEqual(Object.keys(numbers).sort(), [
      "advantage",
      "baseline",
      "batchSize",
      "entropy",
      "entropyLoss",
      "gradNorm",
      "loss",
      "numUpdates",
      "policyLoss",
      "rawAdvantage",
      "reward",
      "rewardStd",
    ]);
    assert.ok(Object.values(numbers).every(Number.isFinite));
    assert.ok(Math.abs(metrics.loss - metrics.policyLoss - metrics.entropyLoss) < 1e-6);
  }
  assert.deepEqual([one.batchSize, one.reward, one.numUpdates], [1, 0.9, 1]);
  assert.deepEqual([two.batchSize, two.numUpdates], [2, 2]);
  assert.ok(Math.abs(two.reward - 0.55) < 1e-12);
});

Deno.test("getStats tells counters, baseline and every setting in force", async () => {
  await using policy = await smallPolicy();
  const config = {
    learningRate: 0.01,
    entropyCoef: 0.02,
    clipGradNorm: 2,
    baselineDecay: 0.9,
    normalizeAdvantage: false,
    minVariance: 0.2,
    objective: "soft",
  } as const;
  const trainer = new SingleStepTrainer({ policy, config });
  await trainer.update(drawn("literal"), judged(1));
  assert.deepEqual(trainer.getStats(), {
    numUpdates: 1,
    baseline: 0.9 * 0.5 + 0.1 * 1,
    rewardStd: 0.1,
    rewardHistoryLength: 1,
    config: { ...SINGLE_STEP_DEFAULTS, ...config },
  });
});

Deno.test("feedback takes the documented levels, rating and user", () => {
  const feedback = new MultilevelFeedback({
    queryId: "q",
    retrievalFeedback: { precision: 0.5 },
    reasoningFeedback: { legalSoundness: 0.25 },
    synthesisFeedback: { clarity: 1 },
    overallRating: 0.75,
    userId: "avv_017",
  });
  assert.equal(feedback.overallScore(), 0.75);
  assert.equal(feedback.userId, "avv_017");
  assert.deepEqual(Object.keys(feedback.levels), Object.keys(LEVEL_SCORES));
  assert.deepEqual(MultilevelFeedback.fromJSON(feedback.toJSON()).toJSON(), feedback.toJSON());
});

Deno.test("a store has every documented method", async () => {
  await using store = await createPersistence("sqlite://");
  const methods = [
    "saveTrace",
    "getTrace",
    "getTracesWithoutFeedback",
    "saveFeedback",
    "getFeedbackForTrace",
    "getTrainingData",
    "getTrainingStats",
    "savePolicyCheckpoint",
    "getActivePolicy",
    "listPolicyCheckpoints",
    "activatePolicy",
    "startTrainingSession",
    "completeTrainingSession",
    "failTrainingSession",
    "close",
  ] as const;
  for (const name of methods) assert.equal(typeof store[name], "function", name);
});

Deno.test("a service opens the active version from the store and routes with its weights", async () => {
  await using workplace = await Workplace.open(40);
  const { store, root } = workplace;
  await assert.rejects(findStoredPolicy(store, root, "gating"), (thrown) => {
    assert.ok(thrown instanceof RlcfError);
    assert.equal(thrown.code, "checkpoint");
    return true;
  });
  const report = await workplace.train({ "checkpoint.activate": "always" });
  const { checkpoint, saved } = await findStoredPolicy(store, root, "gating");
  assert.equal(checkpoint.version, report.version);
  await using policy = await openPolicy(saved, "cpu");
  assert.deepEqual((await policy.engine.read()).parameters, saved.state.parameters);
  const { weights } = await policy.forward(new Float32Array(INPUT_DIM).fill(0.3));
  assert.equal(weights.length, policy.numExperts);
});
