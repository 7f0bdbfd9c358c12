/**
 * A trace as a row and back. The embedding is stored once, as float32 in its own column: where the record's metadata
 * repeat it, the stored JSON holds a small marker. So are the states of ReAct steps, all in one column.
 *
 * @module
 */
import type { Insertable, Selectable } from "kysely";
import { expectNumber, type JsonObject, unwanted } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { ExecutionTrace } from "../trace/execution_trace.ts";
import { gatingDecision } from "../trace/gating_decision.ts";
import { isReActStep, reactEpisode } from "../trace/react_episode.ts";
import type { TraceContext } from "./records.ts";
import type { TraceTable } from "./tables.ts";
import { jsonText, nameOf, newId, optionalName, optionalText } from "./values.ts";

/** Stands in stored metadata where `query_embedding` equals the row's own. */
const MARKER: JsonObject = { $column: "query_embedding" };

/** Stands in stored metadata where the state of a ReAct step is a row of `react_states`. */
const STATE_MARKER: JsonObject = { $column: "react_states" };

/** The columns from which a trace is read back. */
export const TRACE_COLUMNS = [
  "query_id",
  "actions",
  "metadata",
  "reward",
  "query_embedding",
  "react_states",
  "created_at",
] as const;

/** What {@link TRACE_COLUMNS} hold. */
export type StoredTrace = Pick<Selectable<TraceTable>, (typeof TRACE_COLUMNS)[number]>;

/** The row of a trace that has no feedback yet. Throws when the trace holds something that cannot be stored. */
export function traceRow(trace: ExecutionTrace, context: TraceContext = {}): Insertable<TraceTable> {
  const { kind, weights, logProb, embedding } = gatingDecision(trace);
  const { steps, states } = reactEpisode(trace);
  const actions = trace.actions.map((action, i) => {
    const metadata = withMarker(action.metadata, embedding, `trace.actions[${i}].metadata`);
    return {
      action_type: action.actionType,
      parameters: action.parameters,
      log_prob: action.logProb,
      timestamp: action.timestamp,
      metadata: isReActStep(action) ? withStateMarker(metadata, states, `trace.actions[${i}].metadata`) : metadata,
    };
  });
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
    react_steps: steps.length === 0 ? null : jsonText(
      steps.map(({ action, logProb, value, reward, done }) => ({ action, log_prob: logProb, value, reward, done })),
      "ReAct steps",
    ),
    react_states: states === null ? null : new Uint8Array(states.buffer),
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
  const stateOf = statesOf(row, actions.filter(({ metadata }) => isStateMarked(metadata)).length);
  return ExecutionTrace.fromJSON({
    query_id: row.query_id,
    actions: actions.map((action) => {
      const metadata = withoutMarker(action.metadata, embedding);
      return { ...action, metadata: isStateMarked(metadata) ? withState(metadata, stateOf()) : metadata };
    }),
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

function withStateMarker(metadata: JsonObject, states: Float32Array | null, where: string): JsonObject {
  if (isStateMarked(metadata)) {
    unwanted(stepOf(metadata)?.state, `${where}.react.state`, "anything but the mark of a stored state");
  }
  return states === null ? metadata : withState(metadata, STATE_MARKER);
}

function withState(metadata: JsonObject, state: unknown): JsonObject {
  return { ...metadata, react: { ...stepOf(metadata), state } };
}

function stepOf({ react }: JsonObject): JsonObject | undefined {
  return typeof react === "object" && react !== null ? react as JsonObject : undefined;
}

function isStateMarked(metadata: JsonObject): boolean {
  const state = stepOf(metadata)?.state;
  return typeof state === "object" && state !== null && "$column" in state && state.$column === STATE_MARKER.$column;
}

/** The stored states one after another, as many as the trace has marks for. Throws if the column is damaged. */
function statesOf({ query_id, react_states }: StoredTrace, marks: number): () => number[] {
  const states = react_states === null ? new Float32Array(0) : embeddingFromBytes(react_states);
  const length = marks === 0 ? 0 : states.length / marks;
  if (marks > 0 && (length === 0 || !Number.isInteger(length))) {
    throw new RlcfError(
      "database",
      `cannot read the trace of query ${query_id}: its ReAct states are damaged, found ` +
        `${react_states?.length ?? 0} bytes, wanted a multiple of 4 for each of ${marks} steps`,
    );
  }
  let next = 0;
  return () => Array.from(states.subarray(next, next += length));
}

function isSameVector(value: unknown, embedding: Float32Array): boolean {
  if (!Array.isArray(value) || value.length !== embedding.length) return false;
  for (let i = 0; i < embedding.length; i++) {
    const entry: unknown = value[i];
    if (typeof entry !== "number" || Math.fround(entry) !== embedding[i]) return false;
  }
  return true;
}
