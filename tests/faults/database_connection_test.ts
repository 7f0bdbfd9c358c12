/**
 * Connections that are dropped, delayed and stalled, statements that are stopped, pools and servers that are full.
 */
import assert from "node:assert/strict";
import { createPersistence, type PersistenceOptions } from "../../src/store/create.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { logOf, rlcf, Workplace } from "../cli/support.ts";
import { drawnRecords } from "../session/support.ts";
import { rating, sampledTrace } from "../store/records.ts";
import { refusal } from "../store/refusals.ts";
import { postgresForTests, queryPostgres, type TestPostgres } from "../support/postgres.ts";
import { pause, Proxy as Network, SOAK } from "./database_support.ts";

const postgres = await postgresForTests();
const DROPS = SOAK ? 500 : 15;

/** Ends whatever connection is inside a transaction just then. */
const DROP = `select count(pg_terminate_backend(pid)) as n from pg_stat_activity
  where datname = current_database() and application_name = 'rlcf' and xact_start is not null`;

testOnPostgres("connections dropped inside transactions lose nothing and store nothing twice", async (url) => {
  await using store = await createPersistence(url);
  const batches = Array.from({ length: 30 }, (_, i) => drawnRecords(20, i + 1));
  let dropped = 0;
  let done = false;
  const dropping = (async () => {
    while (!done) {
      dropped += Number((await queryPostgres(url, DROP))[0]!.n);
      await pause(5);
    }
  })();
  let rounds = 0;
  let activations = 0;
  for (let i = 0; i < 6; i++) await store.savePolicyCheckpoint({ version: `v${i}`, policyType: "gating" });
  while (dropped < DROPS) {
    const batch = batches[rounds % batches.length]!;
    await Promise.all([
      store.ingest(batch),
      store.activatePolicy(`v${rounds % 6}`, "gating", { by: "test" }),
      (async () => {
        const id = await store.saveTrace(sampledTrace(`q${rounds}`));
        await store.saveFeedback(id, rating(`q${rounds}`, 0.5));
      })(),
    ]);
    activations++;
    rounds++;
  }
  done = true;
  await dropping;
  for (const batch of batches) await store.ingest(batch);
  const stats = await store.getTrainingStats();
  const wanted = 30 * 20 + rounds;
  assert.deepEqual([stats.total_traces, stats.traces_with_feedback, stats.total_feedback], [wanted, wanted, wanted]);
  // Each activation stands in the history once, whatever became of the answer to its commit.
  const history = (await store.listActivations("gating")).toReversed();
  assert.equal(history.length, activations);
  assert.deepEqual(history.map(({ toVersion }) => toVersion), history.map((_, i) => `v${i % 6}`));
});

testOnPostgres("a page that is read while connections drop is neither lost nor read twice", async (url) => {
  await using store = await createPersistence(url);
  await store.ingest(drawnRecords(3000, 1));
  const window = { since: null, until: new Date().toISOString(), maxFeedback: 10_000 };
  let rows = 0;
  const ids = new Set<string>();
  for await (const page of store.readTrainingRows(window)) {
    rows += page.length;
    for (const { traceId } of page) ids.add(traceId);
    await queryPostgres(
      url,
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'rlcf'",
    );
  }
  assert.deepEqual([rows, ids.size], [3000, 3000]);
});

testOnPostgres("a slow network is waited for", async (url) => {
  await using network = new Network(Number(new URL(url).port));
  network.delayMs = 30;
  await using store = await createPersistence(network.url(url));
  await store.ingest(drawnRecords(200, 1));
  assert.equal((await store.getTrainingStats()).total_feedback, 200);
});

testOnPostgres(
  "a network that stalls ends in exit 4 within the time that was given, and the pool recovers",
  async (url) => {
    await using network = new Network(Number(new URL(url).port));
    const slow = `${network.url(url)}?query_timeout=400&connect_timeout=1`;
    await using store = await createPersistence(slow, { patienceMs: 1500 });
    await store.saveTrace(sampledTrace("before"));
    network.stall();
    await assert.rejects(
      store.saveTrace(sampledTrace("during")),
      refusal(
        "database",
        /cannot store a trace in .*: (the server did not answer a statement in time|no connection in time)/,
      ),
    );
    await assert.rejects(store.ingest(drawnRecords(5, 1)), refusal("database", /in time|no connection/));
    network.flow();
    await store.saveTrace(sampledTrace("after"));
    assert.ok((await store.getTrainingStats()).total_traces >= 2);
  },
);

testOnPostgres("a network that is cut again and again is mended by new connections", async (url) => {
  await using network = new Network(Number(new URL(url).port));
  await using store = await createPersistence(network.url(url));
  let done = false;
  const cutting = (async () => {
    while (!done) {
      network.cut();
      await pause(60);
    }
  })();
  for (let i = 0; i < 50; i++) await store.saveTraces([[sampledTrace(`q${i}`)], [sampledTrace(`r${i}`)]]);
  done = true;
  await cutting;
  assert.equal((await store.getTrainingStats()).total_traces, 100);
  assert.ok(network.accepted > 1);
});

testOnPostgres("a statement that the server stops is named, as exit 4", async (url) => {
  const name = new URL(url).pathname.slice(1);
  using work = new Workplace();
  const log = work.write("log.jsonl", logOf(20));
  const ingest = ["ingest", log, "--config", work.config, "--database", url, "--json"];
  assert.equal((await rlcf(ingest, { cwd: work.path })).code, 0);
  await queryPostgres(url, `alter database ${name} set statement_timeout = '300ms'`);
  const locking = queryPostgres(
    url,
    "set statement_timeout = 0; begin; lock table rlcf_traces; select pg_sleep(4); commit",
  );
  await pause(300);
  const { code, stderr } = await rlcf(ingest, { cwd: work.path });
  assert.equal(code, 4, stderr);
  assert.match(
    stderr,
    /cannot store records in .*: the statement was stopped \(canceling statement due to statement timeout\)/,
  );
  assert.match(stderr, /hint: .*statement_timeout/);
  await locking;
});

testOnPostgres("a deadlock is tried again until it is gone", async (url) => {
  await using store = await createPersistence(url);
  const id = await store.saveTrace(sampledTrace("q"));
  const lease = await store.acquireLease("gating");
  // Holds the trace's row and wants the lease's, while others hold the lease's and want the trace's.
  const other = queryPostgres(
    url,
    `set deadlock_timeout = '50ms'; begin; update rlcf_traces set reward = 1 where id = '${id}'; select pg_sleep(0.5);
     update training_leases set renewed_at = now(); commit`,
  ).catch((error) => error.code);
  await pause(100);
  await store.saveFeedback(id, rating("q", 0.5));
  await other;
  assert.equal((await store.getTrace(id)) !== null, true);
  await lease[Symbol.asyncDispose]();
});

testOnPostgres("more at once than the pool has connections: all of them get their turn", async (url) => {
  await using store = await createPersistence(url, { poolSize: 2 });
  await Promise.all(Array.from({ length: 300 }, (_, i) => store.saveTrace(sampledTrace(`q${i}`))));
  assert.equal((await store.getTrainingStats()).total_traces, 300);
});

testOnPostgres("a server without a free connection is waited for, then named", async (url) => {
  await using store = await createPersistence(url);
  const name = new URL(url).pathname.slice(1);
  await queryPostgres(
    url,
    `create role crowded_${name} login; grant all on all tables in schema public to crowded_${name};
    alter role crowded_${name} connection limit 1`,
  );
  const crowded = Object.assign(new URL(url), { username: `crowded_${name}` }).href;
  try {
    await onStore(crowded, { poolSize: 1 }, async (first) => {
      await first.getTrainingStats();
      await assert.rejects(
        createPersistence(crowded, { patienceMs: 500 }),
        refusal("database", /: the server has no connection left \(too many connections for role .*, tried \d times/),
      );
      const second = createPersistence(crowded, { poolSize: 1 });
      await pause(300);
      await first.close();
      await (await second).close();
    });
    assert.equal((await store.getTrainingStats()).total_traces, 0);
  } finally {
    await queryPostgres(url, `drop owned by crowded_${name}; drop role crowded_${name}`);
  }
});

async function onStore(
  url: string,
  options: PersistenceOptions,
  work: (store: RLCFPersistence) => Promise<void>,
): Promise<void> {
  await using store = await createPersistence(url, options);
  await work(store);
}

function testOnPostgres(name: string, test: (url: string) => Promise<void>): void {
  if ("reason" in postgres) return Deno.test.ignore(`${name} (${postgres.reason})`, () => {});
  const server: TestPostgres = postgres;
  Deno.test(name, async () => {
    await using database = await server.createDatabase();
    await test(database.url);
  });
}
