/**
 * What a database finds wrong with itself.
 *
 * @module
 */
import { sql } from "kysely";
import type { Database } from "./database.ts";

/** Flaws that are told at most. */
const MOST = 20;

/** See StoreInspection.checkIntegrity. */
export async function integrityFlaws(database: Database): Promise<string[]> {
  const flaws = database.dialect === "sqlite" ? await sqliteFlaws(database) : await postgresFlaws(database);
  return flaws.slice(0, MOST);
}

async function sqliteFlaws({ db }: Database): Promise<string[]> {
  const { rows } = await sql<{ integrity_check: string }>`pragma integrity_check(20)`.execute(db);
  return rows.map((row) => row.integrity_check).filter((flaw) => flaw !== "ok");
}

/** PostgreSQL checks its pages as it reads them; what can be switched off are the constraints. */
async function postgresFlaws({ db }: Database): Promise<string[]> {
  const { rows } = await sql<{ relation: string; missing: string }>`
    select wanted.relation, wanted.missing from (values
      ('rlcf_feedback', 'f'), ('policy_checkpoints', 'f'), ('policy_checkpoints', 'u')) as wanted (relation, missing)
    where not exists (select 1 from pg_constraint where conrelid = to_regclass(wanted.relation)
      and contype::text = wanted.missing and convalidated)`.execute(db);
  const flaws = rows.map(({ relation, missing }) =>
    `${relation} has lost its ${missing === "f" ? "foreign key" : "unique constraint"}, or it was never validated`
  );
  const { rows: [index] } = await sql<{ found: string | null }>`
    select to_regclass('policy_checkpoints_one_active')::text as found`.execute(db);
  return index?.found == null
    ? [...flaws, "policy_checkpoints has lost its index policy_checkpoints_one_active"]
    : flaws;
}
