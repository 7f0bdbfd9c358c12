/**
 * The schema, written once for both databases. A migration that was released is never changed; a new one is added
 * with the next number.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";
import type { Tables } from "./tables.ts";

/** What a kind of column is called on a database. */
interface ColumnTypes {
  readonly uuid: string;
  readonly text: (maxLength: number) => string;
  readonly json: string;
  readonly time: string;
  readonly float: string;
  readonly integer: string;
  readonly count: string;
  readonly flag: string;
  readonly bytes: string;
  /** Key that the database counts up by itself. */
  readonly sequence: string;
  /** What stands behind a table's columns. */
  readonly options: string;
}

const TYPES: Readonly<Record<"sqlite" | "postgres", ColumnTypes>> = {
  sqlite: {
    uuid: "text",
    text: () => "text",
    json: "text",
    time: "text",
    float: "real",
    integer: "integer",
    count: "integer",
    flag: "integer",
    bytes: "blob",
    sequence: "integer primary key autoincrement",
    options: "strict",
  },
  postgres: {
    uuid: "uuid",
    text: (maxLength) => `varchar(${maxLength})`,
    json: "jsonb",
    time: "timestamptz",
    float: "double precision",
    integer: "integer",
    count: "bigint",
    flag: "boolean",
    bytes: "bytea",
    sequence: "bigint generated always as identity primary key",
    options: "",
  },
};

/** The names of the migrations in the order in which they run. */
export const MIGRATION_NAMES = ["0001_initial", "0002_react_steps", "0003_session_jobs"] as const;

/** The migrations for a database. */
export function migrationsFor(
  dialect: "sqlite" | "postgres",
): Record<(typeof MIGRATION_NAMES)[number], Migration> {
  const types = TYPES[dialect];
  return {
    "0001_initial": { up: (db: Kysely<Tables>) => run(db, initialSchema(types)) },
    "0002_react_steps": { up: (db: Kysely<Tables>) => run(db, reactSteps(types)) },
    "0003_session_jobs": { up: (db: Kysely<Tables>) => run(db, sessionJobs(types)) },
  };
}

async function run(db: Kysely<Tables>, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

function initialSchema(t: ColumnTypes): string[] {
  const flag = (name: string): string => `${name} ${t.flag} not null${t.flag === "integer" ? zeroOrOne(name) : ""}`;
  const score = (name: string): string => `${name} ${t.float} check (${name} between 0 and 1)`;
  return [
    `create table rlcf_traces (
      id ${t.uuid} not null primary key,
      query_id ${t.text(255)} not null,
      query_text text,
      policy_version ${t.text(50)},
      expert_type ${t.text(255)},
      actions ${t.json} not null,
      num_actions ${t.integer} not null check (num_actions >= 0),
      total_log_prob ${t.float} not null check (total_log_prob <= 0),
      metadata ${t.json} not null,
      reward ${t.float},
      log_kind ${t.text(10)} not null check (log_kind in ('sampled', 'soft', 'none')),
      gating_weights ${t.json} not null,
      gating_log_prob ${t.float} check (gating_log_prob <= 0),
      query_embedding ${t.bytes},
      ${flag("has_feedback")},
      created_at ${t.time} not null
    ) ${t.options}`,
    // For the lists of newest traces, for the waiting ones, and for statistics that never touch the wide rows.
    `create index rlcf_traces_by_time on rlcf_traces (created_at, id)`,
    `create index rlcf_traces_waiting on rlcf_traces (has_feedback, created_at, id)`,
    `create index rlcf_traces_statistics on rlcf_traces (policy_version, log_kind, has_feedback)`,
    `create index rlcf_traces_by_query on rlcf_traces (query_id)`,
    `create table rlcf_feedback (
      id ${t.uuid} not null primary key,
      trace_id ${t.uuid} not null references rlcf_traces (id),
      user_id ${t.text(255)},
      ${score("user_authority")} not null,
      source ${t.text(255)},
      ${score("retrieval_precision")},
      ${score("retrieval_recall")},
      ${score("retrieval_ranking")},
      ${score("reasoning_coherence")},
      ${score("reasoning_soundness")},
      ${score("reasoning_citation")},
      ${score("synthesis_clarity")},
      ${score("synthesis_completeness")},
      ${score("synthesis_usefulness")},
      ${score("retrieval_score")},
      ${score("reasoning_score")},
      ${score("synthesis_score")},
      ${score("overall_score")} not null,
      feedback ${t.json} not null,
      created_at ${t.time} not null
    ) ${t.options}`,
    // For the pages that training reads, and for a trace's feedback and the mean score without the wide rows.
    `create index rlcf_feedback_by_time on rlcf_feedback (created_at, id)`,
    `create index rlcf_feedback_by_trace on rlcf_feedback (trace_id, overall_score)`,
    `create table training_sessions (
      id ${t.uuid} not null primary key,
      policy_type ${t.text(50)} not null,
      status ${t.text(20)} not null check (status in ('running', 'completed', 'failed', 'interrupted')),
      policy_version_from ${t.text(50)},
      policy_version_to ${t.text(50)},
      num_traces ${t.integer} not null check (num_traces >= 0),
      num_feedback ${t.integer} not null check (num_feedback >= 0),
      metrics ${t.json} not null,
      config ${t.json} not null,
      host ${t.text(255)},
      process_id ${t.integer},
      error_message text,
      started_at ${t.time} not null,
      ended_at ${t.time},
      check ((status = 'running') = (ended_at is null))
    ) ${t.options}`,
    `create index training_sessions_by_time on training_sessions (started_at, id)`,
    `create table policy_checkpoints (
      id ${t.uuid} not null primary key,
      version ${t.text(50)} not null,
      policy_type ${t.text(50)} not null,
      parent_version ${t.text(50)},
      state_dict_path ${t.text(500)},
      manifest_sha256 ${t.text(64)},
      config ${t.json} not null,
      training_metrics ${t.json} not null,
      bench ${t.json},
      training_session_id ${t.uuid} references training_sessions (id),
      training_episodes ${t.integer} not null check (training_episodes >= 0),
      tag ${t.text(255)},
      ${flag("is_active")},
      created_at ${t.time} not null,
      activated_at ${t.time},
      unique (policy_type, version)
    ) ${t.options}`,
    `create unique index policy_checkpoints_one_active on policy_checkpoints (policy_type) where is_active`,
    `create table policy_activations (
      sequence ${t.sequence},
      policy_type ${t.text(50)} not null,
      from_version ${t.text(50)},
      to_version ${t.text(50)} not null,
      activated_at ${t.time} not null,
      activated_by ${t.text(255)} not null,
      reason text not null
    ) ${t.options}`,
    `create index policy_activations_by_type on policy_activations (policy_type, sequence)`,
    `create table training_leases (
      policy_type ${t.text(50)} not null primary key,
      host ${t.text(255)} not null,
      process_id ${t.integer} not null,
      token ${t.count} not null,
      acquired_at ${t.time} not null,
      renewed_at ${t.time} not null,
      expires_at ${t.time} not null
    ) ${t.options}`,
  ];
}

function reactSteps(t: ColumnTypes): string[] {
  return [
    `alter table rlcf_traces add column react_steps ${t.json}`,
    `alter table rlcf_traces add column react_states ${t.bytes}`,
  ];
}

function sessionJobs(t: ColumnTypes): string[] {
  return [
    `alter table training_sessions add column job_id ${t.uuid}`,
    `create index training_sessions_by_job on training_sessions (job_id)`,
    // Whatever queues and workers do: a job has one result.
    `create unique index training_sessions_one_result on training_sessions (job_id) where status = 'completed'`,
  ];
}

function zeroOrOne(name: string): string {
  return ` check (${name} in (0, 1))`;
}
