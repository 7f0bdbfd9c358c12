import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { feedbackFromRating } from "../../src/feedback/factories.ts";
import { drawnRecords, failing, refuses, Workplace } from "./support.ts";

Deno.test("an empty log is refused and nothing is written", async () => {
  await using work = await Workplace.open(0);
  await refuses(
    work.train(),
    "not_enough_data",
    /^No traces with feedback found: .* holds no feedback of the last 30 days$/,
  );
  assert.deepEqual(await work.store.listTrainingSessions(), []);
  assert.deepEqual(await work.directories(), []);
  assert.equal(await work.store.getLeaseHolder("gating"), null);
});

Deno.test("too little feedback is refused with the count and nothing is written", async () => {
  await using work = await Workplace.open(7);
  await refuses(work.train(), "not_enough_data", /^Insufficient feedback: 7 of 10 usable in the last 30 days$/);
  assert.deepEqual(await work.store.listTrainingSessions(), []);
  assert.deepEqual(await work.directories(), []);
  assert.equal((await work.train({ "training.min_feedback": 7 })).episodes.available, 7);
});

Deno.test("feedback of which none can be used is refused with the reasons", async () => {
  await using work = await Workplace.open(0);
  await work.store.ingest(drawnRecords(12, 2, { embedding: null }));
  await refuses(
    work.train(),
    "not_enough_data",
    /^Insufficient feedback: 0 of 10 usable .*; left out: 12 no_embedding$/,
  );
  await refuses(work.train({ "training.min_feedback": 1 }), "not_enough_data", /left out: 12 no_embedding/);
  assert.deepEqual(await work.store.listTrainingSessions(), []);
});

Deno.test("a log of a single query is refused in words that say why", async () => {
  await using work = await Workplace.open(0);
  const [record] = drawnRecords(1, 3);
  const records = Array.from({ length: 12 }, (_, i) => ({
    ...record!,
    traceContext: { id: crypto.randomUUID() },
    feedback: feedbackFromRating(record!.trace.queryId, 0.5),
    feedbackContext: { id: crypto.randomUUID(), userAuthority: 0.5 + i / 100 },
  }));
  await work.store.ingest(records);
  await refuses(
    work.train({ "evaluation.holdout_ratio": 0.99 }),
    "not_enough_data",
    /^Insufficient feedback: all 12 usable episodes are on queries that are held out$/,
  );
});

Deno.test("a policy version narrows the log to what it routed", async () => {
  await using work = await Workplace.open(30);
  const request = { policyVersion: "v9.9.9" };
  await refuses(work.train({}, request), "not_enough_data", /^No traces with feedback found/);
  assert.equal((await work.train({}, { policyVersion: "logging" })).episodes.available, 30);
});

Deno.test("while another trainer holds the lease a session is refused and nothing is written", async () => {
  await using work = await Workplace.open(30);
  {
    await using _lease = await work.store.acquireLease("gating");
    await refuses(work.train(), "lease_held", /^cannot start training gating: process \d+ on host/);
    assert.deepEqual(await work.store.listTrainingSessions(), []);
    assert.deepEqual(await work.directories(), []);
  }
  assert.equal((await work.train()).status, "completed");
});

Deno.test("an active version whose files are gone or broken is refused before a session begins", async () => {
  await using work = await Workplace.open(30);
  await work.train({ "checkpoint.activate": "always" });
  const policy = `${work.root}/gating-v1.0.0/policy.safetensors`;
  const bytes = await Deno.readFile(policy);
  await Deno.writeFile(policy, bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1));
  await refuses(work.train(), "checkpoint", /gating-v1\.0\.0: policy\.safetensors has SHA-256/);
  await Deno.remove(`${work.root}/gating-v1.0.0`, { recursive: true });
  await refuses(work.train(), "checkpoint", /^Policy checkpoint not found: gating-v1\.0\.0 in/);
  assert.equal((await work.store.listTrainingSessions()).length, 1);
  assert.equal(await work.store.getLeaseHolder("gating"), null);
});

const failures = ["savePolicyCheckpoint", "activatePolicy", "completeTrainingSession"] as const;

for (const method of failures) {
  Deno.test(`when ${method} fails, the session ends as failed with the cause, and the lease is free`, async () => {
    await using work = await Workplace.open(30);
    const store = failing(work.store, method, new RlcfError("database", "cannot store a row: the disk is full"));
    await refuses(work.train({ "checkpoint.activate": "always" }, { store }), "database", /the disk is full/);
    const [session] = await work.store.listTrainingSessions();
    assert.deepEqual([session!.status, session!.errorMessage], ["failed", "cannot store a row: the disk is full"]);
    assert.notEqual(session!.endedAt, null);
    assert.equal(await work.store.getLeaseHolder("gating"), null);
    // Files count only with their row.
    const rows = await work.store.listPolicyCheckpoints("gating");
    assert.deepEqual(await work.directories(), rows.map(({ version }) => `gating-${version}`));
    assert.equal((await work.train({ "checkpoint.activate": "always" })).status, "completed");
  });
}

Deno.test("the first failure is the one that is told, even when the session's row cannot be closed either", async () => {
  await using work = await Workplace.open(30);
  const first = failing(work.store, "savePolicyCheckpoint", new RlcfError("database", "the first failure"));
  const store = failing(first, "failTrainingSession", new RlcfError("database", "the second failure"));
  await refuses(work.train({}, { store }), "database", /^the first failure$/);
});

Deno.test("a session whose process died after its version was activated counts as completed", async () => {
  await using work = await Workplace.open(30);
  let store = failing(work.store, "completeTrainingSession", new Error("killed"));
  store = failing(store, "failTrainingSession", new Error("killed"));
  await assert.rejects(work.train({ "checkpoint.activate": "always" }, { store }), /killed/);
  await work.train();
  await assert.rejects(work.train({ "checkpoint.activate": "never" }, { store }), /killed/);
  await work.train();
  const sessions = (await work.store.listTrainingSessions()).toReversed();
  assert.deepEqual(sessions.map(({ status, policyVersionTo }) => [status, policyVersionTo]), [
    ["completed", "v1.0.0"],
    ["completed", "v1.0.1"],
    // Nothing became of the version, so that this run may be taken up.
    ["failed", null],
    ["completed", "v1.0.3"],
  ]);
  const [first, second] = sessions;
  assert.deepEqual([first!.numTraces, first!.numFeedback], [second!.numTraces, second!.numFeedback]);
});

Deno.test("a session that was left running by a process that died is closed by the next one", async () => {
  await using work = await Workplace.open(30);
  const id = await work.store.startTrainingSession("gating");
  await work.train();
  const left = (await work.store.listTrainingSessions("gating")).find((session) => session.id === id)!;
  assert.deepEqual([left.status, left.errorMessage], [
    "failed",
    "the process lost its lease without closing the session: it ended, or was stopped",
  ]);
});
