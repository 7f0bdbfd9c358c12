/**
 * Trainers that were stopped for longer than their lease lasts, and wake up when another one has taken over.
 */
import assert from "node:assert/strict";
import { createPersistence } from "../../src/store/create.ts";
import { drawnRecords } from "../session/support.ts";
import { testOnEachEmpty } from "../store/databases.ts";
import { refusal } from "../store/refusals.ts";
import { pause, startWorker, until } from "./database_support.ts";

const TTL_MS = 3000;

for (const method of ["savePolicyCheckpoint", "activatePolicy"] as const) {
  testOnEachEmpty(`a trainer that is stopped before ${method} and wakes up late is refused there`, async ({ url }) => {
    const root = await Deno.makeTempDir({ prefix: "rlcf-late-" });
    try {
      await using store = await createPersistence(url, { lease: { lifetimeSeconds: 60, renewalMs: 20_000 } });
      await store.ingest(drawnRecords(40, 1));
      const trainer = startWorker(["train", url, root, String(TTL_MS), method]);
      const output = trainer.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let said = "";
      while (!said.includes(`at ${method}`)) {
        const { value, done } = await output.read();
        if (done) throw new Error(`the trainer ended early: ${await new Response(trainer.stderr).text()}`);
        said += value;
      }
      trainer.kill("SIGSTOP");
      const late = (await store.getLeaseHolder("gating"))!;
      assert.equal(late.processId, trainer.pid);
      await assert.rejects(
        store.acquireLease("gating"),
        refusal(
          "lease_held",
          new RegExp(`process ${trainer.pid} on host \\S+ has been training it since ${late.acquiredAt}`),
        ),
      );
      // It lives, so that only its silence counts.
      await until("the lease has expired", async () => await store.getLeaseHolder("gating") === null);
      await using successor = await store.acquireLease("gating");
      assert.equal(successor.holder.token, late.token + 1);
      const input = trainer.stdin.getWriter();
      await input.write(new TextEncoder().encode("go on\n"));
      trainer.kill("SIGCONT");
      const [{ code }, stderr] = await Promise.all([trainer.status, new Response(trainer.stderr).text()]);
      await output.cancel();
      await input.close().catch(() => {});
      assert.equal(code, 5, stderr);
      assert.match(stderr, new RegExp(`cannot go on with training gating: process ${Deno.pid} on host`));

      assert.equal(await store.getActivePolicy("gating"), null);
      assert.deepEqual(await store.listActivations("gating"), []);
      const rows = (await store.listPolicyCheckpoints("gating")).map(({ version }) => version);
      assert.deepEqual(rows, method === "savePolicyCheckpoint" ? [] : ["v1.0.0"]);
      const directories = await Array.fromAsync(Deno.readDir(root), ({ name }) => name);
      // Files without a row are clutter; a late holder removes none, they might be its successor's.
      assert.deepEqual(directories, ["gating-v1.0.0"]);
      const [session] = await store.listTrainingSessions("gating");
      assert.equal(session!.status, "failed");
      assert.match(session!.errorMessage!, /cannot go on with training gating: process \d+ on host/);
      // Its successor was not disturbed.
      await successor.assertHeld();
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  });
}

testOnEachEmpty("what a late holder writes is refused by the database, though it never looked", async ({ url }) => {
  await using late = await createPersistence(url, { lease: { lifetimeSeconds: 0.3, renewalMs: 60_000 } });
  await using other = await createPersistence(url);
  for (const version of ["v1", "v1-ep.1"]) await late.savePolicyCheckpoint({ version, policyType: "gating" });
  await using lease = await late.acquireLease("gating");
  const fence = lease.holder;
  // Expired, but nobody came: it is still the only one.
  await pause(400);
  await late.savePolicyCheckpoint({ version: "v2", policyType: "gating" }, { fence });
  assert.equal(await late.activatePolicy("v1", "gating", { fence }), true);
  await using _successor = await other.acquireLease("gating");
  const refused = refusal("lease_held", /^cannot go on with training gating: process \d+ on host .* since/);
  await assert.rejects(late.savePolicyCheckpoint({ version: "v3", policyType: "gating" }, { fence }), refused);
  await assert.rejects(late.activatePolicy("v2", "gating", { fence }), refused);
  await assert.rejects(late.deletePolicyCheckpoints("gating", ["v1-ep.1"], { fence }), refused);
  assert.equal((await other.getActivePolicy("gating"))?.version, "v1");
  assert.deepEqual((await other.listPolicyCheckpoints("gating")).map(({ version }) => version), [
    "v2",
    "v1-ep.1",
    "v1",
  ]);
  assert.equal((await other.listActivations("gating")).length, 1);
  // By hand, without a lease, everything stays possible.
  assert.equal(await late.activatePolicy("v2", "gating"), true);
});

testOnEachEmpty("whoever wants the lease waits for a write that was begun under it", async ({ url }) => {
  await using store = await createPersistence(url, { lease: { lifetimeSeconds: 0.1, renewalMs: 60_000 } });
  await using other = await createPersistence(url);
  const lease = await store.acquireLease("gating");
  await pause(200);
  const writes = Array.from(
    { length: 20 },
    (_, i) =>
      store.savePolicyCheckpoint({ version: `v${i}`, policyType: "gating" }, { fence: lease.holder })
        .then(() => performance.now(), (error) => (refusal("lease_held", /cannot go on with/)(error), Infinity)),
  );
  const taken = other.acquireLease("gating").then(async (held) => {
    const seen = (await other.listPolicyCheckpoints("gating")).length;
    return { held, seen };
  });
  const { held, seen } = await taken;
  await Promise.all(writes);
  // What was there when the successor came is all there will ever be.
  assert.equal((await other.listPolicyCheckpoints("gating")).length, seen);
  await held[Symbol.asyncDispose]();
});
