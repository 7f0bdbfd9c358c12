/**
 * What a user of PostgreSQL must be allowed, and what of it is missing.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../tables.ts";
import { isPrivilegeMissing } from "./errors.ts";

/**
 * All that a user who does not own the tables needs for every command. The history of activations can only be added to,
 * and of a stored trace only the mark that it has feedback can be changed.
 */
export const RUNTIME_PRIVILEGES: readonly (readonly [table: string, ...privileges: string[]])[] = [
  ["rlcf_migration", "select"],
  ["rlcf_traces", "select", "insert", "update (has_feedback)"],
  ["rlcf_feedback", "select", "insert"],
  ["policy_checkpoints", "select", "insert", "update", "delete"],
  ["policy_activations", "select", "insert"],
  ["training_sessions", "select", "insert", "update"],
  ["training_leases", "select", "insert", "update"],
];

const BY_OWNER = "let the owner of the tables run a command of this rlcf once, e.g. rlcf stats.";

/**
 * What to do where a privilege is missing: the grants that the current user lacks, as SQL for the owner of the tables.
 * Undefined where the error is about something else.
 */
export async function missingPrivileges(db: Kysely<Tables>, error: unknown): Promise<string | undefined> {
  if (!isPrivilegeMissing(error)) return undefined;
  try {
    const asked = RUNTIME_PRIVILEGES.flatMap(([table, ...privileges]) =>
      privileges.map((privilege) => ({ table, privilege }))
    );
    const { rows: [row] } = await sql<Record<string, string | number | null>>`select quote_ident(current_user) as me, ${
      sql.join(asked.map(({ table, privilege }, i) => sql`${has(table, privilege)} as ${sql.ref(`p${i}`)}`))
    }`.execute(db);
    const missing = asked.filter((_, i) => row![`p${i}`] === 0);
    if (asked.every((_, i) => row![`p${i}`] === null)) {
      return `This user sees no tables of rlcf and may not create them: ${BY_OWNER} If they are there already: ` +
        `grant usage on schema public to ${row!.me};`;
    }
    if (missing.length === 0) return `If the tables are those of an older rlcf: ${BY_OWNER}`;
    const grants = RUNTIME_PRIVILEGES.map(([table]) => ({
      table,
      privileges: missing.filter((lacked) => lacked.table === table).map(({ privilege }) => privilege),
    })).filter(({ privileges }) => privileges.length > 0);
    const text = grants.map(({ table, privileges }) => `grant ${privileges.join(", ")} on ${table} to ${row!.me};`);
    return `What this user lacks, for the owner of the tables to run: ${text.join(" ")}`;
  } catch {
    // The first error is the one to tell.
    return undefined;
  }
}

/** SQL that is true, false, or null where there is no such table. */
function has(table: string, privilege: string): ReturnType<typeof sql<string>> {
  const column = /^update \((\w+)\)$/.exec(privilege)?.[1];
  return column === undefined
    ? sql<string>`has_table_privilege(to_regclass(${table}), ${privilege})`
    : sql<string>`case when to_regclass(${table}) is not null then
        has_column_privilege(to_regclass(${table}), ${column}, 'update') end`;
}
