/**
 * What the stored log is made of, counted by the database from narrow columns: no trace is read back.
 *
 * @module
 */
import { sql } from "kysely";
import type { Database } from "./database.ts";
import type { LogGroup } from "./records.ts";

/** Groups of like traces; see RLCFPersistence.getLogGroups. */
export async function getLogGroups({ db }: Database, policyVersion?: string): Promise<LogGroup[]> {
  const rows = await db.selectFrom("rlcf_traces")
    .select((eb) => [
      "policy_version",
      "log_kind",
      "expert_type",
      // The size stands in the row's head (SQLite) or in its pointer (PostgreSQL): the bytes themselves stay unread.
      sql<number | null>`octet_length(query_embedding)`.as("embedding_bytes"),
      eb.fn.countAll<number>().as("traces"),
      sql<number>`sum(case when gating_log_prob >= -1e-6 then 1 else 0 end)`.as("certain"),
      eb.fn.min("gating_log_prob").as("min_log_prob"),
    ])
    .$if(policyVersion !== undefined, (query) => query.where("policy_version", "=", policyVersion!))
    .groupBy(["policy_version", "log_kind", "expert_type", sql`octet_length(query_embedding)`])
    .execute();
  return rows.map((row) => ({
    policyVersion: row.policy_version,
    logKind: row.log_kind,
    expertType: row.expert_type,
    embeddingLength: row.embedding_bytes === null ? null : row.embedding_bytes / 4,
    traces: row.traces,
    certain: row.certain,
    minLogProb: row.min_log_prob,
  }));
}
