/**
 * One line of a log as a record of the store: `{trace, feedback?, user_id?, user_authority?, policy_version?,
 * query_text?, source?}`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { expectNumber, expectObject, expectText, type JsonObject, unwanted } from "../base/check.ts";
import { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import { ExecutionTrace } from "../trace/execution_trace.ts";
import { feedbackRow } from "./feedback_rows.ts";
import type { IngestRecord } from "./persistence.ts";
import { traceRow } from "./trace_rows.ts";

const FIELDS: readonly string[] = [
  "trace",
  "feedback",
  "user_id",
  "user_authority",
  "policy_version",
  "query_text",
  "source",
];

/** Deepest nesting of a record: what metadata may hold, and the levels around them. */
const MAX_DEPTH = 72;

/**
 * Reads a record and checks all of it, also whether the database can hold it: one bad line must not take the batch with
 * it that it stands in.
 *
 * The rows' keys come from the content, so that the same line stored twice is one row: a trace is its JSON, whatever
 * the order of its fields, and feedback is its trace, its JSON and its user. Two different events must therefore differ
 * somewhere, in `created_at` and `timestamp` at the latest.
 *
 * @throws RlcfError `usage` naming the field, what was found and what was wanted
 */
export function ingestRecordFromJson(value: unknown): IngestRecord {
  const json = expectObject(value, "record");
  for (const name of Object.keys(json)) {
    if (!FIELDS.includes(name)) unwanted(json[name], `record.${name}`, `one of the fields ${FIELDS.join(", ")}`);
  }
  const optionalText = (name: string, maxLength?: number): string | undefined => {
    const text = json[name];
    return text === undefined || text === null ? undefined : expectText(text, `record.${name}`, maxLength);
  };
  const trace = ExecutionTrace.fromJSON(json.trace);
  const traceId = uuidOf("trace", json.trace);
  const userId = optionalText("user_id");
  const record: IngestRecord = {
    trace,
    traceContext: {
      id: traceId,
      policyVersion: optionalText("policy_version", 50),
      queryText: optionalText("query_text", 100_000),
    },
  };
  traceRow(trace, record.traceContext);
  if (json.feedback === undefined || json.feedback === null) return record;
  const given = expectObject(json.feedback, "feedback");
  const feedback = MultilevelFeedback.fromJSON({ query_id: trace.queryId, ...given });
  if (feedback.queryId !== trace.queryId) {
    unwanted(feedback.queryId, "feedback.query_id", `the trace's query_id ${JSON.stringify(trace.queryId)}`);
  }
  const authority = json.user_authority;
  const feedbackContext = {
    id: uuidOf("feedback", [traceId, given, userId ?? null]),
    userId,
    ...(authority === undefined || authority === null
      ? {}
      : { userAuthority: expectNumber(authority, "record.user_authority", 0, 1) }),
    source: optionalText("source", 50),
  };
  feedbackRow(traceId, trace.queryId, feedback, feedbackContext);
  return { ...record, feedback, feedbackContext };
}

/**
 * A UUID that depends on the content alone, whatever the order of its fields (RFC 9562, version 8 over SHA-256).
 *
 * @param kind keeps things apart whose contents are alike, e.g. `trace`
 */
export function uuidOf(kind: string, content: unknown): string {
  const bytes = createHash("sha256").update(kind).update(canonicalJson(content)).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** JSON with the keys of every object sorted. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value, 0));
}

function sorted(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  // Fields that no one reads count for the key as well, so this is where they meet a limit.
  if (depth > MAX_DEPTH) unwanted(value, `JSON nested ${depth} levels deep`, `at most ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) {
    return value.every((entry) => typeof entry === "number") ? value : value.map((entry) => sorted(entry, depth + 1));
  }
  const fields = Object.entries(value as JsonObject).map(([key, field]) => [key, sorted(field, depth + 1)] as const);
  return Object.fromEntries(fields.toSorted(([a], [b]) => a < b ? -1 : 1));
}
