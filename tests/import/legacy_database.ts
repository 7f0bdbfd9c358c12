/**
 * Databases of the original for tests, with its tables and column types on either database.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { sharedUrl } from "../support/shared.ts";

/** The columns of the original's tables with their types, as SQLAlchemy declares them. */
const TABLES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  rlcf_traces: {
    id: "VARCHAR(36) NOT NULL PRIMARY KEY",
    query_id: "VARCHAR(100) NOT NULL",
    query_text: "TEXT",
    policy_version: "VARCHAR(50)",
    expert_type: "VARCHAR(50)",
    actions_json: "JSON NOT NULL",
    total_log_prob: "FLOAT",
    num_actions: "INTEGER",
    metadata_json: "JSON",
    created_at: "DATETIME",
    has_feedback: "BOOLEAN",
  },
  rlcf_feedback: {
    id: "VARCHAR(36) NOT NULL PRIMARY KEY",
    // The original declares the foreign key and SQLite does not enforce it; orphans need a table without.
    trace_id: "VARCHAR(36) NOT NULL",
    user_id: "VARCHAR(100)",
    user_authority: "FLOAT",
    overall_score: "FLOAT",
    feedback_json: "JSON NOT NULL",
    created_at: "DATETIME",
    source: "VARCHAR(50)",
  },
  rlcf_policy_checkpoints: {
    id: "VARCHAR(36) NOT NULL PRIMARY KEY",
    version: "VARCHAR(50) NOT NULL",
    policy_type: "VARCHAR(50) NOT NULL",
    state_dict_path: "VARCHAR(500)",
    state_dict_json: "JSON",
    config_json: "JSON",
    training_session_id: "VARCHAR(36)",
    training_episodes: "INTEGER",
    training_metrics: "JSON",
    is_active: "BOOLEAN",
    created_at: "DATETIME",
    activated_at: "DATETIME",
  },
  rlcf_training_sessions: {
    id: "VARCHAR(36) NOT NULL PRIMARY KEY",
    started_at: "DATETIME",
    ended_at: "DATETIME",
    policy_type: "VARCHAR(50) NOT NULL",
    policy_version_from: "VARCHAR(50)",
    policy_version_to: "VARCHAR(50)",
    num_traces: "INTEGER",
    num_feedback: "INTEGER",
    trace_ids_json: "JSON",
    metrics_json: "JSON",
    config_json: "JSON",
    status: "VARCHAR(20)",
    error_message: "TEXT",
    created_at: "DATETIME",
  },
};
/** What the types are called on PostgreSQL. */
const ON_POSTGRES: Readonly<Record<string, string>> = { JSON: "JSONB", DATETIME: "TIMESTAMP WITHOUT TIME ZONE" };

/** Values of a row by column; those left out are NULL. */
export type LegacyValues = Readonly<Record<string, string | number | null>>;
/** Rows by table. */
export type LegacyContent = Readonly<Partial<Record<keyof typeof TABLES, readonly LegacyValues[]>>>;

/** Creates the original's tables in an empty database and fills them. */
export async function fillLegacy(
  { url, query }: { readonly url: string; query(text: string): Promise<unknown> },
  content: LegacyContent,
): Promise<void> {
  const isPostgres = url.startsWith("postgres");
  for (const [table, columns] of Object.entries(TABLES)) {
    const declared = Object.entries(columns).map(([name, type]) =>
      `${name} ${isPostgres ? type.replace(/^\w+/, (word) => ON_POSTGRES[word] ?? word) : type}`
    );
    await query(`CREATE TABLE ${table} (${declared.join(", ")})`);
    const names = Object.keys(columns);
    const literal = (name: string, value: string | number | null | undefined): string => {
      if (value === null || value === undefined) return "NULL";
      if (columns[name] === "BOOLEAN" && isPostgres) return value === 1 ? "true" : "false";
      return typeof value === "number" ? String(value) : `'${value.replaceAll("'", "''")}'`;
    };
    const rows = content[table] ?? [];
    for (let i = 0; i < rows.length; i += 200) {
      const values = rows.slice(i, i + 200).map((row) =>
        `(${names.map((name) => literal(name, row[name])).join(", ")})`
      );
      await query(`INSERT INTO ${table} (${names.join(", ")}) VALUES ${values.join(", ")}`);
    }
  }
}

/** The rows of the golden database. */
export function goldenRows(): LegacyContent {
  using database = new DatabaseSync(sharedUrl("golden/merlt_legacy.db").pathname, { readOnly: true });
  return Object.fromEntries(
    Object.keys(TABLES).map((table) => [table, database.prepare(`select * from ${table}`).all() as LegacyValues[]]),
  );
}

/** A UUID that says which row it is. */
export function idOf(kind: number, i: number): string {
  return `${String(kind).padStart(8, "0")}-0000-4000-8000-${String(i).padStart(12, "0")}`;
}

const EXPERTS = ["literal", "systemic", "principles", "precedent"];

/** Trace i, drawn by the gating policy, as the original stores it. */
export function legacyTrace(i: number, changes: LegacyValues = {}): LegacyValues {
  const actions = [{
    action_type: "expert_selection",
    parameters: { expert_type: EXPERTS[i % 4], weight: 0.25 },
    log_prob: -1.5,
    timestamp: "2025-12-01T09:00:00.000000",
    metadata: { source: "gating_policy", query_embedding: [0.5, i / 8] },
  }];
  return {
    id: idOf(1, i),
    query_id: `q${i}`,
    query_text: "Cos'è la legittima difesa?",
    policy_version: "v1.0.0",
    expert_type: EXPERTS[i % 4]!,
    actions_json: JSON.stringify(actions),
    total_log_prob: -1.5,
    num_actions: 1,
    metadata_json: "{}",
    created_at: "2025-12-01 08:00:00.123456",
    has_feedback: 1,
    ...changes,
  };
}

/** Feedback i on trace i, as the original stores it: every field, and its own score. */
export function legacyFeedback(i: number, changes: LegacyValues = {}): LegacyValues {
  const feedback = {
    query_id: `q${i}`,
    retrieval_feedback: { precision: 0.8, recall: 0.4, ranking_quality: 0.5, f1_score: 0.5333, metadata: {} },
    reasoning_feedback: null,
    synthesis_feedback: null,
    overall_rating: null,
    overall_score: 0.5333,
    timestamp: "2025-12-01T10:00:00",
    user_id: null,
    metadata: {},
  };
  return {
    id: idOf(2, i),
    trace_id: idOf(1, i),
    user_id: "user_1",
    user_authority: 0.8,
    overall_score: 0.5333333333333333,
    feedback_json: JSON.stringify(feedback),
    created_at: "2025-12-01 09:00:00.000000",
    source: "visualex",
    ...changes,
  };
}
