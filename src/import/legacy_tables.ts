/**
 * The tables of MERL-T, the Python original, as a query sees them on SQLite and on PostgreSQL: numbers, texts and null.
 * JSON is text, as Python wrote it; times are naive UTC. Every column may be null, whatever its declaration says, and
 * those that an older database does not have read as null.
 *
 * @module
 */

/** A value of the original's tables. */
export type LegacyValue = string | number | null;

/** The columns of each table that are read. */
export const LEGACY_COLUMNS = {
  rlcf_traces: [
    "id",
    "query_id",
    "query_text",
    "policy_version",
    "expert_type",
    "actions_json",
    "total_log_prob",
    "num_actions",
    "metadata_json",
    "created_at",
    "has_feedback",
  ],
  rlcf_feedback: [
    "id",
    "trace_id",
    "user_id",
    "user_authority",
    "overall_score",
    "feedback_json",
    "created_at",
    "source",
  ],
  rlcf_training_sessions: [
    "id",
    "started_at",
    "ended_at",
    "policy_type",
    "policy_version_from",
    "policy_version_to",
    "num_traces",
    "num_feedback",
    "trace_ids_json",
    "metrics_json",
    "config_json",
    "status",
    "error_message",
    "created_at",
  ],
  rlcf_policy_checkpoints: [
    "id",
    "version",
    "policy_type",
    "state_dict_path",
    "config_json",
    "training_session_id",
    "training_episodes",
    "training_metrics",
    "is_active",
    "created_at",
    "activated_at",
  ],
} as const;

/** A table of the original. */
export type LegacyTable = keyof typeof LEGACY_COLUMNS;

/** A row of a table of the original. */
export type LegacyRow<T extends LegacyTable> = { readonly [C in (typeof LEGACY_COLUMNS)[T][number]]: LegacyValue };

/** The tables as Kysely takes them. */
export type LegacyTables = { [T in LegacyTable]: LegacyRow<T> };

/** Without these columns a database is not the original's; sessions and checkpoints may be missing as a whole. */
export const LEGACY_REQUIRED: Readonly<Record<"rlcf_traces" | "rlcf_feedback", readonly string[]>> = {
  rlcf_traces: ["id", "query_id", "actions_json"],
  rlcf_feedback: ["id", "trace_id", "feedback_json"],
};
