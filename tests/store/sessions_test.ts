import assert from "node:assert/strict";
import { testOnEach } from "./databases.ts";
import { refusal } from "./refusals.ts";

const OUTCOME = { policyVersionTo: "v1.0.1", numTraces: 50, numFeedback: 60, metrics: { loss: 0.3 } };

testOnEach("a session runs, then is completed with its counts", async ({ store }) => {
  const id = await store.startTrainingSession("gating", { policyVersionFrom: "v1.0.0", config: { seed: 7 } });
  assert.match(id, /^[0-9a-f-]{36}$/);
  const [running] = await store.listTrainingSessions();
  assert.equal(running?.status, "running");
  assert.equal(running?.endedAt, null);
  assert.equal(running?.processId, Deno.pid);
  await store.completeTrainingSession(id, OUTCOME);
  const [{ startedAt, endedAt, host, ...session }] = await store.listTrainingSessions() as [typeof running & object];
  assert.ok(Date.parse(endedAt!) >= Date.parse(startedAt));
  assert.equal(typeof host, "string");
  assert.deepEqual(session, {
    id,
    policyType: "gating",
    status: "completed",
    policyVersionFrom: "v1.0.0",
    policyVersionTo: "v1.0.1",
    numTraces: 50,
    numFeedback: 60,
    metrics: { loss: 0.3 },
    config: { seed: 7 },
    processId: Deno.pid,
    errorMessage: null,
  });
});

testOnEach("a session fails, or is interrupted, with its message", async ({ store }) => {
  const failed = await store.startTrainingSession("gating");
  await store.failTrainingSession(failed, "no such file\0\ud800");
  const interrupted = await store.startTrainingSession("gating");
  await store.failTrainingSession(interrupted, "SIGTERM", { status: "interrupted" });
  const sessions = await store.listTrainingSessions("gating");
  assert.deepEqual(sessions.map(({ id, status, errorMessage }) => [id, status, errorMessage]), [
    [interrupted, "interrupted", "SIGTERM"],
    [failed, "failed", "no such file\ufffd"],
  ]);
});

testOnEach("only a running session can be closed", async ({ store }) => {
  const id = await store.startTrainingSession("gating");
  await store.failTrainingSession(id, "x");
  await assert.rejects(
    store.completeTrainingSession(id, OUTCOME),
    refusal("usage", /cannot close training session ".*" as completed: found one that is failed, wanted a running one/),
  );
  await assert.rejects(store.failTrainingSession(id, "y"), refusal("usage", /found one that is failed/));
  await assert.rejects(
    store.completeTrainingSession(crypto.randomUUID(), OUTCOME),
    refusal("usage", /found no such session/),
  );
  await assert.rejects(store.completeTrainingSession("s1", OUTCOME), refusal("usage", /found no such session/));
  assert.equal((await store.listTrainingSessions())[0]?.errorMessage, "x");
});

testOnEach("sessions are listed newest first, by type, as many as asked for", async ({ store }) => {
  const ids: string[] = [];
  for (const type of ["gating", "react", "gating"]) ids.push(await store.startTrainingSession(type));
  assert.deepEqual((await store.listTrainingSessions()).map(({ id }) => id), ids.toReversed());
  assert.deepEqual((await store.listTrainingSessions("gating")).map(({ id }) => id), [ids[2], ids[0]]);
  assert.deepEqual((await store.listTrainingSessions(undefined, 1)).map(({ id }) => id), [ids[2]]);
});
