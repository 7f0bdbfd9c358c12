/**
 * The tables as Kysely sees them. Both databases speak one row language, so that every query is written once: times
 * are ISO 8601 texts in UTC, JSON is text, truth is 0 or 1, bytes are a `Uint8Array`, counts are numbers. What the
 * columns are called and typed in SQL stands in `migrations.ts`; how PostgreSQL's types become this language, in
 * `postgres/types.ts`.
 *
 * @module
 */
import type { Generated } from "kysely";
import type { LogKind } from "../trace/gating_decision.ts";
import type { SessionStatus } from "./records.ts";

/** 0 or 1; a `boolean` on PostgreSQL. */
export type Flag = 0 | 1;

/** An answered query. */
export interface TraceTable {
  id: string;
  query_id: string;
  query_text: string | null;
  policy_version: string | null;
  expert_type: string | null;
  /** JSON array; embeddings equal to `query_embedding` are replaced by a marker, see `trace_rows.ts`. */
  actions: string;
  num_actions: number;
  total_log_prob: number;
  metadata: string;
  reward: number | null;
  log_kind: LogKind;
  /** JSON object: expert to logged weight. */
  gating_weights: string;
  gating_log_prob: number | null;
  /** Little-endian float32. */
  query_embedding: Uint8Array | null;
  /** JSON array: action, log_prob, value, reward and done of each ReAct step; null where there is none. */
  react_steps: string | null;
  /** [steps, stateDim] little-endian float32; null where the steps have no states of one length. */
  react_states: Uint8Array | null;
  has_feedback: Flag;
  created_at: string;
}

/** One person's judgement of one answer. */
export interface FeedbackTable {
  id: string;
  trace_id: string;
  user_id: string | null;
  user_authority: number;
  source: string | null;
  retrieval_precision: number | null;
  retrieval_recall: number | null;
  retrieval_ranking: number | null;
  reasoning_coherence: number | null;
  reasoning_soundness: number | null;
  reasoning_citation: number | null;
  synthesis_clarity: number | null;
  synthesis_completeness: number | null;
  synthesis_usefulness: number | null;
  /** Mean of the numbers given on the level. */
  retrieval_score: number | null;
  /** Mean of the numbers given on the level. */
  reasoning_score: number | null;
  /** Mean of the numbers given on the level. */
  synthesis_score: number | null;
  overall_score: number;
  /** The whole feedback as JSON. */
  feedback: string;
  created_at: string;
}

/** A version of a policy. */
export interface CheckpointTable {
  id: string;
  version: string;
  policy_type: string;
  parent_version: string | null;
  state_dict_path: string | null;
  manifest_sha256: string | null;
  config: string;
  training_metrics: string;
  /** The latest benchmark's result; JSON. */
  bench: string | null;
  training_session_id: string | null;
  training_episodes: number;
  tag: string | null;
  is_active: Flag;
  created_at: string;
  activated_at: string | null;
}

/** One entry of the history of activations; rows are only ever added. */
export interface ActivationTable {
  sequence: Generated<number>;
  policy_type: string;
  from_version: string | null;
  to_version: string;
  activated_at: string;
  activated_by: string;
  reason: string;
}

/** A run of the trainer. */
export interface SessionTable {
  id: string;
  policy_type: string;
  status: SessionStatus;
  policy_version_from: string | null;
  policy_version_to: string | null;
  /** The job of the queue that asked for it; null where a person did. */
  job_id: string | null;
  num_traces: number;
  num_feedback: number;
  metrics: string;
  config: string;
  host: string | null;
  process_id: number | null;
  error_message: string | null;
  started_at: string;
  ended_at: string | null;
}

/** Who may train a policy type; one row per type that was ever trained. */
export interface LeaseTable {
  policy_type: string;
  host: string;
  process_id: number;
  token: number;
  acquired_at: string;
  renewed_at: string;
  expires_at: string;
}

/** All tables. */
export interface Tables {
  rlcf_traces: TraceTable;
  rlcf_feedback: FeedbackTable;
  policy_checkpoints: CheckpointTable;
  policy_activations: ActivationTable;
  training_sessions: SessionTable;
  training_leases: LeaseTable;
}
