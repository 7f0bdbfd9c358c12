/**
 * Opens a PostgreSQL database.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { CompiledQuery, Kysely, PostgresDialect, type RawBuilder, sql, type Transaction } from "kysely";
// @ts-types="@types/pg"
import pg from "pg";
import type { Database } from "../database.ts";
import type { Tables } from "../tables.ts";
import type { PostgresTarget } from "../url.ts";
import { copyArrays } from "./copy.ts";
import { explainPostgres, isMissingPostgresTable } from "./errors.ts";
import { ROW_TYPES } from "./types.ts";

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * The settings that the row language relies on, whatever the server's or the user's defaults are. Sent as a query,
 * since connection poolers refuse unknown settings at start-up.
 */
const SETTINGS = CompiledQuery.raw(
  "select set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO, YMD', false), " +
    "set_config('bytea_output', 'hex', false), set_config('extra_float_digits', '1', false)",
);

/** A pool of at most `poolSize` connections, each opened by the first query that needs it. */
export function openPostgres({ url, password, location }: PostgresTarget, poolSize: number): Database {
  const explain: Database["explain"] = (error) => explainPostgres(error, password);
  // Connects to nothing before the first query.
  const pool = newPool(url, poolSize, explain);
  return {
    dialect: "postgres",
    location,
    db: new Kysely<Tables>({
      dialect: new PostgresDialect({
        pool,
        onCreateConnection: async (connection) => {
          await connection.executeQuery(SETTINGS);
        },
      }),
    }),
    readArrays: (query, types) => copyArrays(pool, query, types),
    now,
    serialize,
    isMissingTable: isMissingPostgresTable,
    explain,
  };
}

function newPool(url: string, poolSize: number, explain: Database["explain"]): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    types: ROW_TYPES,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    // Idle connections do not keep the process alive.
    allowExitOnIdle: true,
    application_name: "rlcf",
  });
  const logger = getLogger(["rlcf", "store"]);
  const log = (error: Error): void => {
    logger.warn("A connection to PostgreSQL was lost: {cause}", { cause: explain(error)?.cause ?? error.name });
  };
  // Without both listeners a server that stops ends this process.
  pool.on("error", log);
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** Time of the transaction's start, the same in the whole statement. */
function now(secondsFromNow = 0): RawBuilder<string> {
  return sql<string>`(now() + make_interval(secs => ${secondsFromNow}))`;
}

/** A lock that ends with the transaction; its number is a hash, so that strangers' names may rarely meet. */
async function serialize(transaction: Transaction<Tables>, name: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`rlcf ${name}`}, 0))`.execute(transaction);
}
