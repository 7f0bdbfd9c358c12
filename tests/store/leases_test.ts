import assert from "node:assert/strict";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import { acquireLease, getLeaseHolder } from "../../src/store/leases.ts";
import { migrate } from "../../src/store/migrate.ts";
import { testOnEach } from "./databases.ts";
import { refusal } from "./refusals.ts";

/** As if the holder had not renewed for a long time. */
const EXPIRE = "update training_leases set expires_at = '2020-01-01T00:00:00.000Z' returning token";

testOnEach("a lease is held by one, until it is let go", async (on) => {
  await using other = await on.reopen();
  const lease = await on.store.acquireLease("gating");
  assert.equal(lease.holder.processId, Deno.pid);
  assert.equal(Date.parse(lease.holder.expiresAt) - Date.parse(lease.holder.acquiredAt), 60_000);
  assert.deepEqual(await other.getLeaseHolder("gating"), lease.holder);
  await lease.assertHeld();
  await assert.rejects(
    other.acquireLease("gating"),
    refusal("lease_held", new RegExp(`process ${Deno.pid} on host .* since ${lease.holder.acquiredAt}$`)),
  );
  await using _react = await other.acquireLease("react");
  await lease[Symbol.asyncDispose]();
  await lease[Symbol.asyncDispose]();
  assert.equal(await other.getLeaseHolder("gating"), null);
  await using next = await other.acquireLease("gating");
  assert.ok(next.holder.token > lease.holder.token);
});

testOnEach("of many who try at once one gets the lease", async (on) => {
  await using other = await on.reopen();
  const attempts = Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? on.store : other).acquireLease("gating"));
  const results = await Promise.allSettled(attempts);
  assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
  for (const result of results) {
    if (result.status === "rejected") assert.equal(result.reason.code, "lease_held");
  }
});

testOnEach("an expired lease can be taken, and the late holder notices and takes nothing back", async (on) => {
  await using other = await on.reopen();
  const late = await on.store.acquireLease("gating");
  await on.query(EXPIRE);
  assert.equal(await other.getLeaseHolder("gating"), null);
  await using taken = await other.acquireLease("gating");
  assert.equal(taken.holder.token, late.holder.token + 1);
  await assert.rejects(late.assertHeld(), refusal("lease_held", /cannot go on with training gating: process/));
  await late[Symbol.asyncDispose]();
  await taken.assertHeld();
  assert.equal((await other.getLeaseHolder("gating"))?.token, taken.holder.token);
});

testOnEach("a late holder whom nobody replaced goes on", async (on) => {
  await using lease = await on.store.acquireLease("gating");
  await on.query(EXPIRE);
  await lease.assertHeld();
  assert.equal((await on.store.getLeaseHolder("gating"))?.token, lease.holder.token);
});

testOnEach("a lease that was let go is not held", async ({ store }) => {
  const lease = await store.acquireLease("gating");
  await lease[Symbol.asyncDispose]();
  await assert.rejects(lease.assertHeld(), refusal("lease_held", /not held any more/));
  assert.equal(await store.getLeaseHolder("gating"), null);
});

testOnEach("closing the store lets go of its leases", async (on) => {
  const other = await on.reopen();
  await other.acquireLease("gating");
  await other.close();
  assert.equal(await on.store.getLeaseHolder("gating"), null);
});

Deno.test("a held lease is renewed before it expires, and no more once it was let go", async () => {
  const database = openSqlite({ dialect: "sqlite", path: ":memory:", location: "sqlite://" });
  try {
    await migrate(database);
    const lease = await acquireLease(database, "gating", { lifetimeSeconds: 60, renewalMs: 5 });
    const { expiresAt } = lease.holder;
    while (lease.holder.expiresAt === expiresAt) await pause(5);
    assert.ok(Date.parse(lease.holder.expiresAt) > Date.parse(expiresAt));
    await lease[Symbol.asyncDispose]();
    await pause(30);
    assert.equal(await getLeaseHolder(database, "gating"), null);
  } finally {
    await database.db.destroy();
  }
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
