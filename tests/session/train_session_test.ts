import assert from "node:assert/strict";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { findStoredPolicy, openPolicy } from "../../src/session/open_policy.ts";
import type { TrainProgress } from "../../src/session/report.ts";
import { Community } from "../../src/simulate/community.ts";
import { feedbackFromRating } from "../../src/feedback/factories.ts";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import { drawnRecords, INPUT_DIM, settings, Workplace } from "./support.ts";

Deno.test("a session trains, publishes and activates the first version, and reports what it did", async () => {
  await using work = await Workplace.open(80);
  const report = await work.train({ "checkpoint.activate": "always" });
  const { evaluation, throughput, metrics, episodes, checkpoint, session_id, device, ...rest } = report;
  assert.deepEqual(rest, {
    status: "completed",
    policy_type: "gating",
    version: "v1.0.0",
    parent_version: null,
    activated: true,
    activation_reason: "activated without asking: checkpoint.activate is always",
    backend: "cpu",
    backend_reason: "cpu was asked for",
    fallbacks: [],
    updates: 2 * Math.ceil(episodes.trained / 8),
  });
  assert.ok(device.length > 0);
  assert.match(session_id, /^[0-9a-f-]{36}$/);
  assert.equal(checkpoint.path, "gating-v1.0.0");
  assert.match(checkpoint.sha256, /^[0-9a-f]{64}$/);
  assert.equal(episodes.available, 80);
  assert.equal(episodes.trained + episodes.holdout, 80);
  assert.ok(episodes.holdout >= 5);
  assert.deepEqual(episodes.skipped, {});
  assert.deepEqual([metrics.objective, metrics.epochs, metrics.num_updates], ["doubly_robust", 2, report.updates]);
  for (const name of ["loss", "entropy", "grad_norm", "baseline", "reward_std"]) {
    assert.ok(Number.isFinite(metrics[name]), name);
  }
  assert.equal(evaluation.holdout, episodes.holdout);
  assert.ok(evaluation.logged_value! > 0.4 && evaluation.logged_value! < 0.9);
  assert.equal(evaluation.candidate!.episodes, episodes.holdout);
  assert.deepEqual([evaluation.active, evaluation.active_version], [null, null]);
  for (const rate of Object.values(throughput)) assert.ok(rate > 0);
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
});

Deno.test("a session leaves its row, its version's row and files, the activation, and nothing else", async () => {
  await using work = await Workplace.open(60);
  const report = await work.train({ "checkpoint.activate": "always" });
  const { configJson } = settings(work.root, { "checkpoint.activate": "always" });
  assert.deepEqual(await work.directories(), ["gating-v1.0.0"]);

  const [session, ...otherSessions] = await work.store.listTrainingSessions();
  assert.equal(otherSessions.length, 0);
  assert.equal(session!.id, report.session_id);
  assert.deepEqual(
    [session!.status, session!.policyVersionFrom, session!.policyVersionTo, session!.errorMessage],
    ["completed", null, "v1.0.0", null],
  );
  assert.deepEqual([session!.numTraces, session!.numFeedback], [report.episodes.trained, 60]);
  assert.deepEqual(session!.config, configJson);
  assert.equal(session!.metrics.activation_reason, report.activation_reason);
  assert.deepEqual(session!.metrics.evaluation, report.evaluation);

  const [row, ...otherRows] = await work.store.listPolicyCheckpoints();
  assert.equal(otherRows.length, 0);
  assert.deepEqual(
    [row!.version, row!.policyType, row!.isActive, row!.stateDictPath, row!.manifestSha256, row!.trainingSessionId],
    ["v1.0.0", "gating", true, "gating-v1.0.0", report.checkpoint.sha256, report.session_id],
  );
  assert.equal(row!.trainingEpisodes, 2 * report.episodes.trained);

  const [activation, ...otherActivations] = await work.store.listActivations("gating");
  assert.equal(otherActivations.length, 0);
  assert.deepEqual([activation!.fromVersion, activation!.toVersion, activation!.reason], [
    null,
    "v1.0.0",
    report.activation_reason,
  ]);
  assert.equal(await work.store.getLeaseHolder("gating"), null);

  const { manifest, trainer } = await loadCheckpoint(work.root, "gating-v1.0.0", report.checkpoint.sha256);
  assert.equal(manifest.sessionId, report.session_id);
  assert.equal(manifest.parentVersion, null);
  assert.equal(trainer.state.num_updates, report.updates);
  assert.deepEqual(trainer.state.run, {});
});

Deno.test("the stored version routes fresh queries better than chance", async () => {
  await using work = await Workplace.open(500);
  await work.train({ "training.epochs": 10, "checkpoint.activate": "always" });
  const { saved } = await findStoredPolicy(work.store, work.root, "gating");
  await using policy = await openPolicy(saved, "cpu");
  const community = new Community({ seed: 1, inputDim: INPUT_DIM });
  const queries = Array.from({ length: 700 }, () => community.query()).slice(500);
  const { weights } = await policy.forward(queries.map(({ embedding }) => embedding));
  let right = 0;
  for (const [i, { best }] of queries.entries()) {
    const row = weights.subarray(4 * i, 4 * i + 4);
    if (row.indexOf(Math.max(...row)) === best) right++;
  }
  assert.ok(right / 200 > 0.4, `accuracy ${right / 200}, chance is 0.25`);
});

Deno.test("the same log, seed and settings give the same files, bit for bit", async () => {
  await using first = await Workplace.open(60);
  await using second = await Workplace.open(60);
  await using other = await Workplace.open(60);
  for (const work of [first, second]) await work.train();
  await other.train({ "training.seed": 5 });
  for (const file of ["policy.safetensors", "trainer.safetensors"]) {
    assert.deepEqual(await first.read("gating-v1.0.0", file), await second.read("gating-v1.0.0", file));
    assert.notDeepEqual(await first.read("gating-v1.0.0", file), await other.read("gating-v1.0.0", file));
  }
});

Deno.test("a second session starts from the active version: weights, moments, baseline and count of updates", async () => {
  await using work = await Workplace.open(60);
  const first = await work.train({ "checkpoint.activate": "always" });
  const saved = (await findStoredPolicy(work.store, work.root, "gating")).saved;
  const progress: TrainProgress[] = [];
  // So small a step leaves the weights where they were: what differs is what was not taken over.
  const second = await work.train({ "training.learning_rate": 1e-12, "training.weight_decay": 0 }, {
    onProgress: (told) => progress.push(told),
  });
  assert.deepEqual([second.version, second.parent_version], ["v1.0.1", "v1.0.0"]);
  assert.equal(second.metrics.num_updates, first.updates + second.updates);
  const after = (await findStoredPolicy(work.store, work.root, "gating", "v1.0.1")).saved;
  after.state.parameters.forEach((p, i) => assert.ok(Math.abs(p - saved.state.parameters[i]!) < 1e-6));
  assert.equal(after.state.step, first.updates + second.updates);
  assert.equal(after.trainer.rewardWindow.length, 100);
  assert.notEqual(after.trainer.baseline, 0.5);
  assert.ok(Math.abs(progress[0]!.reward - saved.trainer.baseline) < 0.1);
  const [row] = await work.store.listPolicyCheckpoints("gating");
  assert.deepEqual([row!.version, row!.parentVersion], ["v1.0.1", "v1.0.0"]);
  const [session] = await work.store.listTrainingSessions("gating", 1);
  assert.deepEqual([session!.policyVersionFrom, session!.policyVersionTo], ["v1.0.0", "v1.0.1"]);
  assert.equal(second.evaluation.active_version, "v1.0.0");
  assert.equal(second.evaluation.active!.episodes, second.episodes.holdout);
});

Deno.test("a session starts afresh where the active version has other sizes, and still counts up", async () => {
  await using work = await Workplace.open(60);
  await work.train({ "checkpoint.activate": "always" });
  const second = await work.train({ "gating_policy.hidden_dim": 0 });
  assert.deepEqual([second.version, second.parent_version], ["v1.0.1", null]);
  assert.equal(second.metrics.num_updates, second.updates);
  // The active version knows the same inputs and experts, so it can be compared all the same.
  assert.equal(second.evaluation.active_version, "v1.0.0");
});

Deno.test("never does not activate, and the next session starts afresh again", async () => {
  await using work = await Workplace.open(60);
  const first = await work.train({ "checkpoint.activate": "never" });
  assert.equal(first.activated, false);
  assert.equal(await work.store.getActivePolicy("gating"), null);
  const second = await work.train({ "checkpoint.activate": "never" });
  assert.deepEqual([second.version, second.parent_version], ["v1.0.1", null]);
});

Deno.test("the gate's verdict is what happens, and both its estimates are in the report", async () => {
  await using work = await Workplace.open(120);
  const first = await work.train({ "training.epochs": 10, "checkpoint.activate": "always" });
  // A huge step ruins the policy.
  const second = await work.train({ "training.learning_rate": 1, "training.epochs": 1 });
  const { candidate, active } = second.evaluation;
  assert.ok(candidate!.snips! < active!.snips!, `${candidate!.snips} against ${active!.snips}`);
  assert.equal(second.activated, false);
  const current = (await work.store.getActivePolicy("gating"))!.version;
  assert.equal(current, first.version);
  assert.match(
    second.activation_reason,
    /^not activated, v1\.0\.0 stays: estimated value 0\.\d{3} against 0\.\d{3} of the active v1\.0\.0/,
  );
});

Deno.test("without evaluation nothing is held out", async () => {
  await using work = await Workplace.open(40);
  const report = await work.train({ "evaluation.enabled": false });
  assert.deepEqual([report.episodes.trained, report.episodes.holdout, report.evaluation.candidate], [40, 0, null]);
  assert.match(report.activation_reason, /^activated: it is the first version/);
});

Deno.test("periodic versions are saved for every so many episodes of the log, and only the newest are kept", async () => {
  await using work = await Workplace.open(80);
  const flags = { "checkpoint.save_frequency": 20, "checkpoint.keep_last_n": 2, "training.epochs": 3 };
  const report = await work.train(flags);
  const rows = await work.store.listPolicyCheckpoints("gating");
  const periodic = rows.filter(({ version }) => version.includes("-ep."));
  assert.equal(periodic.length, 2);
  const total = 3 * report.episodes.trained;
  // 20 episodes of the log are 60 visits in three passes; a save waits for the end of its batch.
  const [newer, older] = periodic.map(({ trainingEpisodes }) => trainingEpisodes);
  assert.ok(Math.abs(newer! - older! - 60) < 16, `${older} and ${newer}`);
  for (const { version, trainingEpisodes, isActive, trainingSessionId } of periodic) {
    assert.equal(version, `v1.0.0-ep.${trainingEpisodes}`);
    assert.ok(trainingEpisodes < total && trainingEpisodes > total - 2 * 60 - 16);
    assert.deepEqual([isActive, trainingSessionId], [false, report.session_id]);
  }
  assert.deepEqual(
    await work.directories(),
    ["gating-v1.0.0", ...periodic.map(({ version }) => `gating-${version}`)].sort(),
  );
});

Deno.test("a periodic version that is active or tagged is kept, whatever its age", async () => {
  await using work = await Workplace.open(80);
  const flags = { "checkpoint.save_frequency": 20, "checkpoint.keep_last_n": 2, "checkpoint.activate": "never" };
  await work.train(flags);
  const [newer, older] = (await work.store.listPolicyCheckpoints("gating"))
    .filter(({ version }) => version.includes("-ep.")).map(({ version }) => version);
  await work.store.activatePolicy(older!, "gating");
  await work.store.tagPolicyCheckpoint(newer!, "gating", "keep");
  await work.train(flags);
  const left = (await work.store.listPolicyCheckpoints("gating")).map(({ version }) => version);
  assert.ok(left.includes(older!) && left.includes(newer!), String(left));
  assert.deepEqual(await work.directories(), left.map((version) => `gating-${version}`).sort());
});

Deno.test("a version that exists on the disk alone is never overwritten", async () => {
  await using work = await Workplace.open(30);
  await Deno.mkdir(`${work.root}/gating-v1.0.0`);
  assert.equal((await work.train()).version, "v1.0.1");
});

Deno.test("progress runs from the first steps to the last episode", async () => {
  await using work = await Workplace.open(60);
  const told: TrainProgress[] = [];
  const report = await work.train({}, { onProgress: (progress) => told.push(progress) });
  const total = 2 * report.episodes.trained;
  assert.equal(told.at(-1)!.episodes, total);
  for (const [i, progress] of told.entries()) {
    assert.deepEqual([progress.version, progress.total], ["v1.0.0", total]);
    assert.ok(i === 0 || progress.episodes > told[i - 1]!.episodes);
    assert.ok(Number.isFinite(progress.loss) && progress.entropy > 0 && progress.entropy <= Math.log(4) + 1e-6);
  }
});

Deno.test("what was left out is in the report and trained on by nobody", async () => {
  await using work = await Workplace.open(40);
  await work.store.ingest(drawnRecords(5, 2, { embedding: null }));
  const { episodes } = await work.train();
  assert.deepEqual([episodes.available, episodes.trained + episodes.holdout, episodes.skipped], [45, 40, {
    no_embedding: 5,
  }]);
});

Deno.test("only feedback within the window counts, the newest first", async () => {
  await using work = await Workplace.open(60);
  assert.equal((await work.train({ "training.max_episodes": 25 })).episodes.available, 25);
  const old = new Date(Date.now() - 40 * 24 * 60 * 60 * 1000).toISOString();
  const [record] = drawnRecords(1, 4);
  const traceId = await work.store.saveTrace(record!.trace);
  await work.store.saveFeedback(traceId, feedbackFromRating(record!.trace.queryId, 0.5));
  await work.store.ingest([{
    ...record!,
    traceContext: { id: crypto.randomUUID() },
    feedback: new MultilevelFeedback({ queryId: record!.trace.queryId, overallRating: 0.5, timestamp: old }),
    feedbackContext: { id: crypto.randomUUID() },
  }]);
  assert.equal((await work.train()).episodes.available, 61);
  assert.equal((await work.train({ "database.lookback_days": 60 })).episodes.available, 62);
});
