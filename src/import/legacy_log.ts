/**
 * Traces and feedback of the original as records of the store: ids, dates, scores and versions stay what they were.
 * Pure functions; each throws Unusable for a row that cannot be used, and names what it put right in one that can.
 *
 * @module
 */
import { describe, expectTimestamp, type JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { LEVELS } from "../feedback/levels.ts";
import { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ImportedFeedback, ImportedTrace } from "../store/persistence.ts";
import { feedbackRow } from "../store/feedback_rows.ts";
import { traceRow } from "../store/trace_rows.ts";
import { uuidOrUndefined } from "../store/values.ts";
import { ExecutionTrace } from "../trace/execution_trace.ts";
import { readPythonJson } from "./legacy_json.ts";
import { type Repair, unusable } from "./legacy_reasons.ts";
import type { LegacyRow, LegacyValue } from "./legacy_tables.ts";

/** A record and what was put right in it. */
export interface Mapped<T> {
  /** The record. */
  readonly record: T;
  /** What was put right; each at most once. */
  readonly repairs: readonly Repair[];
}

/** The authority of a user of whom nothing is stored, in the original as here. */
const DEFAULT_AUTHORITY = 0.5;
/** `ln(w + 1e-8)` of a weight of 1 is 1e-8; float32 adds its own rounding. */
const LOG_PROB_SLACK = 1e-6;
/** Totals are sums of up to some dozens of numbers, added one after another. */
const TOTAL_SLACK = 1e-6;

/**
 * A row of `rlcf_traces`.
 *
 * @param hasFeedback whether there is feedback on it
 */
export function traceOf(row: LegacyRow<"rlcf_traces">, hasFeedback: boolean): Mapped<ImportedTrace> {
  const repairs: Repair[] = [];
  const id = idOf(row.id, "id");
  const actions = readPythonJson(row.actions_json, "actions_json");
  const metadata = readPythonJson(row.metadata_json, "metadata_json");
  if (actions.notFinite + metadata.notFinite > 0) {
    unusable("not_finite", `actions_json or metadata_json holds NaN or infinity, wanted finite numbers`);
  }
  if (!Array.isArray(actions.value)) {
    unusable("bad_record", `actions_json: found ${describe(actions.value)}, wanted an array`);
  }
  const rounded = (actions.value as unknown[]).map((action) => withRoundedLogProb(action, repairs));
  const record = checked(() => {
    const trace = ExecutionTrace.fromJSON({
      query_id: row.query_id,
      actions: rounded,
      metadata: metadata.value,
      created_at: dateOf(row.created_at, (rounded[0] as JsonObject | undefined)?.timestamp, repairs),
    });
    const context = {
      id,
      policyVersion: textOrNull(row.policy_version),
      queryText: textOrNull(row.query_text),
      expertType: textOrNull(row.expert_type),
    };
    // Says now what storing would refuse, when it is known which row it is.
    traceRow(trace, context);
    return { trace, context };
  });
  const { trace } = record;
  const total = numberOrNull(row.total_log_prob, "total_log_prob");
  const isTotalRight = total !== null && Math.abs(total - trace.totalLogProb) <= TOTAL_SLACK * (1 + Math.abs(total));
  if (!isTotalRight || row.num_actions !== trace.numActions) repairs.push("totals_recomputed");
  if ((row.has_feedback === 1) !== hasFeedback) repairs.push("has_feedback_corrected");
  return { record, repairs: [...new Set(repairs)] };
}

/**
 * A row of `rlcf_feedback`.
 *
 * @param queryId the query of its trace
 */
export function feedbackOf(row: LegacyRow<"rlcf_feedback">, queryId: string): Mapped<ImportedFeedback> {
  const repairs: Repair[] = [];
  const id = idOf(row.id, "id");
  const traceId = idOf(row.trace_id, "trace_id");
  const { value, notFinite } = readPythonJson(row.feedback_json, "feedback_json");
  if (notFinite > 0) unusable("not_finite", "feedback_json holds NaN or infinity, wanted finite numbers");
  const json = checked(() => objectOf(value, "feedback_json"));
  const given = json.query_id ?? queryId;
  if (given !== queryId) {
    unusable(
      "other_query",
      `feedback_json.query_id: found ${describe(given)}, wanted its trace's, ${describe(queryId)}`,
    );
  }
  const createdAt = dateOf(row.created_at, json.timestamp, repairs);
  const feedback = checked(() => MultilevelFeedback.fromJSON({ timestamp: createdAt, ...json, query_id: queryId }));
  if (feedback.overallRating === null && LEVELS.every((level) => feedback.levelScore(level) === undefined)) {
    unusable("nothing_given", "feedback_json: found no number on any level, wanted at least one");
  }
  const authority = numberOrNull(row.user_authority, "user_authority");
  if (authority === null) repairs.push("default_authority");
  const stored = numberOrNull(row.overall_score, "overall_score");
  if (stored === null) repairs.push("score_recomputed");
  const score = within(stored ?? feedback.overallScore({ scoring: "merlt" }), "overall_score");
  const context = {
    id,
    userId: textOrNull(row.user_id),
    userAuthority: within(authority ?? DEFAULT_AUTHORITY, "user_authority"),
    source: textOrNull(row.source),
  };
  checked(() => feedbackRow(traceId, queryId, feedback, context, score));
  return { record: { traceId, feedback, context, score, createdAt }, repairs };
}

/** The id in lower case. */
export function idOf(value: LegacyValue, column: string): string {
  const uuid = typeof value === "string" ? uuidOrUndefined(value) : undefined;
  return uuid ?? unusable("bad_id", `${column}: found ${describe(value)}, wanted a UUID`);
}

/** The row's own date, else another, ISO 8601 in UTC. */
export function dateOf(column: LegacyValue, other: unknown, repairs: Repair[]): string {
  for (const [value, isOwn] of [[column, true], [other, false]] as const) {
    try {
      const date = expectTimestamp(value, "created_at");
      if (!isOwn) repairs.push("date_from_json");
      return date;
    } catch (thrown) {
      if (!(thrown instanceof RlcfError)) throw thrown;
    }
  }
  return unusable("no_date", `created_at: found ${describe(column)}, wanted a date, here or in the JSON`);
}

/** A text, or null where it is null or empty. */
export function textOrNull(value: LegacyValue): string | null {
  return value === null || value === "" ? null : String(value);
}

/** A finite number or null. PostgreSQL stores NaN in a float; SQLite stores NULL. */
export function numberOrNull(value: LegacyValue, column: string): number | null {
  if (value === null || Number.isNaN(value)) return null;
  if (typeof value !== "number" || !Number.isFinite(value)) {
    return unusable("not_finite", `${column}: found ${describe(value)}, wanted a finite number`);
  }
  return value;
}

/** The value as an object; an RlcfError otherwise. */
export function objectOf(value: unknown, column: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  return unusable("bad_record", `${column}: found ${describe(value)}, wanted an object`);
}

function within(value: number, column: string): number {
  if (value >= 0 && value <= 1) return value;
  return unusable("out_of_range", `${column}: found ${value}, wanted a number from 0 to 1`);
}

/** The action with a log probability that is above 0 by rounding alone set to 0. */
function withRoundedLogProb(action: unknown, repairs: Repair[]): unknown {
  if (typeof action !== "object" || action === null || !("log_prob" in action)) return action;
  const logProb = action.log_prob;
  if (typeof logProb !== "number" || !(logProb > 0)) return action;
  if (logProb > LOG_PROB_SLACK) unusable("positive_log_prob", `log_prob: found ${logProb}, wanted at most 0`);
  repairs.push("log_prob_rounded_to_0");
  return { ...action, log_prob: 0 };
}

/** Runs the checks of our own records; what they refuse is a bad record, or a number out of its range. */
function checked<T>(read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof RlcfError)) throw thrown;
    const reason = /wanted a (?:finite )?number (?:from|of at)/.test(thrown.message) ? "out_of_range" : "bad_record";
    return unusable(reason, thrown.message);
  }
}
