/**
 * The records of the domain as JSON Schema. Their own classes read them; what stands here describes what those accept.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import { LEVEL_SCORES, type LevelName } from "../feedback/levels.ts";
import { ACTION_TYPES } from "../trace/action.ts";
import { described, number, object, optional, type Schema, text, uuid } from "./schema.ts";

const free: JsonObject = { type: ["object", "null"], description: "free-form JSON" };
const time: JsonObject = { type: ["string", "null"], format: "date-time", description: "now if it is missing" };
const texts: JsonObject = { type: ["array", "null"], items: { type: "string" } };
const amount: JsonObject = { type: ["number", "null"], minimum: 0 };

/** One decision of the assistant. */
const actionSchema: JsonObject = {
  type: "object",
  required: ["action_type", "parameters", "log_prob"],
  properties: {
    action_type: { type: "string", minLength: 1, maxLength: 255, examples: ACTION_TYPES },
    parameters: {
      type: "object",
      description: "what was decided; of an expert_selection: expert_type and weight",
    },
    log_prob: { type: "number", maximum: 0, description: "natural logarithm of the decision's probability" },
    timestamp: { type: "string", format: "date-time" },
    metadata: {
      ...free,
      description: "a routing decision by the policy has source gating_policy; it or the trace has the query_embedding",
    },
  },
};

/** An ExecutionTrace. */
export const traceSchema: JsonObject = {
  type: "object",
  required: ["query_id"],
  properties: {
    query_id: { type: "string", minLength: 1, maxLength: 255 },
    actions: { type: "array", items: actionSchema },
    total_log_prob: { type: "number", description: "computed, whatever is sent" },
    metadata: free,
    reward: { type: ["number", "null"] },
    created_at: time,
  },
};

/** A level of a MultilevelFeedback, from the table that also reads it. */
function levelSchema(level: LevelName, others: JsonObject): JsonObject {
  const scores = (Object.values(LEVEL_SCORES[level]) as (readonly [string, number])[]).map(([name]) =>
    [name, { type: ["number", "null"], minimum: 0, maximum: 1 }] as const
  );
  return {
    type: ["object", "null"],
    properties: { ...Object.fromEntries(scores), ...others, metadata: free },
  };
}

/** A MultilevelFeedback; at least one number in it. */
export const feedbackSchema: JsonObject = {
  type: "object",
  properties: {
    query_id: { type: "string", minLength: 1, maxLength: 255, description: "the trace's own if it is missing" },
    overall_rating: { type: ["number", "null"], minimum: 0, maximum: 1 },
    retrieval_feedback: levelSchema("retrieval", {
      sources_relevant: amount,
      sources_total: amount,
      missing_sources: texts,
      irrelevant_sources: texts,
    }),
    reasoning_feedback: levelSchema("reasoning", { fallacies_detected: texts }),
    synthesis_feedback: levelSchema("synthesis", {}),
    timestamp: time,
    user_id: { type: ["string", "null"] },
    metadata: free,
  },
  description: "at least one number on one level, or overall_rating",
};

const judge = {
  user_id: optional(text("who judged")),
  user_authority: optional(number("earned authority; 0.5 if it is missing", { min: 0, max: 1 })),
  source: optional(text("where it was given", 50)),
  feedback_id: optional(uuid("key of the feedback; made from its content if it is missing")),
} as const;

/** A trace, with the feedback on it where there is some: a line of `rlcf ingest`, which may name its keys. */
export const traceRecordSchema: Schema<JsonObject> = object({
  trace: described(traceSchema),
  trace_id: optional(uuid("key of the trace; made from its content if it is missing")),
  policy_version: optional(text("the version that routed the query", 50)),
  query_text: optional(text("the query's text", 100_000)),
  feedback: optional(described(feedbackSchema)),
  ...judge,
});

/** Feedback on a trace that is stored. */
export const feedbackRecordSchema: Schema<JsonObject> = object({
  trace_id: uuid("key of the trace"),
  feedback: described(feedbackSchema),
  ...judge,
});

/** JSON Schema of an error. */
export const errorSchema: JsonObject = {
  type: "object",
  required: ["code", "message"],
  properties: {
    code: { type: "string", description: "for programs" },
    message: { type: "string", description: "for people: what was found, what was wanted, where" },
    field: { type: "string", description: "the place in the body that is to blame" },
  },
};
