/**
 * `POST /v1/route`: embeddings become weights over the experts, one expert is drawn, and what has to be logged for
 * learning is stored, or handed over.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { JsonObject } from "../../base/check.ts";
import { logSoftmax } from "../../loss/heads.ts";
import { drawExpert, type SampledExpert } from "../../policy/gating_policy.ts";
import type { TraceEntry } from "../../store/persistence.ts";
import { ExecutionTrace } from "../../trace/execution_trace.ts";
import { type ErrorDetail, HttpError } from "../errors.ts";
import { type OneOrMany, oneOrMany } from "../one_or_many.ts";
import { errorSchema, traceRecordSchema } from "../record_schemas.ts";
import { choice, flag, integer, number, object, optional, type Read, text, uuid, vector } from "../schema.ts";
import type { ServedPolicy } from "../served_policy.ts";
import { type Endpoint, endpoint, type Reply, type Service } from "../service.ts";
import { type NewRecord, storeRecords } from "../store_records.ts";
import { CONFLICT, MAX_RECORDS } from "./responses.ts";

const querySchema = object({
  query_id: text("the query; the same question should have the same id"),
  query_embedding: vector("the query's embedding, as many numbers as the policy takes"),
  query_text: optional(text("the query's text, stored with the trace", 100_000)),
  draw: optional(flag("draw one expert (default), or only weigh them all")),
  temperature: optional(number("divides the logits before drawing; 1 by default", { above: 0, max: 1000 })),
  epsilon: optional(number("share of uniform exploration; 0 by default", { min: 0, max: 1 })),
  seed: optional(integer("of the draw; random by default", 0, 2 ** 32 - 1)),
  trace: optional(choice(
    "store the trace before answering (default), return it to be completed and sent to /v1/traces, or make none",
    ["store", "return", "none"],
  )),
  trace_id: optional(uuid("key of the trace; sent again, the request is answered alike")),
});

type Query = Read<typeof querySchema>;

const routeSchema: JsonObject = {
  type: "object",
  required: ["query_id", "policy_version", "weights", "log_probs", "drawn", "trace_id"],
  properties: {
    query_id: { type: "string" },
    policy_version: { type: "string" },
    weights: { type: "object", additionalProperties: { type: "number" }, description: "expert to the policy's weight" },
    log_probs: { type: "object", additionalProperties: { type: "number" }, description: "their natural logarithms" },
    drawn: {
      type: ["object", "null"],
      required: ["expert", "weight", "log_prob"],
      properties: {
        expert: { type: "string" },
        weight: { type: "number", description: "probability of the draw, temperature and epsilon included" },
        log_prob: { type: "number", description: "its natural logarithm: the propensity that learning needs" },
      },
      description: "the expert to ask; null without a draw",
    },
    trace_id: { type: ["string", "null"], format: "uuid", description: "for /v1/feedback; null without a trace" },
    record: { ...traceRecordSchema.json, description: "with trace: return, what to send to /v1/traces" },
  },
};

const EMBEDDING = [0.013, -0.021, 0.4, 0.1, -0.3, 0.25, 0.05, -0.11];

/** The endpoint. */
export const routeEndpoint: Endpoint = endpoint<OneOrMany<Query>>({
  method: "POST",
  path: "/v1/route",
  summary: "Weigh the experts for a query, draw one, and log the decision",
  description: "One query, or {queries: [...]}, which are all routed by one version of the policy. A trace that was " +
    "stored by the server takes feedback at once: send its trace_id to /v1/feedback.",
  body: {
    schema: oneOrMany("queries", querySchema, MAX_RECORDS, (query) => query),
    examples: {
      one: { query_id: "q-001", query_embedding: EMBEDDING, query_text: "Cos'è la legittima difesa?", epsilon: 0.1 },
      many: {
        queries: [
          { query_id: "q-001", query_embedding: EMBEDDING, draw: false },
          { query_id: "q-002", query_embedding: EMBEDDING, trace: "return", temperature: 1.5, seed: 7 },
        ],
      },
    },
  },
  responses: {
    200: {
      description: "routed; of many, each query has its route or its error, in order",
      schema: {
        oneOf: [routeSchema, {
          type: "object",
          required: ["routed", "rejected", "routes"],
          properties: {
            routed: { type: "integer" },
            rejected: { type: "integer" },
            routes: {
              type: "array",
              items: {
                oneOf: [routeSchema, { type: "object", required: ["error"], properties: { error: errorSchema } }],
              },
            },
          },
        }],
      },
      example: {
        query_id: "q-001",
        policy_version: "v1.0.1",
        weights: { literal: 0.7, systemic: 0.1, principles: 0.1, precedent: 0.1 },
        log_probs: { literal: -0.357, systemic: -2.303, principles: -2.303, precedent: -2.303 },
        drawn: { expert: "literal", weight: 0.655, log_prob: -0.423 },
        trace_id: "0f8fad5b-d9cb-469f-a165-70867728950e",
      },
    },
    409: CONFLICT,
  },
  handle: routeQueries,
});

/** A query on its way: what it asks, and what came of it. */
interface Routed {
  readonly json: JsonObject;
  readonly record: NewRecord | undefined;
}

async function routeQueries(service: Service, { isSingle, records }: OneOrMany<Query>): Promise<Reply> {
  const policy = service.holder.required();
  const checked = records.map((record, i) =>
    "error" in record ? record : checkLength(record.value, policy, isSingle, i)
  );
  const queries = checked.filter((one) => "value" in one).map(({ value }) => value);
  const routed = await routeAll(policy, queries, isSingle);
  const stored = routed.filter((one): one is Routed => !(one instanceof HttpError) && one.record !== undefined);
  const outcomes = stored.length === 0 ? [] : await storeRecords(service, stored.map(({ record }) => record!));
  const failures = new Map(stored.map((one, i) => [one, outcomes[i]!]));
  let next = 0;
  const routes = checked.map((one, i): JsonObject | HttpError => {
    if ("error" in one) return { error: one.error };
    const route = routed[next++]!;
    if (route instanceof HttpError) return isSingle ? route : { error: inPlace(route, i) };
    const outcome = failures.get(route);
    if (outcome instanceof HttpError) return isSingle ? outcome : { error: inPlace(outcome, i) };
    return route.json;
  });
  const failed = routes.filter((route) => route instanceof HttpError || "error" in route).length;
  service.metrics.routed.add({}, routes.length - failed);
  if (!isSingle) return { status: 200, body: { routed: routes.length - failed, rejected: failed, routes } };
  if (routes[0] instanceof HttpError) throw routes[0];
  return { status: 200, body: routes[0]! };
}

function inPlace({ detail }: HttpError, i: number): ErrorDetail {
  const at = `queries[${i}]`;
  return { ...detail, field: detail.field === undefined ? at : `${at}.${detail.field}` };
}

function checkLength(
  query: Query,
  { inputDim }: ServedPolicy,
  isSingle: boolean,
  i: number,
): { readonly value: Query } | { readonly error: ErrorDetail } {
  const found = query.query_embedding.length;
  if (found === inputDim) return { value: query };
  const error = new HttpError(422, "wrong_dimension", `query_embedding: found ${found} numbers, wanted ${inputDim}`, {
    field: "query_embedding",
  });
  if (isSingle) throw error;
  return { error: inPlace(error, i) };
}

async function routeAll(
  policy: ServedPolicy,
  queries: readonly Query[],
  isSingle: boolean,
): Promise<(Routed | HttpError)[]> {
  if (queries.length === 0) return [];
  const [first] = queries;
  let inputs = first!.query_embedding;
  if (!isSingle) {
    inputs = new Float32Array(queries.length * policy.inputDim);
    for (const [i, { query_embedding }] of queries.entries()) inputs.set(query_embedding, i * policy.inputDim);
  }
  const logits = await policy.forward(inputs);
  const n = policy.experts.length;
  return queries.map((query, i) => routeOne(policy, query, logits.subarray(i * n, (i + 1) * n)));
}

function routeOne(policy: ServedPolicy, query: Query, logits: Float32Array): Routed | HttpError {
  if (!logits.every(Number.isFinite)) {
    return new HttpError(422, "not_finite", "query_embedding: its numbers are so large that no weights come of them", {
      field: "query_embedding",
    });
  }
  const { experts, version } = policy;
  const [weights, logProbs] = [new Float32Array(logits.length), new Float32Array(logits.length)];
  logSoftmax(logits, weights, logProbs);
  const { temperature, epsilon, trace: how = "store" } = query;
  // Sent again with its key, a query is answered with the same draw.
  const seed = query.seed ?? (query.trace_id === undefined ? undefined : seedOf(query.trace_id));
  const drawn = query.draw === false ? null : drawExpert(logits, experts, { temperature, epsilon, seed });
  const named = (values: Float32Array): JsonObject => Object.fromEntries(experts.map((name, e) => [name, values[e]!]));
  const json = {
    query_id: query.query_id,
    policy_version: version,
    weights: named(weights),
    log_probs: named(logProbs),
    drawn: drawn === null ? null : { expert: drawn.expert, weight: drawn.weight, log_prob: drawn.logProb },
  };
  if (how === "none") return { json: { ...json, trace_id: null }, record: undefined };
  const traceId = query.trace_id ?? crypto.randomUUID();
  const trace = traceOf(query, experts, weights, logProbs, drawn);
  if (how === "return") {
    const text = query.query_text === undefined ? {} : { query_text: query.query_text };
    const record = { trace_id: traceId, policy_version: version, ...text, trace: trace.toJSON() };
    return { json: { ...json, trace_id: traceId, record }, record: undefined };
  }
  const context = { id: traceId, policyVersion: version, queryText: query.query_text };
  const entry: TraceEntry = { kind: "trace", trace, context };
  const chosen = query.trace_id === undefined ? [] : [entry];
  return { json: { ...json, trace_id: traceId }, record: { entries: [entry], named: new Set(chosen) } };
}

/** What learning needs of the decision: the drawn expert with its probability, or the mixture. */
function traceOf(
  query: Query,
  experts: readonly string[],
  weights: Float32Array,
  logProbs: Float32Array,
  drawn: SampledExpert | null,
): ExecutionTrace {
  const trace = new ExecutionTrace({ queryId: query.query_id });
  const source = { source: "gating_policy" };
  const first = { ...source, query_embedding: query.query_embedding };
  if (drawn !== null) {
    return trace.addExpertSelection({
      expertType: drawn.expert,
      weight: drawn.weight,
      logProb: drawn.logProb,
      metadata: first,
    });
  }
  for (const [e, expertType] of experts.entries()) {
    const metadata = e === 0 ? first : source;
    trace.addExpertSelection({ expertType, weight: weights[e]!, logProb: Math.min(0, logProbs[e]!), metadata });
  }
  return trace;
}

/** 32 bits that a key decides. */
function seedOf(traceId: string): number {
  return createHash("sha256").update(traceId).digest().readUInt32LE(0);
}
