/**
 * Opens a PostgreSQL database.
 *
 * @module
 */
import { Kysely, PostgresDialect, type RawBuilder, sql, type Transaction } from "kysely";
import type { Database } from "../database.ts";
import type { Tables } from "../tables.ts";
import type { PostgresTarget } from "../url.ts";
import { copyArrays } from "./copy.ts";
import { explainPostgres, isMissingPostgresTable } from "./errors.ts";
import { CarefulPool, newPool } from "./pool.ts";
import { missingPrivileges } from "./privileges.ts";

/** A pool of at most `poolSize` connections, each opened by the first query that needs it. */
export function openPostgres({ url, password, location }: PostgresTarget, poolSize: number): Database {
  const explain: Database["explain"] = (error) => explainPostgres(error, password);
  const pool = newPool(url, poolSize, explain);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: new CarefulPool(pool) }) });
  return {
    dialect: "postgres",
    location,
    db,
    rowsPerPage: ROWS_PER_PAGE,
    readArrays: (query, types) => copyArrays(pool, query, types),
    now,
    serialize,
    isMissingTable: isMissingPostgresTable,
    explain,
    adviseOn: (error) => missingPrivileges(db, error),
  };
}

/** 3 MB of embeddings of 768 floats. */
const ROWS_PER_PAGE = 1000;

/** Time of the transaction's start, the same in the whole statement. */
function now(secondsFromNow = 0): RawBuilder<string> {
  return sql<string>`(now() + make_interval(secs => ${secondsFromNow}))`;
}

/** A lock that ends with the transaction; its number is a hash, so that strangers' names may rarely meet. */
async function serialize(transaction: Transaction<Tables>, name: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`rlcf ${name}`}, 0))`.execute(transaction);
}
