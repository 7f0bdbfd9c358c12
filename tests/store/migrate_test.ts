import assert from "node:assert/strict";
import { createPersistence } from "../../src/store/create.ts";
import { MIGRATION_NAMES } from "../../src/store/migrations.ts";
import { testOnEach, testOnEachEmpty } from "./databases.ts";
import { sampledTrace } from "./records.ts";
import { openInProcess } from "./processes.ts";
import { refusal } from "./refusals.ts";

testOnEach("the tables of the specification are there, and the migrations are recorded", async ({ store, query }) => {
  const names = store.dialect === "sqlite"
    ? await query("select name from sqlite_master where type = 'table'")
    : await query("select tablename as name from pg_tables where schemaname = 'public'");
  const tables = names.map((row) => row.name);
  for (
    const table of [
      "rlcf_traces",
      "rlcf_feedback",
      "policy_checkpoints",
      "policy_activations",
      "training_sessions",
      "training_leases",
    ]
  ) assert.ok(tables.includes(table), table);
  const applied = await query("select name from rlcf_migration order by name");
  assert.deepEqual(applied.map((row) => row.name), [...MIGRATION_NAMES]);
});

testOnEachEmpty("stores that open an empty database at the same time all succeed", async ({ url, query }) => {
  const stores = await Promise.all(Array.from({ length: 5 }, () => createPersistence(url)));
  await Promise.all(stores.map((store, i) => store.saveTrace(sampledTrace(`q${i}`))));
  assert.equal((await stores[0]!.getTrainingStats()).total_traces, 5);
  for (const store of stores) await store.close();
  assert.equal((await query("select name from rlcf_migration")).length, MIGRATION_NAMES.length);
});

testOnEachEmpty("so do processes, each of which ends by itself", async ({ url, query }) => {
  const processes = [[url], [url], [url], [url, "--keep-open"]].map((args) => openInProcess(args, ["--allow-all"]));
  const results = await Promise.all(processes);
  for (const { code, stderr } of results) assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.equal((await query("select name from rlcf_migration")).length, MIGRATION_NAMES.length);
  assert.equal((await query("select id from rlcf_traces")).length, 4);
});

testOnEach("a database of a newer program is refused, naming both", async ({ query, reopen }) => {
  await query(
    "insert into rlcf_migration (name, timestamp) values ('9999_future', '2099-01-01T00:00:00.000Z') returning name",
  );
  await assert.rejects(
    reopen(),
    refusal("database", /migrated by a newer rlcf, found migration 9999_future, wanted none after \d{4}_\w+$/),
  );
});
