/**
 * `POST /v1/feedback`: what lawyers think of an answer, on a trace that is stored.
 *
 * @module
 */
import type { JsonObject } from "../../base/check.ts";
import { feedbackEntryFromJson } from "../../store/entry_line.ts";
import type { FeedbackEntry } from "../../store/persistence.ts";
import { type OneOrMany, oneOrMany } from "../one_or_many.ts";
import { feedbackRecordSchema } from "../record_schemas.ts";
import { type Endpoint, endpoint } from "../service.ts";
import { type NewRecord, type Written } from "../store_records.ts";
import { CONFLICT, feedbackResultSchema, manySchema, MAX_RECORDS } from "./responses.ts";
import { replyTo } from "./write_reply.ts";

const TRACE_ID = "0f8fad5b-d9cb-469f-a165-70867728950e";

const EXAMPLE: JsonObject = {
  trace_id: TRACE_ID,
  feedback: {
    retrieval_feedback: { precision: 0.8, recall: 0.7 },
    reasoning_feedback: { logical_coherence: 0.9, legal_soundness: 0.85 },
    synthesis_feedback: { clarity: 0.9, usefulness: 0.9 },
  },
  user_id: "avv_017",
  user_authority: 0.8,
};

const STORED = { status: "stored", feedback_id: "7c9e6679-7425-40de-944b-e07fc1f90ae7", trace_id: TRACE_ID };

/** The endpoint. */
export const feedbackEndpoint: Endpoint = endpoint<OneOrMany<NewRecord>>({
  method: "POST",
  path: "/v1/feedback",
  summary: "Store feedback on stored traces",
  description:
    "One record, or {records: [...]}. The answer comes after the commit. The same feedback sent again adds " +
    "nothing: its key is feedback_id, or is made from trace, feedback and user.",
  body: {
    schema: oneOrMany("records", feedbackRecordSchema, MAX_RECORDS, readRecord),
    examples: { one: EXAMPLE, many: { records: [EXAMPLE, { trace_id: TRACE_ID, feedback: { overall_rating: 1 } }] } },
  },
  responses: {
    200: {
      description: "stored before; of many records, what became of each, in order",
      schema: { oneOf: [feedbackResultSchema, manySchema(feedbackResultSchema)] },
      example: { stored: 1, duplicates: 0, rejected: 0, results: [STORED] },
    },
    201: { description: "stored now", schema: feedbackResultSchema, example: STORED },
    404: { description: "no trace with this trace_id is stored" },
    409: CONFLICT,
  },
  handle: (service, sent) => replyTo(service, sent, describe),
});

function readRecord(_: JsonObject, json: JsonObject): NewRecord {
  const entry = feedbackEntryFromJson(json);
  return { entries: [entry], named: new Set(typeof json.feedback_id === "string" ? [entry] : []) };
}

function describe({ entries: [entry] }: NewRecord, [status]: readonly Written[]): JsonObject {
  const { context, traceId } = entry as FeedbackEntry;
  return { status, feedback_id: context.id, trace_id: traceId };
}
