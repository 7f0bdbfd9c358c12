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
  const { experts, largest, array } = dialect === "sqlite" ? SQLITE : POSTGRES;
  const weightless = sql`case
    when log_kind = 'sampled' and gating_log_prob <= ${ZERO_LOG_PROB} then 1
    when log_kind = 'soft' and ${largest} = 0 then 1
    else 0 end`;
  // The size stands in the row's head (SQLite) or in its pointer (PostgreSQL): the bytes themselves stay unread.
  const bytes = sql`octet_length(query_embedding)`;
  const keyed = db.selectFrom("rlcf_traces")
    .select([
      // One text for all: SQLite groups by sorting, which by six columns takes longer than reading them.
      sql<string>`${array}(policy_version, log_kind, expert_type, ${bytes}, ${experts}, ${weightless})`.as("key"),
      "gating_log_prob",
    ])
    .$if(policyVersion !== undefined, (query) => query.where("policy_version", "=", policyVersion!));
  const rows = await db.selectFrom(keyed.as("k"))
    .select((eb) => [
      "key",
      eb.fn.countAll<number>().as("traces"),
      sql<number>`sum(case when gating_log_prob >= -1e-6 then 1 else 0 end)`.as("certain"),
      eb.fn.min("gating_log_prob").as("min_log_prob"),
    ])
    .groupBy("key")
    .execute();
  return rows.map((row) => {
    const [version, logKind, expertType, embeddingBytes, names, isWeightless] = JSON.parse(row.key) as Key;
    return {
      policyVersion: version,
      logKind,
      expertType,
      embeddingLength: embeddingBytes === null ? null : embeddingBytes / 4,
      traces: row.traces,
      certain: row.certain,
      minLogProb: row.min_log_prob,
      experts: names,
      weightless: isWeightless === 1,
    };
  });
}

/** What the traces of a group have in common, as the database writes it. */
type Key = readonly [
  policyVersion: string | null,
  logKind: LogGroup["logKind"],
  expertType: string | null,
  embeddingBytes: number | null,
  experts: readonly string[],
  weightless: 0 | 1,
];

/**
 * A JSON array of what it is given, and the names and the largest of `gating_weights`. Not their sum, which may
 * overflow; none is negative.
 */
const SQLITE = {
  array: sql.raw("json_array"),
  experts: sql<string>`(select json_group_array(key) from (select key from json_each(gating_weights) order by key))`,
  largest: sql`(select coalesce(max(value), 0) from json_each(gating_weights))`,
};
const POSTGRES = {
  array: sql.raw("jsonb_build_array"),
  experts: sql<string>`(select coalesce(jsonb_agg(key order by key collate "C"), '[]')
    from jsonb_object_keys(gating_weights) as key)`,
  largest: sql`(select coalesce(max(value::float8), 0) from jsonb_each_text(gating_weights))`,
};
