/**
 * A PostgreSQL server that is stopped, crashes and comes back, or does not, while rlcf works.
 */
import assert from "node:assert/strict";
import { createPersistence } from "../../src/store/create.ts";
import { logOf, onlyObject, rlcf, start, Workplace } from "../cli/support.ts";
import { drawnRecords } from "../session/support.ts";
import { refusal } from "../store/refusals.ts";
import { queryPostgres } from "../support/postgres.ts";
import { ended, OwnServer, pause, SOAK, until } from "./database_support.ts";

const RESTARTS = SOAK ? 10 : 2;
const LINES = SOAK ? 60_000 : 6000;
/** How long the server is away. */
const AWAY_MS = 1200;

const own = await OwnServer.start().catch((error: Error) => ({ reason: error.message }));

testOnServer("ingest goes on when the server has been restarted, and stores everything once", async (server, url) => {
  using work = new Workplace();
  const log = work.write("log.jsonl", logOf(LINES));
  const ingest = ended(
    start(["ingest", log, "--config", work.config, "--database", url, "--json"], { cwd: work.path }),
  );
  for (let i = 0; i < RESTARTS; i++) {
    const before = await traces(url);
    await until("more is stored", async () => await traces(url) > before + 500);
    await server.stop(i % 2 === 0 ? "fast" : "immediate");
    await pause(AWAY_MS);
    await server.start();
  }
  const result = await ingest;
  assert.equal(result.code, 0, result.stderr);
  const counts = onlyObject(result) as Record<string, number>;
  // Rows of a batch whose commit was not answered are counted as duplicates when it is stored again.
  assert.equal(counts.traces! + counts.feedback! + counts.duplicates!, 2 * LINES);
  assert.equal(await traces(url), LINES);
  assert.match(result.stderr, /could not store records in .*; trying again/);
});

testOnServer("training goes on when the server has been restarted, and its state is saved", async (server, url) => {
  using work = new Workplace();
  // Saves all the time, so that the database is wanted while it is away.
  work.configure("  epochs: 10000", "  activate: always\n  save_frequency: 1");
  const here = ["--config", work.config, "--database", url, "--json"];
  assert.equal((await rlcf(["ingest", work.write("log.jsonl", logOf(60)), ...here])).code, 0);
  const trainer = start(["train", ...here], { cwd: work.path });
  const said = ended(trainer);
  await until("it has saved", async () => Number((await queryPostgres(url, COUNT_VERSIONS))[0]!.n) > 0);
  for (const how of ["fast", "immediate"] as const) {
    await server.stop(how);
    await pause(AWAY_MS);
    await server.start();
  }
  trainer.kill("SIGTERM");
  const result = await said;
  assert.equal(result.code, 130, result.stderr);
  assert.match(result.stderr, /trying again/);
  await using store = await createPersistence(url);
  const [session] = await store.listTrainingSessions("gating");
  assert.equal(session!.status, "interrupted");
  const saved = await store.listPolicyCheckpoints("gating");
  assert.ok(saved.some(({ version }) => /^v1\.0\.0-ep\.\d+$/.test(version)));
  const verified = await rlcf(["policy", "verify", ...here], { cwd: work.path });
  assert.equal(verified.code, 0, verified.stderr);
  assert.equal(await store.getLeaseHolder("gating"), null);
});

testOnServer(
  "a server that stays away ends the store's work as a database failure, once patience is spent",
  async (server, url) => {
    const store = await createPersistence(url, { patienceMs: 1000 });
    await store.ingest(drawnRecords(10, 1));
    const lease = await store.acquireLease("gating");
    await server.stop("immediate");
    try {
      await assert.rejects(
        store.savePolicyCheckpoint({ version: "v1", policyType: "gating" }, { fence: lease.holder }),
        refusal(
          "database",
          /cannot store a checkpoint in .*: (nothing listens there|the connection was lost) .*, tried \d+ times/,
        ),
      );
      await assert.rejects(lease.assertHeld(), refusal("database", /cannot renew the training lease in/));
      // The next failure does not wait again.
      await assert.rejects(store.getTrainingStats(), refusal("database", /(nothing listens there|lost) \([^)]*\)$/));
      // Neither throws: what went wrong before is what matters.
      await lease[Symbol.asyncDispose]();
      await store.close();
    } finally {
      await server.start();
    }
    await using again = await createPersistence(url);
    assert.deepEqual(await again.listPolicyCheckpoints("gating"), []);
    // Its process lives, but let go of the proof: nobody waits for the minute.
    await using _lease = await again.acquireLease("gating");
  },
);

testOnServer("a server that is not there at the start is named at once", async (server, url) => {
  await server.stop("fast");
  try {
    const { code, stderr } = await rlcf(["stats", "--database", url, "--json"]);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /cannot open postgresql:.*: nothing listens there \(connect ECONNREFUSED/);
    assert.doesNotMatch(stderr, /trying again/);
  } finally {
    await server.start();
  }
});

if (SOAK) {
  testOnServer("train and ingest exit 4 when the server stays away", async (server, url) => {
    using work = new Workplace();
    work.configure("  epochs: 10000");
    const here = ["--config", work.config, "--database", url, "--json"];
    assert.equal((await rlcf(["ingest", work.write("log.jsonl", logOf(60)), ...here])).code, 0);
    const trainer = start(["train", ...here], { cwd: work.path });
    const said = ended(trainer);
    await until("it trains", async () => Number((await queryPostgres(url, COUNT_SESSIONS))[0]!.n) === 1);
    const ingest = ended(start(["ingest", work.write("more.jsonl", logOf(60_000)), ...here], { cwd: work.path }));
    await until("more is stored", async () => await traces(url) > 500);
    await server.stop("immediate");
    try {
      trainer.kill("SIGTERM");
      for (const result of [await said, await ingest]) {
        assert.equal(result.code, 4, result.stderr);
        assert.match(JSON.stringify(onlyObject(result)), /tried \d+ times/);
      }
    } finally {
      await server.start();
    }
  });
}

Deno.test.afterAll(async () => {
  if (own instanceof OwnServer) await own[Symbol.asyncDispose]();
});

const COUNT_VERSIONS = "select count(*) as n from policy_checkpoints";
const COUNT_SESSIONS = "select count(*) as n from training_sessions where status = 'running'";

async function traces(url: string): Promise<number> {
  try {
    return Number((await queryPostgres(url, "select count(*) as n from rlcf_traces"))[0]!.n);
  } catch {
    return 0;
  }
}

function testOnServer(name: string, test: (server: OwnServer, url: string) => Promise<void>): void {
  if (!(own instanceof OwnServer)) return Deno.test.ignore(`${name} (${own.reason})`, () => {});
  Deno.test(name, async () => {
    const database = `db_${crypto.randomUUID().replaceAll("-", "")}`;
    await queryPostgres(own.url(), `create database ${database}`);
    await test(own, own.url(database));
  });
}
