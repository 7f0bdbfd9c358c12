/**
 * Training sessions and versions of the original as records of the store. Pure functions; see `legacy_log.ts`.
 *
 * A version comes without its weights, which the original keeps in a file of its own (`rlcf import --checkpoint`), and
 * is therefore never active. Nothing says what it was trained from: the original stores its command line's filter there.
 *
 * @module
 */
import { describe, type JsonObject } from "../base/check.ts";
import type { PolicyCheckpoint, SessionStatus, TrainingSession } from "../store/persistence.ts";
import { readPythonJson } from "./legacy_json.ts";
import { dateOf, idOf, type Mapped, numberOrNull, objectOf, textOrNull } from "./legacy_log.ts";
import { type Repair, unusable } from "./legacy_reasons.ts";
import type { LegacyRow, LegacyValue } from "./legacy_tables.ts";

const CLOSED: readonly SessionStatus[] = ["completed", "failed", "interrupted"];
/** Largest count of our columns. */
const MAX_COUNT = 2 ** 31 - 1;

/** A row of `rlcf_training_sessions`. Its list of trace ids goes into the metrics. */
export function sessionOf(row: LegacyRow<"rlcf_training_sessions">): Mapped<TrainingSession> {
  const repairs: Repair[] = [];
  const startedAt = dateOf(row.started_at, row.created_at, repairs);
  const traceIds = jsonOf(row.trace_ids_json, "trace_ids_json", repairs);
  const isOpen = row.status === "running" || row.status === null;
  if (!isOpen && !CLOSED.includes(row.status as SessionStatus)) {
    unusable("bad_record", `status: found ${describe(row.status)}, wanted running, completed or failed`);
  }
  const endedAt = row.ended_at === null ? null : dateOf(row.ended_at, null, repairs);
  if (isOpen || endedAt === null) repairs.push("session_closed");
  return mapped(repairs, {
    id: idOf(row.id, "id"),
    policyType: nameOf(row.policy_type, "policy_type"),
    status: isOpen ? "interrupted" : row.status as SessionStatus,
    policyVersionFrom: textOrNull(row.policy_version_from),
    policyVersionTo: textOrNull(row.policy_version_to),
    numTraces: countOf(row.num_traces, "num_traces"),
    numFeedback: countOf(row.num_feedback, "num_feedback"),
    metrics: {
      ...jsonObjectOf(row.metrics_json, "metrics_json", repairs),
      ...(traceIds === null ? {} : { trace_ids: traceIds }),
    },
    config: jsonObjectOf(row.config_json, "config_json", repairs),
    host: null,
    processId: null,
    errorMessage: textOrNull(row.error_message) ?? (isOpen ? "never closed by the original" : null),
    startedAt,
    endedAt: endedAt ?? startedAt,
  });
}

/**
 * A row of `rlcf_policy_checkpoints`. Where its file was goes into the metrics.
 *
 * @param sessions the ids of the sessions that are stored
 */
export function checkpointOf(
  row: LegacyRow<"rlcf_policy_checkpoints">,
  sessions: ReadonlySet<string>,
): Mapped<PolicyCheckpoint> {
  const repairs: Repair[] = [];
  const session = textOrNull(row.training_session_id)?.toLowerCase() ?? null;
  if (session !== null && !sessions.has(session)) repairs.push("unknown_session_dropped");
  return mapped(repairs, {
    id: idOf(row.id, "id"),
    version: nameOf(row.version, "version"),
    policyType: nameOf(row.policy_type, "policy_type"),
    parentVersion: null,
    stateDictPath: null,
    manifestSha256: null,
    config: jsonObjectOf(row.config_json, "config_json", repairs),
    trainingMetrics: {
      ...jsonObjectOf(row.training_metrics, "training_metrics", repairs),
      imported_from: { state_dict_path: textOrNull(row.state_dict_path), was_active: row.is_active === 1 },
    },
    bench: null,
    trainingSessionId: session !== null && sessions.has(session) ? session : null,
    trainingEpisodes: countOf(row.training_episodes, "training_episodes"),
    tag: null,
    isActive: false,
    createdAt: dateOf(row.created_at, null, repairs),
    activatedAt: row.activated_at === null ? null : dateOf(row.activated_at, null, repairs),
  });
}

function mapped<T>(repairs: readonly Repair[], record: T): Mapped<T> {
  return { record, repairs: [...new Set(repairs)] };
}

function nameOf(value: LegacyValue, column: string): string {
  const text = textOrNull(value);
  if (text !== null && text.length <= 50 && !text.includes("\0")) return text;
  return unusable("bad_record", `${column}: found ${describe(value)}, wanted a text of 1 to 50 characters`);
}

function countOf(value: LegacyValue, column: string): number {
  const count = numberOrNull(value, column) ?? 0;
  if (Number.isInteger(count) && count >= 0 && count <= MAX_COUNT) return count;
  return unusable("bad_record", `${column}: found ${count}, wanted a whole number from 0`);
}

/** JSON in which NaN and infinities are null: they describe what was measured, and nothing is computed from them. */
function jsonOf(text: LegacyValue, column: string, repairs: Repair[]): unknown {
  const { value, notFinite } = readPythonJson(text, column);
  if (notFinite > 0) repairs.push("not_finite_to_null");
  return value;
}

function jsonObjectOf(text: LegacyValue, column: string, repairs: Repair[]): JsonObject {
  const value = jsonOf(text, column, repairs);
  return value === null ? {} : objectOf(value, column);
}
