import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { RlcfError } from "../../src/base/errors.ts";
import { createPersistence } from "../../src/store/create.ts";
import { whenUnlocked } from "../../src/store/sqlite/busy.ts";
import { explainSqlite } from "../../src/store/sqlite/errors.ts";
import { postgresForTests, queryPostgres, type TestPostgres } from "../support/postgres.ts";
import { testOnEach } from "./databases.ts";
import { openInProcess } from "./processes.ts";
import { rating, sampledTrace } from "./records.ts";
import { refusal } from "./refusals.ts";

const postgres = await postgresForTests();
const ENVIRONMENT = ["--ignore-env", "--allow-env=RLCF_*"];
const VARIABLE = "RLCF_ASYNC_DATABASE_URL";

Deno.test("without a URL the environment decides, and without that the store is in memory", async () => {
  const before = Deno.env.get(VARIABLE);
  await using directory = temporaryDirectory();
  try {
    Deno.env.set(VARIABLE, `sqlite+aiosqlite:///${directory.path}/env.db`);
    await (await createPersistence()).close();
    assert.ok(Deno.statSync(`${directory.path}/env.db`).isFile);
    Deno.env.delete(VARIABLE);
    await using store = await createPersistence();
    assert.equal(store.location, "sqlite://");
    assert.equal(store.dialect, "sqlite");
  } finally {
    if (before !== undefined) Deno.env.set(VARIABLE, before);
  }
});

Deno.test("two stores in memory share nothing", async () => {
  await using first = await createPersistence(":memory:");
  await using second = await createPersistence("sqlite://");
  await first.saveTrace(sampledTrace("q"));
  assert.equal((await second.getTrainingStats()).total_traces, 0);
});

Deno.test("a SQLite file that cannot be opened is named with the cause and a hint", async () => {
  await using directory = temporaryDirectory();
  await Deno.writeTextFile(
    `${directory.path}/notes.txt`,
    "not a database, but long enough to look like one. ".repeat(9),
  );
  const causes: [string, RegExp][] = [
    [`${directory.path}/missing/x.db`, /cannot open sqlite:\/\/\/\/.*x\.db: the file cannot be opened$/],
    [directory.path, /: the file cannot be opened$/],
    [`${directory.path}/notes.txt`, /: the file is not a SQLite database$/],
  ];
  for (const [path, message] of causes) {
    await assert.rejects(createPersistence(`sqlite:///${path}`), (error: RlcfError) => {
      assert.ok(refusal("database", message)(error));
      assert.ok((error.hint ?? "").length > 0);
      return true;
    });
  }
});

Deno.test({
  name: "a SQLite file that may only be read is read, and refuses to be written",
  ignore: Deno.uid() === 0,
  fn: async () => {
    await using directory = temporaryDirectory();
    const path = `${directory.path}/store.db`;
    await using first = await createPersistence(`sqlite:///${path}`);
    await first.saveTrace(sampledTrace("q"));
    await first.close();
    await Deno.chmod(path, 0o444);
    await using store = await createPersistence(`sqlite:///${path}`);
    assert.equal((await store.getTrainingStats()).total_traces, 1);
    await assert.rejects(store.saveTrace(sampledTrace("q")), refusal("database", /the file may only be read$/));
  },
});

Deno.test("a file of a new store uses the write-ahead log", async () => {
  await using directory = temporaryDirectory();
  await using _store = await createPersistence(`sqlite:///${directory.path}/store.db`);
  using database = new DatabaseSync(`${directory.path}/store.db`);
  assert.equal(database.prepare("pragma journal_mode").get()?.journal_mode, "wal");
});

Deno.test("a lock that stays is reported, one that goes is waited for", async () => {
  await using directory = temporaryDirectory();
  using holder = new DatabaseSync(`${directory.path}/locked.db`);
  using waiter = new DatabaseSync(`${directory.path}/locked.db`, { timeout: 0 });
  holder.exec("create table t (a); begin immediate");
  const write = (): void => waiter.exec("insert into t values (1)");
  await assert.rejects(whenUnlocked(write, 5), (error) => {
    assert.match(explainSqlite(error)?.cause ?? "", /locked by another process/);
    return true;
  });
  const waiting = whenUnlocked(write);
  holder.exec("commit");
  await waiting;
  assert.equal(holder.prepare("select count(*) as n from t").get()?.n, 1);
});

testOnEach("after closing, every call says so; closing again does nothing", async ({ reopen }) => {
  const store = await reopen();
  await store.close();
  await store.close();
  await assert.rejects(
    store.getTrainingStats(),
    refusal("database", /cannot read statistics in .*: it has been closed/),
  );
});

Deno.test("a SQLite store needs no more permissions than it says, and names the one that is missing", async () => {
  await using directory = temporaryDirectory();
  const path = `${directory.path}/store.db`;
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const inMemory = await openInProcess(["sqlite://"], ENVIRONMENT);
  assert.equal(text(inMemory.stdout), "1\n", text(inMemory.stderr));
  const inFile = await openInProcess(
    [`sqlite:///${path}`],
    [...ENVIRONMENT, `--allow-read=${path}`, `--allow-write=${path}`],
  );
  assert.equal(text(inFile.stdout), "1\n", text(inFile.stderr));
  const refused = await openInProcess([`sqlite:///${path}`], ENVIRONMENT);
  assert.match(text(refused.stderr), /RlcfError: cannot open sqlite:.*store\.db: Requires read access to/);
});

testOnPostgres("so does a PostgreSQL store", async (server) => {
  await using database = await server.createDatabase();
  const { host } = new URL(database.url);
  const { stdout, stderr } = await openInProcess([database.url], [...ENVIRONMENT, `--allow-net=${host}`]);
  assert.equal(new TextDecoder().decode(stdout), "1\n", new TextDecoder().decode(stderr));
});

testOnPostgres("a server that is not there is named with the cause", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await rejectsWithoutPassword(
    `postgresql+asyncpg://rlcf:t0p-secret@127.0.0.1:${port}/rlcf`,
    /^cannot open postgresql\+asyncpg:\/\/rlcf:\*\*\*@127\.0\.0\.1:\d+\/rlcf: nothing listens there/,
  );
});

testOnPostgres("a missing database and missing encryption are named", async (server) => {
  const url = server.url("rlcf_is_not_there");
  await assert.rejects(createPersistence(url), refusal("database", /: the database does not exist/));
  const encrypted = `${server.url("postgres")}?sslmode=require`;
  await assert.rejects(createPersistence(encrypted), refusal("database", /: the server has no encryption/));
});

testOnPostgres("a wrong password is refused and never shown, a right one with odd characters works", async (server) => {
  if (server.passwordUrl === undefined) return;
  await rejectsWithoutPassword(server.passwordUrl("postgres", "t0p-secret"), /: the password was refused/);
  await using database = await server.createDatabase();
  await queryPostgres(database.url, "grant all on schema public to rlcf_password");
  const url = server.passwordUrl(new URL(database.url).pathname.slice(1));
  await using store = await createPersistence(url.replace("postgresql:", "postgresql+asyncpg:"));
  assert.equal((await store.getTrainingStats()).total_traces, 0);
});

testOnPostgres("a user who may not create tables is told so", async (server) => {
  if (server.passwordUrl === undefined) return;
  await using database = await server.createDatabase();
  await queryPostgres(database.url, "revoke create on schema public from public");
  const name = new URL(database.url).pathname.slice(1);
  await assert.rejects(
    createPersistence(server.passwordUrl(name)),
    refusal("database", /: the user lacks a privilege \(permission denied for schema public\)/),
  );
});

testOnPostgres("a connection that the server ended is replaced", async (server) => {
  await using database = await server.createDatabase();
  await using store = await createPersistence(database.url, { poolSize: 1 });
  const id = await store.saveTrace(sampledTrace("q"));
  await queryPostgres(
    database.url,
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  assert.equal((await untilReached(() => store.getTrace(id)))?.queryId, "q");
});

testOnPostgres(
  "a connection that the server ends in the middle of a write fails that write and nothing else, where nobody is patient",
  async (server) => {
    await using database = await server.createDatabase();
    await using store = await createPersistence(database.url, { patienceMs: 0 });
    // Locks the table, and ends the first connection that waits for it.
    const ended = queryPostgres(
      database.url,
      `do $$ begin
      lock table rlcf_traces in access exclusive mode;
      for i in 1..1000 loop
        perform pg_sleep(0.01), pg_stat_clear_snapshot();
        perform pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and application_name = 'rlcf';
        exit when found;
      end loop;
    end $$`,
    );
    let stored = 0;
    await assert.rejects(async () => {
      for (; stored < 5000; stored++) await store.saveTraces([[sampledTrace("q")]]);
    }, refusal("database", /cannot store traces in .*: (the server ended the connection|the connection was lost)/));
    await ended;
    assert.equal((await untilReached(() => store.getTrainingStats())).total_traces, stored);
  },
);

testOnPostgres("the database's own settings do not change what is read", async (server) => {
  await using database = await server.createDatabase();
  const name = new URL(database.url).pathname.slice(1);
  for (const setting of ["timezone = 'Asia/Tokyo'", "datestyle = 'SQL, DMY'", "bytea_output = 'escape'"]) {
    await queryPostgres(database.url, `alter database ${name} set ${setting}`);
  }
  await using store = await createPersistence(database.url);
  const trace = sampledTrace("q", "2025-12-30T23:59:59.999Z");
  const id = await store.saveTrace(trace);
  await store.saveFeedback(id, rating("q", 0.1 + 0.2, "2025-12-31T00:00:00.001Z"));
  assert.deepEqual((await store.getTrace(id))?.toJSON(), trace.toJSON());
  const [pair] = await store.getTrainingData({
    minDate: "2025-12-31T00:00:00.001Z",
    maxDate: "2025-12-31T00:00:00.001Z",
  });
  assert.equal(pair?.feedback.overallRating, 0.1 + 0.2);
});

testOnPostgres("times keep their microseconds between pages", async (server) => {
  await using database = await server.createDatabase();
  await using store = await createPersistence(database.url);
  const id = await store.saveTrace(sampledTrace("q"));
  await queryPostgres(
    database.url,
    `insert into rlcf_feedback (id, trace_id, user_authority, overall_score, feedback, created_at)
      select gen_random_uuid(), '${id}', 0.5, 0.5, '{"query_id": "q", "overall_rating": 0.5}',
        timestamptz '2025-12-01' + i * interval '1 microsecond' from generate_series(1, 2500) as i`,
  );
  let rows = 0;
  const window = { since: null, until: "2026-01-01T00:00:00Z", maxFeedback: 10_000 };
  for await (const page of store.readTrainingRows(window)) rows += page.length;
  assert.equal(rows, 2500);
});

function testOnPostgres(name: string, test: (server: TestPostgres) => Promise<void>): void {
  if ("reason" in postgres) Deno.test.ignore(`${name} (${postgres.reason})`, () => {});
  else Deno.test(name, () => test(postgres));
}

/** The pool hears of an ended connection in steps; until it has, calls may fail, in our words. */
async function untilReached<T>(call: () => Promise<T>): Promise<T> {
  for (let attempts = 0; attempts < 10; attempts++) {
    try {
      return await call();
    } catch (error) {
      refusal("database", /the server ended the connection|the connection was lost/)(error);
    }
  }
  return await call();
}

/** The password `t0p-secret` must be nowhere in the error, whatever a logger prints of it. */
async function rejectsWithoutPassword(url: string, message: RegExp): Promise<void> {
  await assert.rejects(createPersistence(url), (error: RlcfError) => {
    assert.ok(refusal("database", message)(error));
    assert.doesNotMatch(Deno.inspect(error, { depth: 20, showHidden: true }), /t0p-secret/);
    return true;
  });
}

function temporaryDirectory(): { path: string } & AsyncDisposable {
  const path = Deno.makeTempDirSync({ prefix: "rlcf-create-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
