/**
 * Brings a database to this program's schema. Two processes may do so at the same time: SQLite takes the write lock
 * before it looks, PostgreSQL an advisory lock.
 *
 * @module
 */
import { sql } from "kysely";
import { RlcfError } from "../base/errors.ts";
import type { Database } from "./database.ts";

/** Our own names, so that rlcf can live in a database that another program migrates with Kysely. */
const TABLES = { migrationTableName: "rlcf_migration", migrationLockTableName: "rlcf_migration_lock" };

/**
 * Runs the migrations that are missing; the usual case, that none is, costs one small query.
 *
 * @throws RlcfError("database") if a newer program migrated the database
 */
export async function migrate(database: Database): Promise<void> {
  const { MIGRATION_NAMES, migrationsFor } = await import("./migrations.ts");
  const applied = await appliedMigrations(database);
  const known: readonly string[] = MIGRATION_NAMES;
  const unknown = applied.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new RlcfError(
      "database",
      `cannot use ${database.location}: it was migrated by a newer rlcf, found migration ${unknown.join(", ")}, ` +
        `wanted none after ${known.at(-1)}`,
      { hint: "Update rlcf, or use another database." },
    );
  }
  if (applied.length === known.length) return;
  const { Migrator } = await import("kysely/migration");
  const provider = { getMigrations: () => Promise.resolve(migrationsFor(database.dialect)) };
  const { error } = await new Migrator({ db: database.db, provider, ...TABLES }).migrateToLatest();
  if (error !== undefined) throw error;
}

async function appliedMigrations(database: Database): Promise<string[]> {
  try {
    const { rows } = await sql<{ name: string }>`select name from rlcf_migration order by name`.execute(database.db);
    return rows.map((row) => row.name);
  } catch (error) {
    if (database.isMissingTable(error)) return [];
    throw error;
  }
}
