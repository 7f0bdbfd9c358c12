/**
 * One recorded decision of the assistant: which expert was asked, which relation was followed, which tool was used.
 *
 * @module
 */
import { expectNumber, expectObject, expectText, expectTimestamp, type JsonObject, unwanted } from "../base/check.ts";

/** Action types that rlcf gives a meaning to. Others are kept as they came. */
export const ACTION_TYPES = ["expert_selection", "graph_traversal", "tool_use", "react_step"] as const;

/** The values of `metadata.source` that mark an expert selection as a decision of the gating policy. */
export const GATING_SOURCES: readonly unknown[] = ["gating_policy", "neural_gating"];

/** One recorded decision. Immutable; metadata and parameters are the JSON of the record and keep its snake_case. */
export interface Action {
  /** `expert_selection`, `graph_traversal`, `tool_use`, `react_step`, or any other text. */
  readonly actionType: string;
  /** What was decided, e.g. `{expert_type: "literal", weight: 0.7}`. */
  readonly parameters: JsonObject;
  /** Natural logarithm of the probability with which the decision was drawn; at most 0. */
  readonly logProb: number;
  /** When it was decided, ISO 8601 in UTC. */
  readonly timestamp: string;
  /** Everything else, e.g. `{source: "gating_policy", query_embedding: [...]}`. */
  readonly metadata: JsonObject;
}

/** An {@link Action} as JSON. */
export interface ActionJson {
  /** `expert_selection`, `graph_traversal`, `tool_use`, `react_step`, or any other text. */
  readonly action_type: string;
  /** What was decided, e.g. `{expert_type: "literal", weight: 0.7}`. */
  readonly parameters: JsonObject;
  /** Natural logarithm of the probability with which the decision was drawn; at most 0. */
  readonly log_prob: number;
  /** When it was decided, ISO 8601 in UTC. */
  readonly timestamp: string;
  /** Everything else; float arrays have become plain arrays. */
  readonly metadata: JsonObject;
}

/**
 * Reads an action from JSON. `timestamp` and `metadata` may be absent.
 *
 * @param where place of the value, for error messages, e.g. `actions[2]`
 * @param now what to take for a missing timestamp
 */
export function actionFromJson(value: unknown, where: string, now: string): Action {
  const json = expectObject(value, where);
  return {
    actionType: expectText(json.action_type, `${where}.action_type`),
    parameters: expectObject(json.parameters, `${where}.parameters`),
    logProb: expectNumber(json.log_prob, `${where}.log_prob`, -Infinity, 0),
    timestamp: json.timestamp === undefined ? now : expectTimestamp(json.timestamp, `${where}.timestamp`),
    metadata: json.metadata === undefined || json.metadata === null
      ? {}
      : expectObject(json.metadata, `${where}.metadata`),
  };
}

/** The action as JSON; shares no object with the action. */
export function actionToJson(action: Action): ActionJson {
  return {
    action_type: action.actionType,
    parameters: cloneJson(action.parameters),
    log_prob: action.logProb,
    timestamp: action.timestamp,
    metadata: cloneJson(action.metadata),
  };
}

/** Whether the action is a decision of the gating policy, so that training may learn from it. */
export function isGatingAction(action: Action): boolean {
  return action.actionType === "expert_selection" && GATING_SOURCES.includes(action.metadata.source);
}

/** Deepest nesting of a record's JSON; deeper input is an attack on the stack, or an object that holds itself. */
const MAX_DEPTH = 64;

/** A deep copy of a JSON object in which float arrays have become plain arrays of numbers. */
export function cloneJson(object: JsonObject): JsonObject {
  return cloneValue(object, 0) as JsonObject;
}

function cloneValue(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Float32Array || value instanceof Float64Array) return Array.from(value);
  if (depth > MAX_DEPTH) unwanted(value, `JSON nested ${depth} levels deep`, `at most ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) return value.map((entry) => cloneValue(entry, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, cloneValue(field, depth + 1)]));
}
