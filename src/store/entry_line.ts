/**
 * The JSON of a service as entries of the store: the record of `rlcf ingest` with ids of its own, and feedback alone on a
 * trace that is named by its id.
 *
 * @module
 */
import { expectNumber, expectObject, expectText, type JsonObject, unwanted } from "../base/check.ts";
import { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { FeedbackEntry, TraceEntry } from "./entry_records.ts";
import { feedbackRow } from "./feedback_rows.ts";
import { ingestRecordFromJson, uuidOf } from "./ingest_line.ts";
import { uuidOrUndefined } from "./values.ts";

/** Fields of feedback alone. */
const FEEDBACK_FIELDS: readonly string[] = [
  "trace_id",
  "feedback",
  "feedback_id",
  "user_id",
  "user_authority",
  "source",
];

/** A record as entries: its trace and, where it has some, the feedback on it. */
export interface RecordEntries {
  /** The trace. */
  readonly trace: TraceEntry;
  /** The feedback on it. */
  readonly feedback: FeedbackEntry | undefined;
}

/**
 * Reads a record of {@link ingestRecordFromJson} that may also name its keys: `trace_id` and `feedback_id`, UUIDs. Keys
 * that are not given come from the content, as there.
 *
 * @throws RlcfError `usage` naming the field, what was found and what was wanted
 */
export function traceEntriesFromJson(value: unknown): RecordEntries {
  const { trace_id: givenTrace, feedback_id: givenFeedback, ...json } = expectObject(value, "record");
  const { trace, traceContext, feedback, feedbackContext } = ingestRecordFromJson(json);
  const traceId = optionalUuid(givenTrace, "trace_id") ?? traceContext.id;
  const entry: TraceEntry = { kind: "trace", trace, context: { ...traceContext, id: traceId } };
  const feedbackId = optionalUuid(givenFeedback, "feedback_id");
  if (feedback === undefined) {
    if (feedbackId !== undefined) unwanted(json.feedback, "feedback", "the feedback that feedback_id is for");
    return { trace: entry, feedback: undefined };
  }
  const id = feedbackId ?? feedbackKey(traceId, json.feedback, feedbackContext?.userId);
  return {
    trace: entry,
    feedback: { kind: "feedback", traceId, feedbackOn: () => feedback, context: { ...feedbackContext, id } },
  };
}

/**
 * Reads feedback on a trace: `{trace_id, feedback, feedback_id?, user_id?, user_authority?, source?}`. The feedback may
 * leave out its `query_id`, which the trace knows.
 *
 * @throws RlcfError `usage` naming the field, what was found and what was wanted
 */
export function feedbackEntryFromJson(value: unknown): FeedbackEntry {
  const json = expectObject(value, "record");
  for (const name of Object.keys(json)) {
    if (!FEEDBACK_FIELDS.includes(name)) {
      unwanted(json[name], `record.${name}`, `one of the fields ${FEEDBACK_FIELDS.join(", ")}`);
    }
  }
  const traceId = optionalUuid(json.trace_id, "trace_id") ?? unwanted(json.trace_id, "record.trace_id", "a UUID");
  const given = expectObject(json.feedback, "feedback");
  const userId = present(json.user_id) ? expectText(json.user_id, "record.user_id") : undefined;
  const receivedAt = new Date().toISOString();
  const feedbackOn = (queryId: string): MultilevelFeedback =>
    MultilevelFeedback.fromJSON({
      ...given,
      query_id: given.query_id ?? queryId,
      timestamp: given.timestamp ?? receivedAt,
    });
  const context = {
    id: optionalUuid(json.feedback_id, "feedback_id") ?? feedbackKey(traceId, given, userId),
    userId,
    ...(present(json.user_authority)
      ? { userAuthority: expectNumber(json.user_authority, "record.user_authority", 0, 1) }
      : {}),
    source: present(json.source) ? expectText(json.source, "record.source", 50) : undefined,
  };
  // All that can be wrong with it is told now; only whether it fits its trace is known later.
  const trial = feedbackOn("unknown");
  feedbackRow(traceId, trial.queryId, trial, context);
  return { kind: "feedback", traceId, feedbackOn, context };
}

/** The key of feedback that has none: the same for the same judgement of the same trace by the same user. */
function feedbackKey(traceId: string, given: unknown, userId: string | null | undefined): string {
  return uuidOf("feedback", [traceId, given as JsonObject, userId ?? null]);
}

function optionalUuid(value: unknown, name: string): string | undefined {
  if (!present(value)) return undefined;
  const uuid = typeof value === "string" ? uuidOrUndefined(value) : undefined;
  return uuid ?? unwanted(value, `record.${name}`, "a UUID");
}

function present(value: unknown): boolean {
  return value !== undefined && value !== null;
}
