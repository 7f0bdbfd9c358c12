/**
 * Texts of the records in which a URL with a password may have come to stand.
 *
 * @module
 */
import { sql } from "kysely";
import type { Database } from "./database.ts";

/** A text in a record. */
export interface StoredText {
  /** The table. */
  readonly table: "training_sessions" | "policy_checkpoints";
  /** The column. */
  readonly column: "config" | "metrics" | "error_message" | "training_metrics" | "bench";
  /** The row's key, a UUID. */
  readonly id: string;
  /** The row in words, such as `gating v1.0.1`. */
  readonly name: string;
  /** The text as it is stored. */
  readonly text: string;
}

const PLACES = [
  { table: "training_sessions", name: "started_at", columns: ["config", "metrics", "error_message"] },
  { table: "policy_checkpoints", name: "version", columns: ["config", "training_metrics", "bench"] },
] as const;

/** See StoreInspection.listUrlTexts. */
export async function listUrlTexts({ db }: Database): Promise<StoredText[]> {
  const found: StoredText[] = [];
  for (const { table, name, columns } of PLACES) {
    for (const column of columns) {
      const { rows } = await sql<{ id: string; policy_type: string; name: string; text: string }>`
        select id, policy_type, ${sql.ref(name)} as name, cast(${sql.ref(column)} as text) as text
        from ${sql.table(table)} where cast(${sql.ref(column)} as text) like ${"%://%"} order by id`.execute(db);
      found.push(
        ...rows.map((row) => ({ table, column, id: row.id, name: `${row.policy_type} ${row.name}`, text: row.text })),
      );
    }
  }
  return found;
}

/** See StoreInspection.replaceText. */
export async function replaceText({ db, dialect }: Database, place: StoredText, text: string): Promise<void> {
  const { table, column, id } = place;
  const value = dialect === "postgres" && column !== "error_message" ? sql`cast(${text} as jsonb)` : sql`${text}`;
  const key = dialect === "postgres" ? sql`cast(${id} as uuid)` : sql`${id}`;
  await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${value} where id = ${key}`.execute(db);
}
