/**
 * What the stored log is made of, counted by the database from narrow columns: no trace is read back.
 *
 * @module
 */
import { type CompiledQuery, type Kysely, sql } from "kysely";
import type { Database } from "./database.ts";
import type { LogGroup } from "./records.ts";
import type { Tables } from "./tables.ts";

/** ln(2^-150): a smaller log probability is the probability 0 in float32. */
const ZERO_LOG_PROB = -150 * Math.LN2;

/** Groups of like traces; see RLCFPersistence.getLogGroups. */
export async function getLogGroups({ db, dialect }: Database, policyVersion?: string): Promise<LogGroup[]> {
  const { rows } = await db.executeQuery(logGroupsQuery(db, dialect, policyVersion));
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

/** A row of {@link logGroupsQuery}. */
interface GroupRow {
  readonly key: string;
  readonly traces: number;
  readonly certain: number;
  readonly min_log_prob: number | null;
}

/** The SQL of it. */
export function logGroupsQuery(
  db: Kysely<Tables>,
  dialect: Database["dialect"],
  policyVersion?: string,
): CompiledQuery<GroupRow> {
  const { experts, largest, array } = dialect === "sqlite" ? SQLITE : POSTGRES;
  const weightless = sql`case
    when log_kind = 'sampled' and gating_log_prob <= ${ZERO_LOG_PROB} then 1
    when log_kind = 'soft' and ${largest} = 0 then 1
    else 0 end`;
  // The size stands in the row's head (SQLite) or in its pointer (PostgreSQL): the bytes themselves stay unread.
  const bytes = sql`octet_length(query_embedding)`;
  return db.with(
    // SQLite groups by sorting, and would sort the embeddings along with what is computed from them, through a file as
    // large as all of them together. PostgreSQL counts in a hash table as it reads.
    (name) => dialect === "sqlite" ? name("keyed").materialized() : name("keyed"),
    (query) =>
      query.selectFrom("rlcf_traces")
        .select([
          // One text for all: six columns take longer to sort than to read.
          sql<string>`${array}(policy_version, log_kind, expert_type, ${bytes}, ${experts}, ${weightless})`.as("key"),
          "gating_log_prob",
        ])
        .$if(policyVersion !== undefined, (chosen) => chosen.where("policy_version", "=", policyVersion!)),
  )
    .selectFrom("keyed")
    .select((eb) => [
      "key",
      eb.fn.countAll<number>().as("traces"),
      sql<number>`sum(case when gating_log_prob >= -1e-6 then 1 else 0 end)`.as("certain"),
      eb.fn.min("gating_log_prob").as("min_log_prob"),
    ])
    .groupBy("key")
    .compile();
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
