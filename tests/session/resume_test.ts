import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { verifyCheckpoint } from "../../src/checkpoint/load.ts";
import type { FlagValues } from "../../src/config/resolve.ts";
import { feedbackFromRating } from "../../src/feedback/factories.ts";
import type { TrainRequest } from "../../src/session/train_session.ts";
import { drawnRecords, failing, refuses, Workplace } from "./support.ts";

const FLAGS: FlagValues = { "training.epochs": 3, "checkpoint.activate": "always", "checkpoint.save_frequency": 16 };
const FILES = ["policy.safetensors", "trainer.safetensors"];

/** Trains and stops as soon as so many episodes were visited, or while the reward model is fitted. */
async function interrupted(
  work: Workplace,
  after: number | "fitting",
  flags: FlagValues = FLAGS,
  request: Partial<TrainRequest> = {},
): Promise<RlcfError> {
  const stop = new AbortController();
  const training = work.train(flags, {
    ...request,
    signal: stop.signal,
    onFit: ({ done }) => {
      if (after === "fitting" && done > 0) stop.abort();
    },
    onProgress: ({ episodes }) => {
      if (after !== "fitting" && episodes >= after) stop.abort();
    },
  });
  try {
    await training;
  } catch (thrown) {
    assert.ok(thrown instanceof RlcfError && thrown.code === "interrupted", String(thrown));
    return thrown;
  }
  throw new Error("the session was not interrupted");
}

Deno.test("an interrupted session saves its state, closes its row and lets go of the lease", async () => {
  await using work = await Workplace.open(60);
  // The first portion is one batch, whatever the speed of the machine.
  const error = await interrupted(work, 1);
  assert.match(error.message, /^training of v1\.0\.0 was interrupted after 8 of \d+ episodes$/);
  assert.match(error.hint!, /^The state is saved as v1\.0\.0-ep\.8; rlcf train --resume goes on from there\.$/);
  const [session] = await work.store.listTrainingSessions("gating");
  assert.deepEqual([session!.status, session!.errorMessage, session!.policyVersionTo], [
    "interrupted",
    error.message,
    null,
  ]);
  const [newest] = await work.store.listPolicyCheckpoints("gating");
  assert.deepEqual([newest!.version, newest!.trainingEpisodes, newest!.isActive], ["v1.0.0-ep.8", 8, false]);
  assert.ok((await work.directories()).includes("gating-v1.0.0-ep.8"));
  assert.equal(await work.store.getActivePolicy("gating"), null);
  assert.equal(await work.store.getLeaseHolder("gating"), null);
});

for (
  const [log, flags] of [
    ["reinforce", {}],
    ["direct", { "training.objective": "direct" }],
    ["a scale of the inputs that does not fold exactly", { "gating_policy.input_scale": 3.3 }],
  ] as [string, FlagValues][]
) {
  Deno.test(`a session that was interrupted and taken up twice ends in the bits of an uninterrupted one (${log})`, async () => {
    await using whole = await Workplace.open(60);
    await using cut = await Workplace.open(60);
    const wanted = await whole.train({ ...FLAGS, ...flags });
    await interrupted(cut, 20, { ...FLAGS, ...flags });
    await interrupted(cut, 90, { ...FLAGS, ...flags }, { resume: true });
    const found = await cut.train({ ...FLAGS, ...flags }, { resume: true });
    for (const file of FILES) {
      assert.deepEqual(await cut.read("gating-v1.0.0", file), await whole.read("gating-v1.0.0", file), file);
    }
    assert.equal(found.version, wanted.version);
    assert.deepEqual(found.evaluation, wanted.evaluation);
    // The learning curve alone begins where the session was taken up.
    assert.deepEqual({ ...found.metrics, curve: null }, { ...wanted.metrics, curve: null });
    const statuses = (await cut.store.listTrainingSessions("gating")).map(({ status }) => status);
    assert.deepEqual(statuses, ["completed", "interrupted", "interrupted"]);
  });
}

Deno.test("a session that is stopped while its reward model is fitted is taken up where it stood, and ends in the same bits", async () => {
  const flags: FlagValues = { ...FLAGS, "training.objective": "direct" };
  await using whole = await Workplace.open(60);
  await using cut = await Workplace.open(60);
  for (const work of [whole, cut]) await work.train(flags);
  await whole.train(flags);
  const first = await interrupted(cut, "fitting", flags);
  assert.match(first.message, /^training of v1\.0\.1 was interrupted after 0 of \d+ episodes$/);
  assert.match(first.hint!, /^The state is saved as v1\.0\.1-ep\.0;/);
  await interrupted(cut, 20, flags, { resume: true });
  // Fitted again, and stopped again: what was saved before stays.
  const third = await interrupted(cut, "fitting", flags, { resume: true });
  assert.match(third.message, /was interrupted after 24 of/);
  const { parent_version } = await cut.train(flags, { resume: true });
  assert.equal(parent_version, "v1.0.0");
  for (const file of FILES) {
    assert.deepEqual(await cut.read("gating-v1.0.1", file), await whole.read("gating-v1.0.1", file), file);
  }
});

Deno.test("a warm start that was interrupted ends in the bits of an uninterrupted one, with the same parent", async () => {
  await using whole = await Workplace.open(60);
  await using cut = await Workplace.open(60);
  for (const work of [whole, cut]) await work.train(FLAGS);
  await whole.train(FLAGS);
  await interrupted(cut, 40);
  const found = await cut.train(FLAGS, { resume: true });
  assert.deepEqual([found.version, found.parent_version], ["v1.0.1", "v1.0.0"]);
  for (const file of FILES) {
    assert.deepEqual(await cut.read("gating-v1.0.1", file), await whole.read("gating-v1.0.1", file), file);
  }
});

Deno.test("a session whose process died goes on from its last periodic version", async () => {
  await using whole = await Workplace.open(60);
  await using dead = await Workplace.open(60);
  await whole.train(FLAGS);
  // Neither the final version nor the end of the session is recorded, as after a kill.
  let store = failing(dead.store, "activatePolicy", new Error("killed"));
  store = failing(store, "failTrainingSession", new Error("killed"));
  await assert.rejects(dead.train(FLAGS, { store }), /killed/);
  await dead.store.deletePolicyCheckpoints("gating", ["v1.0.0"]);
  await Deno.remove(`${dead.root}/gating-v1.0.0`, { recursive: true });
  assert.equal((await dead.store.listTrainingSessions("gating"))[0]!.status, "running");
  await dead.train(FLAGS, { resume: true });
  for (const file of FILES) {
    assert.deepEqual(await dead.read("gating-v1.0.0", file), await whole.read("gating-v1.0.0", file), file);
  }
});

Deno.test("new feedback does not enter a session that is taken up", async () => {
  await using work = await Workplace.open(60);
  await interrupted(work, 20);
  await new Promise((resolve) => setTimeout(resolve, 2));
  const records = drawnRecords(1, 2);
  const feedback = feedbackFromRating(records[0]!.trace.queryId, 0.5);
  await work.store.ingest([{ ...records[0]!, feedback }]);
  const report = await work.train(FLAGS, { resume: true });
  assert.equal(report.episodes.available, 60);
});

Deno.test("a session whose log has changed is not taken up", async () => {
  await using work = await Workplace.open(60);
  await interrupted(work, 20);
  await work.store.ingest(drawnRecords(5, 2));
  await refuses(
    work.train(FLAGS, { resume: true }),
    "usage",
    /^cannot resume v1\.0\.0: the log of its window has changed/,
  );
});

Deno.test("a session is not taken up under other settings, which are named", async () => {
  await using work = await Workplace.open(60);
  await interrupted(work, 20);
  const changed: [FlagValues, RegExp][] = [
    [{ "training.learning_rate": 0.02 }, /training\.learning_rate is 0\.02, but the run has 0\.01$/],
    [{ "training.epochs": 4 }, /training\.epochs is 4, but the run has 3$/],
    [{ "gating_policy.hidden_dim": 0 }, /gating_policy\.hidden_dim is 0, but the run has 8$/],
    [{ "evaluation.holdout_ratio": 0.5 }, /evaluation\.holdout_ratio is 0\.5, but the run has 0\.2$/],
  ];
  for (const [flags, message] of changed) {
    await refuses(work.train({ ...FLAGS, ...flags }, { resume: true }), "usage", message);
  }
  assert.equal((await work.store.listTrainingSessions("gating")).length, 1);
  // How often to save and what to show decide nothing about the result.
  await work.train({ ...FLAGS, "checkpoint.save_frequency": 1000, "logging.level": "error" }, { resume: true });
});

Deno.test("without a session that stopped there is nothing to take up", async () => {
  await using work = await Workplace.open(60);
  await refuses(work.train(FLAGS, { resume: true }), "usage", /^cannot resume: there was no session yet$/);
  await work.train(FLAGS);
  await refuses(work.train(FLAGS, { resume: true }), "usage", /^cannot resume: the latest session completed$/);
});

Deno.test("a session that stopped before its first save cannot be taken up", async () => {
  await using work = await Workplace.open(60);
  const store = failing(work.store, "savePolicyCheckpoint", new RlcfError("database", "the disk is full"));
  await refuses(work.train(FLAGS, { store }), "database", /the disk is full/);
  await refuses(
    work.train(FLAGS, { resume: true }),
    "usage",
    /^cannot resume: the session of .* ended before its first save$/,
  );
});

Deno.test("a periodic version that is broken is not taken up", async () => {
  await using work = await Workplace.open(60);
  await interrupted(work, 1);
  await Deno.truncate(`${work.root}/gating-v1.0.0-ep.8/trainer.safetensors`, 10);
  await refuses(work.train(FLAGS, { resume: true }), "checkpoint", /trainer\.safetensors has 10 bytes/);
});

Deno.test("where the newest saved state is broken, the run goes on from the one before it, says so, and ends in the same bits", async () => {
  await using whole = await Workplace.open(60);
  await using cut = await Workplace.open(60);
  const flags = { ...FLAGS, "checkpoint.save_frequency": 8, "checkpoint.keep_last_n": 10 };
  await whole.train(flags);
  await interrupted(cut, 90, flags);
  const [newest, next, third] = (await cut.store.listPolicyCheckpoints("gating")).map(({ version }) => version);
  await Deno.truncate(`${cut.root}/gating-${newest}/trainer.safetensors`, 10);
  await Deno.remove(`${cut.root}/gating-${next}/manifest.json`);
  const report = await cut.train(flags, { resume: true });
  const { warnings } = report.metrics as { warnings: { name: string; message: string }[] };
  assert.equal(warnings[0]!.name, "checkpoint_fallback");
  assert.ok(
    warnings[0]!.message.startsWith(
      `the newest saved state ${newest} cannot be used, so the run is taken up at ${third}, and what was trained since`,
    ),
    warnings[0]!.message,
  );
  for (const file of FILES) {
    assert.deepEqual(await cut.read("gating-v1.0.0", file), await whole.read("gating-v1.0.0", file), file);
  }
  // What was broken has been published again; but where the first one was interrupted, this one did not save.
  const rows = (await cut.store.listPolicyCheckpoints("gating")).filter(({ version }) => version !== newest);
  assert.ok(rows.some(({ version }) => version === next));
  for (const { version, stateDictPath, manifestSha256 } of rows) {
    assert.deepEqual(await verifyCheckpoint(cut.root, stateDictPath!, manifestSha256!), [], version);
  }
});

Deno.test("a broken state is not replaced by one of another run", async () => {
  await using work = await Workplace.open(60);
  await interrupted(work, 1);
  await interrupted(work, 1);
  const [newest] = await work.store.listPolicyCheckpoints("gating");
  assert.equal(newest!.version, "v1.0.1-ep.8");
  await Deno.truncate(`${work.root}/gating-v1.0.1-ep.8/trainer.safetensors`, 10);
  await refuses(work.train(FLAGS, { resume: true }), "checkpoint", /trainer\.safetensors has 10 bytes/);
});

Deno.test("sessions of another program, imported after an interruption, do not hide it", async () => {
  await using work = await Workplace.open(60);
  await interrupted(work, 20);
  const sessions = Array.from({ length: 60 }, (_, i) => {
    const at = new Date(Date.now() + i + 5).toISOString();
    return {
      id: crypto.randomUUID(),
      policyType: "gating",
      status: i % 2 === 0 ? "completed" as const : "failed" as const,
      policyVersionFrom: null,
      policyVersionTo: null,
      numTraces: 0,
      numFeedback: 0,
      metrics: {},
      config: {},
      host: null,
      processId: null,
      errorMessage: null,
      startedAt: at,
      endedAt: at,
    };
  });
  await work.store.importBatch({ sessions });
  assert.equal((await work.train(FLAGS, { resume: true })).version, "v1.0.0");
});

Deno.test("after an interruption a new session takes a version of its own", async () => {
  await using work = await Workplace.open(60);
  await interrupted(work, 20);
  assert.equal((await work.train(FLAGS)).version, "v1.0.1");
});

Deno.test("a signal that comes after the last episode interrupts nothing", async () => {
  await using work = await Workplace.open(60);
  const stop = new AbortController();
  const report = await work.train(FLAGS, {
    signal: stop.signal,
    onProgress: ({ episodes, total }) => {
      if (episodes === total) stop.abort();
    },
  });
  assert.equal(report.status, "completed");
});
