/**
 * What `rlcf route` reads and prints for each type of policy.
 *
 * @module
 */
import { expectObject, expectText, type JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import type { GatingPolicy } from "../policy/gating_policy.ts";
import type { ReActPolicy } from "../policy/react_policy.ts";
import type { Traversal, TraversalPolicy } from "../policy/traversal_policy.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { embeddingOf } from "../trace/gating_decision.ts";

/** A stored version that answers queries. */
export interface Router extends AsyncDisposable {
  /** Its version. */
  readonly version: string;
  /** Reads a query. Throws RlcfError("usage") on anything that cannot be one. */
  read(json: unknown): Query;
  /** Answers queries, in their order; field names are those of the output. */
  route(queries: readonly Query[]): Promise<JsonObject[]>;
}

/** A query as its router understands it. */
export interface Query {
  /** Its id, for the answer. */
  readonly queryId: string;
  /** Its embedding, or the agent's state. */
  readonly vector: Float32Array;
  /** The relation to weigh, for traversals. */
  readonly relation?: string;
}

/** Opens the version asked for, or the active one, of the configured type. */
export async function openRouter(store: RLCFPersistence, config: Config, wanted?: string): Promise<Router> {
  const { checkpoint: { directory }, compute: { backend }, training: { policyType } } = config;
  const { findStoredPolicy, findStoredReAct, openPolicy, openReActPolicy, openTraversalPolicy } = await import(
    "../session/open_policy.ts"
  );
  if (policyType === "react") {
    const { checkpoint, saved } = await findStoredReAct(store, directory, wanted);
    return agentRouter(await openReActPolicy(saved, backend), checkpoint.version);
  }
  const { checkpoint, saved } = await findStoredPolicy(store, directory, policyType, wanted);
  return policyType === "traversal"
    ? traversalRouter(await openTraversalPolicy(saved, backend), checkpoint.version)
    : expertRouter(await openPolicy(saved, backend), checkpoint.version);
}

function expertRouter(policy: GatingPolicy, version: string): Router {
  return {
    version,
    read: (json) => queryOf(json, "query_embedding", policy.shape.inputDim),
    route: async (queries) => {
      const { weights, logProbs } = await policy.forward(queries.map(({ vector }) => vector));
      return queries.map(({ queryId }, i) => ({
        query_id: queryId,
        weights: named(policy.experts, weights, i),
        log_probs: named(policy.experts, logProbs, i),
        policy_version: version,
      }));
    },
    [Symbol.asyncDispose]: () => policy.close(),
  };
}

function agentRouter(policy: ReActPolicy, version: string): Router {
  return {
    version,
    read: (json) => queryOf(json, "state", policy.shape.inputDim),
    route: async (queries) => {
      const { probs, logProbs, values } = await policy.forward(queries.map(({ vector }) => vector));
      return queries.map(({ queryId }, i) => ({
        query_id: queryId,
        weights: named(policy.actions, probs, i),
        log_probs: named(policy.actions, logProbs, i),
        value: values[i]!,
        policy_version: version,
      }));
    },
    [Symbol.asyncDispose]: () => policy.close(),
  };
}

function traversalRouter(policy: TraversalPolicy, version: string): Router {
  return {
    version,
    read: (json) => {
      const relation = expectText(expectObject(json, "query").relation_type, "relation_type");
      return { ...queryOf(json, "query_embedding", policy.inputDim), relation };
    },
    route: async (queries) => {
      const traversals = queries.map(({ vector, relation }): Traversal => ({ embedding: vector, relation: relation! }));
      const { weights, logProbs } = await policy.forward(traversals);
      return queries.map(({ queryId, relation }, i) => ({
        query_id: queryId,
        relation_type: relation,
        weight: weights[i]!,
        log_prob: logProbs[i]!,
        known_relation: policy.relations.includes(relation!),
        policy_version: version,
      }));
    },
    [Symbol.asyncDispose]: () => policy.close(),
  };
}

function queryOf(given: unknown, field: string, length: number): Query {
  const json = expectObject(given, "query");
  const vector = embeddingOf(json[field], field);
  if (vector.length !== length) {
    throw new RlcfError("usage", `${field}: found ${vector.length} numbers, wanted ${length}`);
  }
  return { queryId: expectText(json.query_id, "query_id"), vector };
}

/** Row i of [n, names] by name. */
function named(names: readonly string[], values: Float32Array, i: number): Record<string, number> {
  return Object.fromEntries(names.map((name, k) => [name, values[i * names.length + k]!]));
}
