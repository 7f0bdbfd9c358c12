/**
 * What a trace says about routing: which experts the gating policy weighed, whether one was drawn, and the query's
 * embedding. Decided once, when a trace is stored, so that training reads columns and not JSON.
 *
 * @module
 */
import { describe, unwanted } from "../base/check.ts";
import { type Action, isGatingAction } from "./action.ts";
import type { ExecutionTrace } from "./execution_trace.ts";

/**
 * What a trace can teach. `sampled`: one expert was drawn with a known propensity. `soft`: several were mixed by
 * weights and none was drawn. `none`: the gating policy took no part.
 */
export type LogKind = "sampled" | "soft" | "none";

/** The routing decision that a trace records. */
export interface GatingDecision {
  /** Whether an expert was drawn, several were mixed, or the policy took no part. */
  readonly kind: LogKind;
  /** Expert to logged weight; a `sampled` trace has one entry. An absent weight counts as 0.25, as in the original. */
  readonly weights: Readonly<Record<string, number>>;
  /** Log probability with which the expert was drawn; null unless sampled. */
  readonly logProb: number | null;
  /** The query's embedding, or null if the trace has none. */
  readonly embedding: Float32Array | null;
}

/** The weight of a selection that does not say it, as in the original. */
const DEFAULT_WEIGHT = 0.25;

/** Reads the routing decision of a trace. Throws when its embedding or a weight cannot be used. */
export function gatingDecision(trace: ExecutionTrace): GatingDecision {
  const selections = trace.actions.filter(isGatingAction);
  const weights: Record<string, number> = Object.create(null);
  for (const [i, { parameters }] of selections.entries()) {
    const expert = parameters.expert_type;
    const where = `gating selection ${i} of query ${JSON.stringify(trace.queryId)}`;
    if (typeof expert !== "string" || expert === "") unwanted(expert, `${where}: expert_type`, "the name of an expert");
    const weight = parameters.weight ?? DEFAULT_WEIGHT;
    if (typeof weight !== "number" || !Number.isFinite(weight) || weight < 0) {
      unwanted(weight, `${where}: weight`, "a finite number of at least 0");
    }
    weights[expert] = (weights[expert] ?? 0) + weight;
  }
  return {
    kind: selections.length === 0 ? "none" : selections.length === 1 ? "sampled" : "soft",
    weights,
    logProb: selections.length === 1 ? selections[0]!.logProb : null,
    embedding: queryEmbedding(trace, selections),
  };
}

/** The first `query_embedding` in the gating actions' or the trace's metadata, as float32; null if there is none. */
function queryEmbedding(trace: ExecutionTrace, selections: readonly Action[]): Float32Array | null {
  for (const { metadata } of [...selections, trace]) {
    const value = metadata.query_embedding;
    if (value !== undefined && value !== null) {
      return embeddingOf(value, `query_embedding of query ${JSON.stringify(trace.queryId)}`);
    }
  }
  return null;
}

/** A vector of finite numbers as float32. Throws on anything else, naming the first entry that is wrong. */
export function embeddingOf(value: unknown, where: string): Float32Array {
  if (value instanceof Float32Array || Array.isArray(value)) {
    if (value.length === 0) unwanted(value, where, "an array of at least one number");
    const vector = new Float32Array(value.length);
    for (let i = 0; i < value.length; i++) {
      const entry: unknown = value[i];
      vector[i] = typeof entry === "number" ? entry : NaN;
      if (!Number.isFinite(vector[i])) {
        unwanted(entry, `${where}: entry ${i}`, `a finite float32 number (${describe(value)})`);
      }
    }
    return vector;
  }
  return unwanted(value, where, "an array of finite numbers");
}
