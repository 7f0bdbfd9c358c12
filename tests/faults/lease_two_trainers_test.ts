/**
 * Two trainers at once, as their users meet them; and trainers that died, were stopped, or race.
 */
import assert from "node:assert/strict";
import { createPersistence } from "../../src/store/create.ts";
import type { LeaseHolder } from "../../src/store/persistence.ts";
import { proofPath } from "../../src/store/proof_of_life.ts";
import { logOf, onlyObject, rlcf, start, Workplace } from "../cli/support.ts";
import { testOnEachEmpty } from "../store/databases.ts";
import { ended, until } from "./database_support.ts";

/** Enough passes that it is still at it when the second one comes. */
const LONG = ["--epochs", "10000"];

testOnEachEmpty(
  "the second trainer exits 5 and names the first, whose death lets the third start at once",
  async (on) => {
    using work = new Workplace();
    const here = ["--config", work.config, "--database", on.url];
    await fill(work, on.url);
    const first = start(["train", ...here, ...LONG], { cwd: work.path });
    const said = ended(first);
    const holder = await holderOf(on.url, first.pid);

    const second = await rlcf(["train", ...here, "--json"], { cwd: work.path });
    assert.equal(second.code, 5, second.stderr);
    const { error } = onlyObject(second) as { error: { code: string; message: string; hint: string } };
    assert.equal(error.code, "lease_held");
    const who = `process ${first.pid} on host ${Deno.hostname()} has been training it since ${holder.acquiredAt}`;
    assert.ok(error.message.includes(who), error.message);
    assert.match(error.hint, /If that process has died, its lease expires at 20\d\d-/);

    await until("its proof of life is there", () => hasProof(holder));
    first.kill("SIGKILL");
    await said;
    const third = await rlcf(["train", ...here, "--json"], { cwd: work.path });
    assert.equal(third.code, 0, third.stderr);
    assert.match(third.stderr, new RegExp(`Process ${first.pid} on this host ended without letting go .*: taken over`));
    assert.equal(onlyObject(third).status, "completed");
    await using store = await createPersistence(on.url);
    assert.deepEqual((await store.listTrainingSessions("gating")).map(({ status }) => status), ["completed", "failed"]);
    assert.equal(await store.getLeaseHolder("gating"), null);
    assert.equal(await hasProof(holder), false);
  },
);

testOnEachEmpty("a death that cannot be proved leaves the lease until it expires", async (on) => {
  using work = new Workplace();
  const here = ["--config", work.config, "--database", on.url];
  await fill(work, on.url);
  const first = start(["train", ...here, ...LONG], { cwd: work.path });
  const said = ended(first);
  const holder = await holderOf(on.url, first.pid);
  await until("its proof of life is there", () => hasProof(holder));
  // As on another host, where the file is not.
  await Deno.remove(await proofPath(holder));
  first.kill("SIGKILL");
  await said;
  const second = await rlcf(["train", ...here], { cwd: work.path });
  assert.equal(second.code, 5, second.stderr);
  await on.query("update training_leases set expires_at = '2020-01-01T00:00:00.000Z' returning token");
  const third = await rlcf(["train", ...here], { cwd: work.path });
  assert.equal(third.code, 0, third.stderr);
});

testOnEachEmpty(
  "a trainer that was stopped while another took over ends with exit 5 and leaves nothing",
  async (on) => {
    using work = new Workplace();
    const here = ["--config", work.config, "--database", on.url];
    await fill(work, on.url);
    const first = start(["train", ...here, ...LONG], { cwd: work.path });
    const said = ended(first);
    const late = await holderOf(on.url, first.pid);
    await using store = await createPersistence(on.url);
    await until("its session runs", async () => (await store.listTrainingSessions("gating")).length > 0);
    first.kill("SIGSTOP");
    // As if its minute had passed.
    await on.query("update training_leases set expires_at = '2020-01-01T00:00:00.000Z' returning token");
    const second = await rlcf(["train", ...here, "--json"], { cwd: work.path });
    assert.equal(second.code, 0, second.stderr);
    const { version } = onlyObject(second);
    const rows = async (): Promise<string[]> => (await store.listPolicyCheckpoints("gating")).map((row) => row.version);
    const before = await rows();
    first.kill("SIGCONT");
    first.kill("SIGTERM");
    const { code, stderr } = await said;
    assert.equal(code, 5, stderr);
    assert.match(stderr, /cannot go on with training gating: process \d+ on host/);
    assert.deepEqual(await rows(), before);
    assert.equal((await store.getActivePolicy("gating"))?.version, version);
    assert.equal((await store.listActivations("gating")).length, 1);
    const left = (await store.listTrainingSessions("gating")).find(({ processId }) => processId === late.processId)!;
    assert.deepEqual([left.status, left.errorMessage], [
      "failed",
      "the process lost its lease without closing the session: it ended, or was stopped",
    ]);
  },
);

testOnEachEmpty("of eight that start at once after a death, one takes over and seven exit 5", async (on) => {
  using work = new Workplace();
  const here = ["--config", work.config, "--database", on.url];
  await fill(work, on.url);
  const first = start(["train", ...here, ...LONG], { cwd: work.path });
  const said = ended(first);
  const holder = await holderOf(on.url, first.pid);
  await until("its proof of life is there", () => hasProof(holder));
  first.kill("SIGKILL");
  await said;
  await using store = await createPersistence(on.url);
  const lone = await Promise.all(Array.from({ length: 8 }, async () => {
    const other = await createPersistence(on.url);
    return { other, lease: await other.acquireLease("gating").catch((error) => error.code as string) };
  }));
  const taken = lone.filter(({ lease }) => typeof lease !== "string");
  assert.equal(taken.length, 1);
  assert.equal(lone.filter(({ lease }) => lease === "lease_held").length, 7);
  for (const { other } of lone) await other.close();
  assert.equal(await store.getLeaseHolder("gating"), null);
});

async function fill(work: Workplace, url: string): Promise<void> {
  const { code, stderr } = await rlcf(
    ["ingest", work.write("log.jsonl", logOf(60)), "--config", work.config, "--database", url],
    { cwd: work.path },
  );
  assert.equal(code, 0, stderr);
}

async function holderOf(url: string, pid: number): Promise<LeaseHolder> {
  await using store = await createPersistence(url);
  let holder: LeaseHolder | null = null;
  await until("it holds the lease", async () => (holder = await store.getLeaseHolder("gating")) !== null);
  assert.equal(holder!.processId, pid);
  return holder!;
}

async function hasProof(holder: LeaseHolder): Promise<boolean> {
  return await Deno.lstat(await proofPath(holder)).then(() => true, () => false);
}
