/**
 * `POST /v1/traces`: what a service has logged, with feedback or without, becomes stored.
 *
 * @module
 */
import type { JsonObject } from "../../base/check.ts";
import { traceEntriesFromJson } from "../../store/entry_line.ts";
import type { StoreEntry } from "../../store/persistence.ts";
import { type OneOrMany, oneOrMany } from "../one_or_many.ts";
import { traceRecordSchema } from "../record_schemas.ts";
import { type Endpoint, endpoint } from "../service.ts";
import { type NewRecord, type Written } from "../store_records.ts";
import { CONFLICT, manySchema, MAX_RECORDS, traceResultSchema } from "./responses.ts";
import { replyTo } from "./write_reply.ts";

const EXAMPLE: JsonObject = {
  trace: {
    query_id: "q-001",
    created_at: "2026-01-07T09:00:00Z",
    actions: [{
      action_type: "expert_selection",
      log_prob: -0.357,
      parameters: { expert_type: "literal", weight: 0.7 },
      metadata: {
        source: "gating_policy",
        query_embedding: [0.013, -0.021, 0.4, 0.1, -0.3, 0.25, 0.05, -0.11],
      },
    }],
  },
  policy_version: "v1.0.0",
};

const STORED = { status: "stored", trace_id: "0f8fad5b-d9cb-469f-a165-70867728950e" };

/** The endpoint. */
export const tracesEndpoint: Endpoint = endpoint<OneOrMany<NewRecord>>({
  method: "POST",
  path: "/v1/traces",
  summary: "Store traces, with feedback or without",
  description: "One record, a line of rlcf ingest, or {records: [...]}. The answer comes after the commit. The same " +
    "record sent again adds nothing: its key is trace_id, or is made from its content.",
  body: {
    schema: oneOrMany("records", traceRecordSchema, MAX_RECORDS, readRecord),
    examples: {
      one: EXAMPLE,
      many: {
        records: [EXAMPLE, { ...EXAMPLE, feedback: { overall_rating: 0.8 }, user_id: "avv_017", user_authority: 0.8 }],
      },
    },
  },
  responses: {
    200: {
      description: "stored before; of many records, what became of each, in order",
      schema: { oneOf: [traceResultSchema, manySchema(traceResultSchema)] },
      example: { stored: 1, duplicates: 0, rejected: 0, results: [STORED] },
    },
    201: { description: "stored now", schema: traceResultSchema, example: STORED },
    409: CONFLICT,
  },
  handle: (service, sent) => replyTo(service, sent, describe),
});

function readRecord(_: JsonObject, json: JsonObject): NewRecord {
  const { trace, feedback } = traceEntriesFromJson(json);
  const named = new Set<StoreEntry>();
  if (typeof json.trace_id === "string") named.add(trace);
  if (feedback !== undefined && typeof json.feedback_id === "string") named.add(feedback);
  return { entries: feedback === undefined ? [trace] : [trace, feedback], named };
}

function describe({ entries: [trace, feedback] }: NewRecord, [status, judged]: readonly Written[]): JsonObject {
  const told = { status, trace_id: trace!.context.id };
  return feedback === undefined ? told : { ...told, feedback: { status: judged, feedback_id: feedback.context.id } };
}
