import assert from "node:assert/strict";
import { CompiledQuery } from "kysely";
import { createPersistence } from "../../src/store/create.ts";
import type { ColumnType, Database } from "../../src/store/database.ts";
import { openPostgres } from "../../src/store/postgres/open.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import { pageQuery, pageTypes } from "../../src/store/training_queries.ts";
import { parseDatabaseUrl } from "../../src/store/url.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { postgresForTests, type TestPostgres } from "../support/postgres.ts";
import { testOnEach } from "./databases.ts";
import { fullFeedback, rating, sampledTrace, softTrace } from "./records.ts";
import { refusal } from "./refusals.ts";

const WINDOW = { since: "2020-01-01T00:00Z", until: "2026-01-01T00:00Z", maxFeedback: Infinity };

/** The database of a URL, without the store over it. */
function open(url: string, poolSize = 1): Database {
  const target = parseDatabaseUrl(url);
  return target.dialect === "sqlite" ? openSqlite(target) : openPostgres(target, poolSize);
}

/** Runs a query both ways and returns the rows of the fast one. */
async function readBothWays(
  database: Database,
  query: CompiledQuery,
  types: readonly ColumnType[],
): Promise<readonly (readonly unknown[])[]> {
  const fast = await database.readArrays(query, types);
  const { rows } = await database.db.executeQuery<Record<string, unknown>>(query);
  // pg's own bytes are of its own class.
  const plain = (value: unknown): unknown => value instanceof Uint8Array ? Uint8Array.from(value) : value;
  assert.deepEqual(fast, rows.map((row) => Object.values(row).map(plain)));
  return fast;
}

testOnEach("a page of training rows is the same read the fast way and through Kysely", async ({ store, url }) => {
  const traces = [
    sampledTrace("però è così"),
    softTrace('🦉 o\'clock \\ "quoted"'),
    new ExecutionTrace({ queryId: "\t\r\n" }),
    ...Array.from({ length: 300 }, (_, i) => sampledTrace(`q${i}`)),
  ];
  await store.ingest(traces.map((trace, i) => ({
    trace,
    traceContext: { id: crypto.randomUUID(), policyVersion: i % 3 === 0 ? "v1 'x' $1" : null },
    feedback: i % 2 === 0
      ? rating(trace.queryId, (i % 7) / 7, `2025-01-${10 + i % 3}T00:00:00.123${i % 5 === 0 ? "456" : ""}Z`)
      : fullFeedback(trace.queryId, `u${i} è`, "2025-02-01T00:00Z"),
    feedbackContext: { id: crypto.randomUUID(), userAuthority: 1 / (i + 1) },
  })));
  const database = open(url);
  try {
    for (const withFeedback of [false, true]) {
      const types = pageTypes(withFeedback);
      for (const policyVersion of [undefined, "v1 'x' $1"]) {
        const window = { ...WINDOW, ...(policyVersion === undefined ? {} : { policyVersion }) };
        const page = { cursor: undefined, limit: 200, withFeedback };
        const rows = await readBothWays(database, pageQuery(database.db, window, page), types);
        assert.equal(rows.length, policyVersion === undefined ? 200 : 101);
        const [id, createdAt] = rows[90] as [string, string];
        const next = pageQuery(database.db, window, { ...page, cursor: { id, createdAt }, limit: 10 });
        assert.deepEqual(await readBothWays(database, next, types), rows.slice(91, 101));
      }
    }
    const nothing = pageQuery(database.db, { ...WINDOW, until: "2021-01-01T00:00Z" }, {
      cursor: undefined,
      limit: 10,
      withFeedback: false,
    });
    assert.deepEqual(await readBothWays(database, nothing, pageTypes(false)), []);
  } finally {
    await database.db.destroy();
  }
});

const postgres = await postgresForTests();

/** Registers a test that only PostgreSQL needs, on an empty database with a pool of one connection. */
function testOnPostgres(name: string, test: (database: Database, url: string) => Promise<void>): void {
  if ("reason" in postgres) {
    Deno.test.ignore(`postgres: ${name} (${postgres.reason})`, () => {});
    return;
  }
  Deno.test(`postgres: ${name}`, () => withDatabase(postgres, test));
}

async function withDatabase(
  server: TestPostgres,
  test: (database: Database, url: string) => Promise<void>,
): Promise<void> {
  await using empty = await server.createDatabase();
  const database = open(empty.url);
  try {
    await test(database, empty.url);
  } finally {
    await database.db.destroy();
  }
}

testOnPostgres("COPY gives every type as pg gives it", async (database) => {
  const columns: readonly (readonly [ColumnType, string, readonly string[]])[] = [
    ["uuid", "uuid", ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1f"]],
    ["time", "timestamptz", [
      "2025-12-30 09:00:00+00",
      "2025-12-30 09:00:00.1+02",
      "2025-12-30 09:00:00.123456+00",
      "1999-12-31 23:59:59.999999+00",
      "1969-12-31 23:59:59.999001+00",
      "0001-01-01 00:00:00+00",
      "9999-12-31 23:59:59.999+00",
    ]],
    ["float", "double precision", ["0", "-0", "0.1", "5e-324", "-1.7976931348623157e308", "0.30000000000000004"]],
    ["text", "varchar(255)", ["", "però è così", "🦉", "o'clock \\ $1", "\t\n\u0001"]],
    ["json", "jsonb", ["{}", '{"b": [1, null, "è\\n"], "a": 0.25}', '"🦉"']],
    ["bytes", "bytea", ["\\x", "\\x00", "\\x00ff7f80", `\\x${"0a5c27".repeat(100_000)}`]],
  ];
  for (const [type, sqlType, values] of columns) {
    const query = CompiledQuery.raw(
      `select v from (values ${
        [...values, null].map((_, i) => `($${i + 1}::${sqlType}, ${i})`)
      }) as t (v, i) order by i`,
      [...values, null],
    );
    // COPY knows no null among its parameters: training never compares with one.
    const literal = { ...query, sql: query.sql.replace(`$${values.length + 1}`, "null"), parameters: [...values] };
    const rows = await readBothWays(database, literal, [type]);
    assert.equal(rows.length, values.length + 1);
    assert.deepEqual(rows.at(-1), [null]);
  }
});

testOnPostgres("COPY of many rows in chunks of all sizes loses and repeats nothing", async (database) => {
  const query = CompiledQuery.raw(
    "select i::float8, repeat('x', i * 37 % 9001), decode(repeat(lpad(to_hex(i % 256), 2, '0'), i * 61 % 8999), 'hex') " +
      "from generate_series(1, 5000) as s (i)",
  );
  const rows = await database.readArrays(query, ["float", "text", "bytes"]);
  assert.equal(rows.length, 5000);
  for (const [k, [i, text, bytes]] of rows.entries()) {
    assert.equal(i, k + 1);
    assert.equal(text, "x".repeat((k + 1) * 37 % 9001));
    assert.deepEqual(bytes, new Uint8Array((k + 1) * 61 % 8999).fill((k + 1) % 256));
  }
});

testOnPostgres("one COPY follows another on the same connection", async (database) => {
  const query = CompiledQuery.raw("select i::float8 from generate_series(1, $1) as s (i)", [3]);
  for (let i = 0; i < 5; i++) {
    assert.deepEqual(await database.readArrays(query, ["float"]), [[1], [2], [3]]);
    if (i === 2) await database.db.executeQuery(CompiledQuery.raw("select 1"));
  }
});

testOnPostgres(
  "an error in the middle of a COPY is reported, and the connection is free for the next",
  async (database) => {
    const failing = CompiledQuery.raw("select (1 / (i - 500))::float8 from generate_series(1, 1000) as s (i)");
    const good = CompiledQuery.raw("select 1::float8");
    for (let i = 0; i < 3; i++) {
      await assert.rejects(database.readArrays(failing, ["float"]), { code: "22012" });
      assert.deepEqual(await database.readArrays(good, ["float"]), [[1]]);
    }
  },
);

testOnPostgres(
  "rows of another form than wanted are an error, and the connection is free for the next",
  async (database) => {
    const query = CompiledQuery.raw("select i::float8, 'x' from generate_series(1, 1000) as s (i)");
    await assert.rejects(database.readArrays(query, ["float"]), /found 2 fields, wanted 1/);
    assert.equal((await database.readArrays(query, ["float", "text"])).length, 1000);
  },
);

testOnPostgres("a connection that is lost during a COPY is an error, and the next one is new", async (database) => {
  const dying = CompiledQuery.raw(
    "select case when i = 500 then pg_terminate_backend(pg_backend_pid())::int::float8 else i end " +
      "from generate_series(1, 100000) as s (i)",
  );
  await assert.rejects(
    database.readArrays(dying, ["float"]),
    (error) => /terminat|ended|lost/i.test(database.explain(error)?.cause ?? ""),
  );
  assert.deepEqual(await database.readArrays(CompiledQuery.raw("select 1::float8"), ["float"]), [[1]]);
});

testOnPostgres("a parameter that has no literal is refused before anything is sent", async (database) => {
  const query = CompiledQuery.raw("select $1::float8", [null]);
  await assert.rejects(database.readArrays(query, ["float"]), /parameter 1: found object, wanted a text or a number/);
});

testOnPostgres("a reader that stops early or fails keeps no connection", async (_, url) => {
  await using store = await createPersistence(url, { poolSize: 1 });
  const records = (n: number) =>
    Array.from({ length: n }, (_, i) => ({
      trace: sampledTrace(`q${i}`),
      traceContext: { id: crypto.randomUUID() },
      feedback: rating(`q${i}`, 0.5, "2025-01-01T00:00Z"),
      feedbackContext: { id: crypto.randomUUID() },
    }));
  await store.ingest(records(1500));
  for await (const page of store.readTrainingRows(WINDOW)) {
    assert.equal(page.length, 1000);
    assert.equal(await store.countTrainingRows(WINDOW), 1500);
    break;
  }
  await assert.rejects(async () => {
    for await (const _ of store.readTrainingRows(WINDOW)) throw new Error("the reader's own");
  }, /the reader's own/);
  const pages = store.readTrainingRows(WINDOW)[Symbol.asyncIterator]();
  await pages.next();
  await store.close();
  await assert.rejects(async () => await pages.next(), refusal("database", /cannot read training data in .*closed/));
});
