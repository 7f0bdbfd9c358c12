import assert from "node:assert/strict";
import { decodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import type { FlagValues } from "../../src/config/resolve.ts";
import type { TrajectoryValue } from "../../src/evaluate/trajectory_value.ts";
import { ReActPolicy } from "../../src/policy/react_policy.ts";
import { findStoredPolicy, findStoredReAct, openReActPolicy } from "../../src/session/open_policy.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { feedbackFromRating } from "../../src/feedback/factories.ts";
import { doomedMachine } from "../faults/gpu_support.ts";
import { postgresForTests } from "../support/postgres.ts";
import { AgentWorkplace, REACT_FLAGS, STATE_DIM } from "./agent_support.ts";
import { drawnRecords, failing, refuses, settings } from "./support.ts";

const FILES = ["policy.safetensors", "trainer.safetensors"];
const SAVING: FlagValues = { ...REACT_FLAGS, "checkpoint.save_frequency": 30, "checkpoint.activate": "always" };

Deno.test("a session trains actor and critic, publishes a version of its own line and activates it", async () => {
  await using work = await AgentWorkplace.open();
  await work.playFresh(300);
  const report = await work.train({ ...REACT_FLAGS, "compute.backend": "simd" });
  assert.deepEqual([report.policy_type, report.version, report.parent_version], ["react", "v1.0.0", null]);
  assert.equal(report.activated, true, report.activation_reason);
  assert.equal(report.episodes.available, 300);
  assert.equal(report.episodes.trained + report.episodes.holdout, 300);
  const { metrics } = report;
  assert.deepEqual([metrics.objective, metrics.epochs, metrics.num_updates], ["ppo", 4, 1]);
  assert.equal((metrics.curve as { episodes: number[] }).episodes.length, 4);
  assert.equal(report.updates, 4 * Math.ceil((metrics.num_steps as number) / 64));
  const { saved } = await findStoredReAct(work.store, work.root);
  assert.equal(saved.actor.step, report.updates);
  assert.deepEqual(saved.trainer, { numUpdates: 1, numTrajectories: report.episodes.trained });
  assert.deepEqual(saved.run, {});
  // A gating policy knows nothing of it.
  assert.equal(await work.store.getActivePolicy("gating"), null);
  assert.equal(await work.store.getLeaseHolder("react"), null);
});

Deno.test("the second version goes on from the first, and each type counts its own versions", async () => {
  await using work = await AgentWorkplace.open();
  await work.playFresh(200);
  await work.store.ingest(drawnRecords(60, 7));
  const first = await work.train(SAVING);
  assert.equal((await work.train(SAVING)).version, "v1.0.1");
  const gating = await work.train({ "checkpoint.activate": "always" });
  assert.deepEqual([first.version, gating.version, gating.policy_type], ["v1.0.0", "v1.0.0", "gating"]);
  const { saved, checkpoint } = await findStoredReAct(work.store, work.root);
  assert.deepEqual([checkpoint.version, checkpoint.parentVersion], ["v1.0.1", "v1.0.0"]);
  assert.equal(saved.trainer.numUpdates, 2);
  assert.equal(saved.actor.step, 2 * first.updates);
  // Feedback on answers without steps is counted, not used.
  assert.deepEqual(first.episodes.skipped, { no_react_steps: 60 });
  assert.deepEqual(gating.episodes.skipped, { no_gating_action: 200 });
});

Deno.test("the published weights are those of the policy, in torch's names and for unscaled states", async () => {
  await using work = await AgentWorkplace.open();
  await work.playFresh(120);
  await work.train({ ...SAVING, "react_policy.input_scale": 3.3 });
  const { saved } = await findStoredReAct(work.store, work.root);
  await using policy = await openReActPolicy(saved, "cpu");
  const state = await policy.stateDict();
  const { tensors } = decodeSafetensors(await work.read("react-v1.0.0", "policy.safetensors"), "test");
  assert.deepEqual(Object.keys(tensors).sort(), Object.keys(state).sort());
  assert.deepEqual(tensors["actor.0.weight"]!.shape, [8, STATE_DIM]);
  assert.deepEqual(tensors["critic.6.bias"]!.shape, [1]);
  // Bit for bit, although the scale is no power of two.
  for (const [name, { data }] of Object.entries(state)) assert.deepEqual(data, tensors[name]!.data, name);
});

for (const backend of ["simd", "cpu"] as const) {
  Deno.test(`a session that was interrupted and taken up ends in the bits of an uninterrupted one (${backend})`, async () => {
    const flags: FlagValues = { ...SAVING, "compute.backend": backend, "react_policy.input_scale": 3.3 };
    await using whole = await AgentWorkplace.open();
    await using cut = await AgentWorkplace.open();
    for (const work of [whole, cut]) await work.playFresh(150);
    const wanted = await whole.train(flags);
    const error = await cut.interrupted(flags, 1);
    assert.match(error.message, /^training of v1\.0\.0 was interrupted after (\d+) of \d+ episodes$/);
    await cut.interrupted(flags, 2 * wanted.episodes.trained, { resume: true });
    const found = await cut.train(flags, { resume: true });
    for (const file of FILES) {
      assert.deepEqual(await cut.read("react-v1.0.0", file), await whole.read("react-v1.0.0", file), file);
    }
    assert.deepEqual(found.evaluation, wanted.evaluation);
    assert.deepEqual({ ...found.metrics, curve: null }, { ...wanted.metrics, curve: null });
    const statuses = (await cut.store.listTrainingSessions("react")).map(({ status }) => status);
    assert.deepEqual(statuses, ["completed", "interrupted", "interrupted"]);
  });
}

Deno.test("a session whose process died goes on from its last periodic version", async () => {
  await using whole = await AgentWorkplace.open();
  await using dead = await AgentWorkplace.open();
  for (const work of [whole, dead]) await work.playFresh(150);
  await whole.train(SAVING);
  let store = failing(dead.store, "activatePolicy", new Error("killed"));
  store = failing(store, "failTrainingSession", new Error("killed"));
  await assert.rejects(dead.train(SAVING, { store }), /killed/);
  await dead.store.deletePolicyCheckpoints("react", ["v1.0.0"]);
  await Deno.remove(`${dead.root}/react-v1.0.0`, { recursive: true });
  await dead.train(SAVING, { resume: true });
  for (const file of FILES) {
    assert.deepEqual(await dead.read("react-v1.0.0", file), await whole.read("react-v1.0.0", file), file);
  }
});

Deno.test("a run is not taken up under other settings, or on another log", async () => {
  await using work = await AgentWorkplace.open();
  await work.playFresh(150);
  await work.interrupted(SAVING, 1);
  const other = work.train({ ...SAVING, "react_policy.gamma": 0.5 }, { resume: true });
  await refuses(other, "usage", /react_policy\.gamma is 0\.5, but the run has 0\.99/);
  // Dated before the end of the run's window.
  await work.playFresh(20, 2);
  await refuses(work.train(SAVING, { resume: true }), "usage", /the log of its window has changed since it started/);
});

Deno.test("a log without steps ends with the reason and leaves no session, no version and no lease behind", async () => {
  await using work = await AgentWorkplace.open();
  await refuses(work.train(REACT_FLAGS), "not_enough_data", /^No traces with feedback found/);
  await work.store.ingest(drawnRecords(20, 1));
  await refuses(
    work.train(REACT_FLAGS),
    "not_enough_data",
    /^Insufficient feedback: 0 of 10 usable in the last 30 days; left out: 20 no_react_steps$/,
  );
  await work.playFresh(5);
  await refuses(work.train(REACT_FLAGS), "not_enough_data", /^Insufficient feedback: 5 of 10 usable/);
  assert.deepEqual(await work.store.listTrainingSessions("react"), []);
  assert.deepEqual(await work.store.listPolicyCheckpoints("react"), []);
  assert.equal(await work.store.getLeaseHolder("react"), null);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(work.root)), []);
});

Deno.test("what cannot be used is counted by reason and trains nothing", async () => {
  await using work = await AgentWorkplace.open();
  await work.playFresh(60);
  const odd = async (queryId: string, step: { state?: number[]; action?: string; logProb?: number }): Promise<void> => {
    const trace = new ExecutionTrace({ queryId }).addReActStep({
      state: step.state ?? Array(STATE_DIM).fill(0.1),
      action: step.action ?? "final_answer",
      logProb: step.logProb ?? -1,
      value: 0,
      done: true,
    });
    const id = await work.store.saveTrace(trace);
    await work.store.saveFeedback(id, feedbackFromRating(queryId, 0.5));
  };
  await odd("short", { state: [1, 2] });
  await odd("stranger", { action: "phone_a_friend" });
  await odd("impossible", { logProb: -1000 });
  const report = await work.train(REACT_FLAGS);
  assert.deepEqual(report.episodes.skipped, { wrong_dimension: 1, unknown_action: 1, zero_propensity: 1 });
  assert.equal(report.episodes.trained + report.episodes.holdout, 60);
});

Deno.test("a version that acts like nothing in the log is held for want of effective episodes", async () => {
  await using work = await AgentWorkplace.open();
  // Sure of itself, and of other things than fresh weights are.
  await using sure = await ReActPolicy.create({ stateDim: STATE_DIM, hiddenDim: 8, seed: 0, backend: "simd" });
  const state = await sure.stateDict();
  state["actor.6.bias"]!.data.set([0, 0, 2.5, 0, 0, 0, 0]);
  await sure.loadStateDict(state);
  await work.play(sure, 400, 3);
  const report = await work.train({ ...REACT_FLAGS, "react_policy.learning_rate": 1e-5 });
  const { gate, candidate, limits } = report.evaluation;
  const { effective_sample_size } = candidate as TrajectoryValue;
  assert.equal(gate.verdict, "hold");
  assert.equal(report.activated, false);
  assert.ok(effective_sample_size! < 30, `${effective_sample_size}`);
  assert.match(gate.reason, /they weigh as much as \d+, and 30 are wanted/);
  assert.match(limits![0]!, /grows exponentially with its length/);
});

Deno.test("an agent that always took the most probable action identifies no other", async () => {
  await using work = await AgentWorkplace.open();
  for (let i = 0; i < 40; i++) {
    const trace = new ExecutionTrace({ queryId: `g${i}` });
    const state = Array.from({ length: STATE_DIM }, (_, k) => Math.sin(i + k));
    trace.addReActStep({ state, action: "final_answer", logProb: 0, value: 0, done: true });
    const id = await work.store.saveTrace(trace);
    await work.store.saveFeedback(id, feedbackFromRating(`g${i}`, 0.5));
  }
  const { evaluation, activated } = await work.train(REACT_FLAGS);
  assert.equal(activated, false);
  assert.equal(evaluation.candidate!.doubly_robust, null);
  assert.match(evaluation.candidate!.not_identified.join("; "), /100% of the logged steps had no alternative/);
});

Deno.test("a broken active version is told from one of another type, and training starts from its ancestor", async () => {
  await using work = await AgentWorkplace.open();
  await work.playFresh(150);
  await work.train(SAVING);
  await work.train(SAVING);
  await Deno.writeFile(`${work.root}/react-v1.0.1/policy.safetensors`, new Uint8Array(8));
  const report = await work.train(SAVING);
  assert.deepEqual([report.version, report.parent_version], ["v1.0.2", "v1.0.0"]);
  assert.match(JSON.stringify(report.metrics.warnings), /checkpoint_fallback/);
  await refuses(
    findStoredPolicy(work.store, work.root, "react"),
    "checkpoint",
    /found a react policy, wanted one that/,
  );
});

Deno.test("other sizes than the active version's start from fresh weights and say so in the gate", async () => {
  await using work = await AgentWorkplace.open();
  await work.playFresh(150);
  await work.train(SAVING);
  const report = await work.train({ ...REACT_FLAGS, "react_policy.hidden_dim": 6 });
  assert.deepEqual([report.version, report.parent_version], ["v1.0.1", null]);
  // The same states and actions: it is judged against the active one all the same.
  assert.equal(report.evaluation.active_version, "v1.0.0");
  assert.equal(report.evaluation.gate.rule, "paired");
});

Deno.test("wherever the GPU is lost, the session makes the agent that the CPU alone would have made, and says so", async () => {
  const flags = { ...SAVING, "react_policy.num_epochs": 2, "react_policy.minibatch_size": 400 };
  await using undisturbed = await AgentWorkplace.open();
  await undisturbed.playFresh(80);
  const simd = { ...flags, "compute.backend": "simd" };
  await undisturbed.train(simd, { engines: doomedMachine(Infinity) });
  const wanted = await undisturbed.read("react-v1.0.0", "policy.safetensors");
  let [losses, during, k] = [1, 0, 1];
  for (; losses > 0; k++) {
    await using work = await AgentWorkplace.open();
    await work.playFresh(80);
    const report = await work.train({ ...flags, "compute.backend": "webgpu" }, { engines: doomedMachine(k) });
    losses = report.fallbacks.length;
    assert.deepEqual(await work.read("react-v1.0.0", "policy.safetensors"), wanted, `lost at call ${k}`);
    // Actor and critic each have an engine, and each of these is lost at its own k-th call.
    assert.ok(losses <= 2, String(losses));
    for (const { from, to, at_episode, repeated } of report.fallbacks) {
      assert.deepEqual([from, to], ["webgpu", "simd"]);
      assert.ok(at_episode <= 2 * report.episodes.trained && repeated <= 2 * report.episodes.trained);
      if (at_episode === report.episodes.trained) during++;
    }
    const [session] = await work.store.listTrainingSessions("react");
    assert.deepEqual(session!.metrics.fallbacks, report.fallbacks);
  }
  assert.ok(k > 8 && during > 0, `${k} calls, ${during} losses in the second pass`);
});

const server = await postgresForTests();

Deno.test({
  name: "on PostgreSQL a session ends in the same bits as on SQLite",
  ignore: "reason" in server,
  fn: async () => {
    if ("reason" in server) throw new Error(server.reason);
    await using database = await server.createDatabase();
    await using there = await AgentWorkplace.open(database.url);
    await using here = await AgentWorkplace.open();
    for (const work of [there, here]) await work.playFresh(120);
    const [wanted, found] = [await here.train(SAVING), await there.train(SAVING)];
    assert.deepEqual(await there.read("react-v1.0.0", FILES[0]!), await here.read("react-v1.0.0", FILES[0]!));
    assert.deepEqual(found.evaluation, wanted.evaluation);
    assert.equal((await there.store.getActivePolicy("react"))!.version, "v1.0.0");
    assert.equal(settings(here.root, SAVING).config.training.policyType, "react");
  },
});
