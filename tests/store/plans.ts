/**
 * Asks a database how it would run a query.
 *
 * @module
 */
import { CompiledQuery } from "kysely";
import type { Database } from "../../src/store/database.ts";
import { openPostgres } from "../../src/store/postgres/open.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import { parseDatabaseUrl } from "../../src/store/url.ts";
import type { TestStore } from "./databases.ts";

/** Kysely on a database, for the caller to close. */
export function openAt(url: string): Database["db"] {
  const target = parseDatabaseUrl(url);
  return (target.dialect === "sqlite" ? openSqlite(target) : openPostgres(target, 1)).db;
}

/** How the database would run a query, as text. */
export async function plansOf(
  { store, url }: TestStore,
  queries: (db: Database["db"]) => readonly CompiledQuery[],
): Promise<string[]> {
  const db = openAt(url);
  const explain = store.dialect === "sqlite" ? "explain query plan" : "explain (costs off)";
  try {
    const plans: string[] = [];
    for (const { sql, parameters } of queries(db)) {
      const { rows } = await db.executeQuery<Record<string, string>>(
        CompiledQuery.raw(`${explain} ${sql}`, [...parameters]),
      );
      plans.push(rows.map((row) => row.detail ?? row["QUERY PLAN"]).join("\n"));
    }
    return plans;
  } finally {
    await db.destroy();
  }
}
