/**
 * A trace as a row and back. The embedding is stored once, as float32 in its own column: where the record's metadata
 * repeat it, the stored JSON holds a small marker.
 *
 * @module
 */
import type { Insertable, Selectable } from "kysely";
import { expectNumber, type JsonObject, unwanted } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { ExecutionTrace } from "../trace/execution_trace.ts";
import { gatingDecision } from "../trace/gating_decision.ts";
import type { TraceContext } from "./records.ts";
import type { TraceTable } from "./tables.ts";
import { jsonText, nameOf, newId, optionalName, optionalText } from "./values.ts";

/** Stands in stored metadata where `query_embedding` equals the row's own. */
const MARKER: JsonObject = { $column: "query_embedding" };

/** The columns from which a trace is read back. */
export const TRACE_COLUMNS = ["query_id", "actions", "metadata", "reward", "query_embedding", "created_at"] as const;

/** What {@link TRACE_COLUMNS} hold. */
export type StoredTrace = Pick<Selectable<TraceTable>, (typeof TRACE_COLUMNS)[number]>;

/** The row of a trace that has no feedback yet. Throws when the trace holds something that cannot be stored. */
export function traceRow(trace: ExecutionTrace, context: TraceContext = {}): Insertable<TraceTable> {
  const { kind, weights, logProb, embedding } = gatingDecision(trace);
  const actions = trace.actions.map((action, i) => ({
    action_type: action.actionType,
    parameters: action.parameters,
    log_prob: action.logProb,
    timestamp: action.timestamp,
    metadata: withMarker(action.metadata, embedding, `trace.actions[${i}].metadata`),
  }));
  const [drawn] = kind === "sampled" ? Object.keys(weights) : [];
  return {
    id: newId(context.id, "trace id"),
    query_id: nameOf(trace.queryId, "trace.query_id"),
    query_text: optionalText(context.queryText, "query_text"),
    policy_version: optionalName(context.policyVersion, "policy_version", 50),
    expert_type: optionalName(context.expertType ?? drawn, "expert_type"),
    actions: jsonText(actions, "trace.actions"),
    num_actions: actions.length,
    total_log_prob: expectNumber(trace.totalLogProb, "trace.total_log_prob", -Infinity, 0),
    metadata: jsonText(withMarker(trace.metadata, embedding, "trace.metadata"), "trace.metadata"),
    reward: trace.reward,
    log_kind: kind,
    gating_weights: jsonText(weights, "gating weights"),
    gating_log_prob: logProb,
    query_embedding: embedding === null ? null : new Uint8Array(embedding.buffer),
    has_feedback: 0,
    created_at: trace.createdAt,
  };
}

/** The trace of a row. Throws RlcfError("database") if the row is damaged. */
export function traceFromRow(row: StoredTrace): ExecutionTrace {
  const embedding = row.query_embedding === null ? null : Array.from(embeddingFromBytes(row.query_embedding));
  if (embedding?.length === 0) {
    throw new RlcfError(
      "database",
      `cannot read the trace of query ${row.query_id}: its embedding is damaged, found ` +
        `${row.query_embedding?.length} bytes, wanted a multiple of 4`,
    );
  }
  const actions = JSON.parse(row.actions) as { metadata: JsonObject }[];
  return ExecutionTrace.fromJSON({
    query_id: row.query_id,
    actions: actions.map((action) => ({ ...action, metadata: withoutMarker(action.metadata, embedding) })),
    metadata: withoutMarker(JSON.parse(row.metadata) as JsonObject, embedding),
    reward: row.reward,
    created_at: row.created_at,
  });
}

/** The floats of stored bytes, without a copy where they lie right; empty if the bytes are damaged. */
export function embeddingFromBytes(bytes: Uint8Array): Float32Array {
  if (bytes.byteLength % 4 !== 0) return new Float32Array(0);
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

function withMarker(metadata: JsonObject, embedding: Float32Array | null, where: string): JsonObject {
  const value = metadata.query_embedding;
  if (isMarker(value)) unwanted(value, `${where}.query_embedding`, "anything but the mark of a stored embedding");
  if (embedding === null || !isSameVector(value, embedding)) return metadata;
  return { ...metadata, query_embedding: MARKER };
}

function withoutMarker(metadata: JsonObject, embedding: readonly number[] | null): JsonObject {
  return isMarker(metadata.query_embedding) ? { ...metadata, query_embedding: embedding } : metadata;
}

function isMarker(value: unknown): boolean {
  return typeof value === "object" && value !== null && "$column" in value && value.$column === MARKER.$column;
}

function isSameVector(value: unknown, embedding: Float32Array): boolean {
  if (!Array.isArray(value) || value.length !== embedding.length) return false;
  for (let i = 0; i < embedding.length; i++) {
    const entry: unknown = value[i];
    if (typeof entry !== "number" || Math.fround(entry) !== embedding[i]) return false;
  }
  return true;
}
