/**
 * Descriptions of responses that several endpoints share.
 *
 * @module
 */
import type { JsonObject } from "../../base/check.ts";
import { errorSchema } from "../record_schemas.ts";
import type { ResponseDescription } from "../service.ts";

/** Most records of one request. */
export const MAX_RECORDS = 1000;

const writtenSchema: JsonObject = { type: "string", enum: ["stored", "duplicate"] };

/** What is told of a trace that was stored, and of the feedback that came with it. */
export const traceResultSchema: JsonObject = {
  type: "object",
  required: ["status", "trace_id"],
  properties: {
    status: writtenSchema,
    trace_id: { type: "string", format: "uuid" },
    feedback: {
      type: "object",
      required: ["status", "feedback_id"],
      properties: { status: writtenSchema, feedback_id: { type: "string", format: "uuid" } },
    },
  },
};

/** What is told of feedback that was stored. */
export const feedbackResultSchema: JsonObject = {
  type: "object",
  required: ["status", "feedback_id", "trace_id"],
  properties: {
    status: writtenSchema,
    feedback_id: { type: "string", format: "uuid" },
    trace_id: { type: "string", format: "uuid" },
  },
};

/** What is told of many records. */
export function manySchema(result: JsonObject): JsonObject {
  const refused: JsonObject = {
    type: "object",
    required: ["status", "error"],
    properties: { status: { const: "rejected" }, error: errorSchema },
  };
  return {
    type: "object",
    required: ["stored", "duplicates", "rejected", "results"],
    properties: {
      stored: { type: "integer", minimum: 0 },
      duplicates: { type: "integer", minimum: 0 },
      rejected: { type: "integer", minimum: 0 },
      results: { type: "array", items: { oneOf: [result, refused] } },
    },
  };
}

/** A key that the client chose is taken by something else. */
export const CONFLICT: ResponseDescription = {
  description: "the id that was chosen belongs to another record; nothing was changed",
};
