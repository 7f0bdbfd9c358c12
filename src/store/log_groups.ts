/**
 * What the stored log is made of, counted by the database from narrow columns: no trace is read back.
 *
 * @module
 */
import { sql } from "kysely";
import type { Database } from "./database.ts";
import type { LogGroup } from "./records.ts";

/** ln(2^-150): a smaller log probability is the probability 0 in float32. */
const ZERO_LOG_PROB = -150 * Math.LN2;

/** Groups of like traces; see RLCFPersistence.getLogGroups. */
export async function getLogGroups({ db, dialect }: Database, policyVersion?: string): Promise<LogGroup[]> {
  const { experts, largest } = dialect === "sqlite" ? SQLITE : POSTGRES;
  const groups = db.selectFrom("rlcf_traces")
    .select([
      "policy_version",
      "log_kind",
      "expert_type",
      "gating_log_prob",
      // The size stands in the row's head (SQLite) or in its pointer (PostgreSQL): the bytes themselves stay unread.
      sql<number | null>`octet_length(query_embedding)`.as("embedding_bytes"),
      experts.as("experts"),
      sql<number>`case
        when log_kind = 'sampled' and gating_log_prob <= ${ZERO_LOG_PROB} then 1
        when log_kind = 'soft' and ${largest} = 0 then 1
        else 0 end`.as("weightless"),
    ])
    .$if(policyVersion !== undefined, (query) => query.where("policy_version", "=", policyVersion!));
  const rows = await db.selectFrom(groups.as("g"))
    .select((eb) => [
      "policy_version",
      "log_kind",
      "expert_type",
      "embedding_bytes",
      "experts",
      "weightless",
      eb.fn.countAll<number>().as("traces"),
      sql<number>`sum(case when gating_log_prob >= -1e-6 then 1 else 0 end)`.as("certain"),
      eb.fn.min("gating_log_prob").as("min_log_prob"),
    ])
    .groupBy(["policy_version", "log_kind", "expert_type", "embedding_bytes", "experts", "weightless"])
    .execute();
  return rows.map((row) => ({
    policyVersion: row.policy_version,
    logKind: row.log_kind,
    expertType: row.expert_type,
    embeddingLength: row.embedding_bytes === null ? null : row.embedding_bytes / 4,
    traces: row.traces,
    certain: row.certain,
    minLogProb: row.min_log_prob,
    experts: JSON.parse(row.experts) as string[],
    weightless: row.weightless === 1,
  }));
}

/** The names and the largest of `gating_weights`. Not their sum, which may overflow; none is negative. */
const SQLITE = {
  experts: sql<string>`(select json_group_array(key) from (select key from json_each(gating_weights) order by key))`,
  largest: sql`(select coalesce(max(value), 0) from json_each(gating_weights))`,
};
const POSTGRES = {
  experts: sql<string>`(select coalesce(json_agg(key order by key collate "C"), '[]')::text
    from jsonb_object_keys(gating_weights) as key)`,
  largest: sql`(select coalesce(max(value::float8), 0) from jsonb_each_text(gating_weights))`,
};
