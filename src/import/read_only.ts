/**
 * A connection to somebody else's database that cannot write there: SQLite opens the file for reading, PostgreSQL is
 * told that every transaction of the session is read-only.
 *
 * @module
 */
import { CompiledQuery, Kysely, PostgresDialect } from "kysely";
// @ts-types="@types/pg"
import pg from "pg";
import { DatabaseSync } from "node:sqlite";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { Explanation } from "../store/database.ts";
import { explainPostgres } from "../store/postgres/errors.ts";
import { ROW_TYPES } from "../store/postgres/types.ts";
import { whenUnlocked } from "../store/sqlite/busy.ts";
import { NodeSqliteDialect } from "../store/sqlite/dialect.ts";
import { explainSqlite } from "../store/sqlite/errors.ts";
import { type DatabaseTarget, parseDatabaseUrl } from "../store/url.ts";
import type { LegacyTables } from "./legacy_tables.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** Every transaction of the connection is read-only unless it says otherwise, and nothing here does. */
const READ_ONLY = CompiledQuery.raw(
  "select set_config('default_transaction_read_only', 'on', false), set_config('TimeZone', 'UTC', false), " +
    "set_config('DateStyle', 'ISO, YMD', false), set_config('extra_float_digits', '1', false)",
);

/** A connection that only reads. */
export interface ReadOnlyDatabase {
  /** Which database it is. */
  readonly dialect: "sqlite" | "postgres";
  /** The query builder. */
  readonly db: Kysely<LegacyTables>;
  /** Its URL with any password masked. */
  readonly location: string;
  /** Translates what the driver threw; undefined if the driver did not throw it. */
  readonly explain: (error: unknown) => Explanation | undefined;
}

/**
 * Opens a database for reading; it is connected to by the first query.
 *
 * @throws RlcfError `usage` for a SQLite file that is not there
 */
export function openReadOnly(target: DatabaseTarget): ReadOnlyDatabase {
  const { location } = target;
  if (target.dialect === "postgres") {
    const explain = (error: unknown): Explanation | undefined => explainPostgres(error, target.password);
    return { dialect: "postgres", db: readOnlyPostgres(target.url), location, explain };
  }
  if (target.path === ":memory:" || !isFile(target.path)) {
    throw new RlcfError("usage", `cannot import from ${location}: there is no such file`);
  }
  const connect = (): Promise<DatabaseSync> =>
    whenUnlocked(() => new DatabaseSync(target.path, { readOnly: true, timeout: 0 }));
  return {
    dialect: "sqlite",
    db: new Kysely<LegacyTables>({ dialect: new NodeSqliteDialect(connect) }),
    location,
    explain: explainSqlite,
  };
}

function readOnlyPostgres(url: string): Kysely<LegacyTables> {
  const pool = new pg.Pool({
    connectionString: url,
    max: 1,
    types: ROW_TYPES,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    allowExitOnIdle: true,
    application_name: "rlcf import",
  });
  // Without both listeners a server that stops ends this process; the query in progress tells of it.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return new Kysely<LegacyTables>({
    dialect: new PostgresDialect({
      pool,
      onCreateConnection: async (connection) => {
        await connection.executeQuery(READ_ONLY);
      },
    }),
  });
}

/** Whether two URLs are known to name one database; two spellings of one server's name are not seen through. */
export function isSameDatabase(a: string, b: string): boolean {
  const [left, right] = [parseDatabaseUrl(a), parseDatabaseUrl(b)];
  if (left.dialect === "postgres" && right.dialect === "postgres") return left.url === right.url;
  if (left.dialect !== "sqlite" || right.dialect !== "sqlite") return false;
  if (left.path === ":memory:" || right.path === ":memory:" || !isFile(left.path) || !isFile(right.path)) return false;
  const [first, second] = [Deno.statSync(left.path), Deno.statSync(right.path)];
  return first.dev === second.dev && first.ino === second.ino;
}

/** Runs a query and translates what the driver throws. */
export async function reading<R>(
  { location, explain }: Pick<ReadOnlyDatabase, "location" | "explain">,
  work: () => Promise<R>,
): Promise<R> {
  try {
    return await work();
  } catch (thrown) {
    const explanation = thrown instanceof RlcfError ? undefined : explain(thrown);
    if (explanation === undefined) throw thrown;
    const { cause, hint } = explanation;
    // Only the name of the driver's error is kept: the error itself holds the connection's settings.
    throw new RlcfError("database", `cannot read ${location}: ${cause}`, {
      ...(hint === undefined ? {} : { hint }),
      cause: new Error(thrown instanceof Error ? thrown.name : "Error"),
    });
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw new RlcfError("usage", `cannot import from ${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
}
