/**
 * The gate inside a session: what is asked, what is stored, what is warned of.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { EvaluationReport } from "../../src/session/report.ts";
import { warningsOf } from "../../src/session/warnings.ts";
import { alphaOf } from "../../src/evaluate/gate.ts";
import { splitHoldout } from "../../src/episodes/holdout.ts";
import { syntheticEpisodes } from "../train/support.ts";
import { Workplace } from "./support.ts";

Deno.test("a first version above the log becomes active by the plain rule, and the report has the numbers", async () => {
  await using work = await Workplace.open(300);
  const { activated, activation_reason, evaluation } = await work.train({ "training.epochs": 15 });
  assert.equal(activated, true);
  assert.match(
    activation_reason,
    /^activated: estimated value 0\.\d{3} against 0\.\d{3} of the logged routing on \d+ held-out/,
  );
  const { gate, candidate } = evaluation;
  assert.deepEqual([gate.verdict, gate.rule, gate.against, gate.method, gate.question], [
    "promote",
    "plain",
    null,
    "doubly_robust",
    1,
  ]);
  assert.equal(gate.candidate, candidate!.doubly_robust);
  assert.ok(Math.abs(gate.total!.difference - (gate.candidate! - gate.rival!)) < 1e-12);
  assert.equal(gate.rival, evaluation.logged_value);
  for (const level of Object.values(gate.levels)) assert.ok(level!.lower < level!.difference);
});

Deno.test("challengers of the same active version are counted, and each verdict is stored with its version", async () => {
  await using work = await Workplace.open(120);
  await work.train({ "checkpoint.activate": "always" });
  const asked: number[] = [];
  for (let i = 0; i < 3; i++) {
    const { evaluation, activation_reason, version } = await work.train({ "training.learning_rate": 1e-6 });
    asked.push(evaluation.gate.question);
    assert.equal(evaluation.gate.alpha, alphaOf(evaluation.gate.question));
    assert.equal(evaluation.gate.verdict, "hold", evaluation.gate.reason);
    assert.match(activation_reason, /^not activated, v1\.0\.0 stays: /);
    const row = await work.store.getPolicyCheckpoint(version, "gating");
    assert.deepEqual((row!.trainingMetrics.evaluation as unknown as EvaluationReport).gate, evaluation.gate);
  }
  assert.deepEqual(asked, [1, 2, 3]);
  // A new active version has had no challenger yet.
  const always = await work.train({ "checkpoint.activate": "always" });
  assert.equal(always.evaluation.gate.question, 4);
  assert.equal((await work.train()).evaluation.gate.question, 1);
});

Deno.test("the reason of an activation in the history is the verdict's", async () => {
  await using work = await Workplace.open(300);
  const { activation_reason } = await work.train({ "training.epochs": 15 });
  const [activation] = await work.store.listActivations("gating");
  assert.equal(activation!.reason, activation_reason);
});

const EVEN = { baseline: 0.5, rewardStd: 0.2, rewardWindow: [] };

/** The names of the warnings about a routing that is the same everywhere. */
function named(weights: readonly number[], change: Partial<Parameters<typeof warningsOf>[0]> = {}): string[] {
  const { episodes } = syntheticEpisodes({ size: 100, noise: 0.1 });
  const split = splitHoldout(episodes, 0.2, 5);
  const routingNE = Float32Array.from({ length: 4 * split.holdout.length }, (_, k) => weights[k % 4]!);
  const warnings = warningsOf({
    trainingLog: { episodes, split },
    routingNE,
    parent: null,
    baseline: EVEN,
    contradictions: [],
    ...change,
  });
  for (const { message } of warnings) assert.match(message, /\d/);
  return warnings.map(({ name }) => name);
}

Deno.test("warnings are named: certainty, a single expert, a drifted baseline, or nothing", () => {
  assert.deepEqual(named([0.4, 0.3, 0.2, 0.1]), []);
  assert.deepEqual(named([0.96, 0.02, 0.01, 0.01]), ["single_expert_routing"]);
  assert.deepEqual(named([1, 0, 0, 0]), ["entropy_collapse", "single_expert_routing"]);
  const drifted = { ...EVEN, baseline: 0.61 };
  assert.deepEqual(named([0.4, 0.3, 0.2, 0.1], { parent: EVEN, baseline: drifted }), ["baseline_drift"]);
  assert.deepEqual(named([0.4, 0.3, 0.2, 0.1], { parent: EVEN, baseline: { ...EVEN, baseline: 0.59 } }), []);
  // Without a parent the baseline is compared with the rewards trained on, which are near 0.5.
  assert.deepEqual(named([0.4, 0.3, 0.2, 0.1], { baseline: { ...EVEN, baseline: 0.9 } }), ["baseline_drift"]);
});

Deno.test("a warning names the users who contradict the rest, a few of them one by one", () => {
  const contradictions = Array.from({ length: 7 }, (_, i) => ({ userId: `u${i}`, episodes: 9, factor: 0.1 + i / 100 }));
  const { episodes } = syntheticEpisodes({ size: 100 });
  const split = splitHoldout(episodes, 0.2, 5);
  const routingNE = new Float32Array(4 * split.holdout.length).fill(0.25);
  const common = { trainingLog: { episodes, split }, routingNE, parent: null, baseline: EVEN };
  const [warning, ...others] = warningsOf({ ...common, contradictions });
  assert.deepEqual(others, []);
  assert.equal(warning!.name, "contradicting_users");
  assert.match(warning!.message, /^u0 x0\.10, u1 x0\.11, u2 x0\.12, u3 x0\.13, u4 x0\.14 and 2 more: /);
});

Deno.test("certain routing of each query to another expert has collapsed, but is not single", () => {
  const { episodes } = syntheticEpisodes({ size: 100 });
  const split = splitHoldout(episodes, 0.2, 5);
  const routingNE = new Float32Array(4 * split.holdout.length);
  for (let i = 0; i < split.holdout.length; i++) routingNE[4 * i + i % 4] = 1;
  const found = warningsOf({
    trainingLog: { episodes, split },
    routingNE,
    parent: null,
    baseline: EVEN,
    contradictions: [],
  });
  assert.deepEqual(found.map(({ name }) => name), ["entropy_collapse"]);
});

Deno.test("a session tells its warnings", async () => {
  await using work = await Workplace.open(80);
  const { metrics } = await work.train({
    "training.learning_rate": 1,
    "training.epochs": 5,
    "training.weight_decay": 0,
  });
  assert.ok(Array.isArray(metrics.warnings));
  const [row] = await work.store.listPolicyCheckpoints("gating");
  assert.deepEqual(row!.trainingMetrics.warnings, metrics.warnings);
});
