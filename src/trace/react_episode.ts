/**
 * What a trace says about an agent's episode: which of its actions are steps of the ReAct policy, and what was seen,
 * done and expected at each. Decided once, when a trace is stored, so that training reads columns and not JSON.
 *
 * A step is an action of type `react_step`, or any other action (`tool_use`, `graph_traversal`, ...) whose metadata hold
 * an object `react`: `{state, value, reward?, done?, action?}`. The action taken is `react.action`, else
 * `parameters.action`, else `parameters.tool_name`.
 *
 * @module
 */
import { expectNumber, expectObject, expectText, type JsonObject, unwanted } from "../base/check.ts";
import type { Action } from "./action.ts";
import type { ExecutionTrace, Recorded } from "./execution_trace.ts";
import { embeddingOf } from "./gating_decision.ts";

/** The type of actions that `ExecutionTrace.addReActStep` makes. */
export const REACT_STEP = "react_step";

/** What a service knows when its agent has taken a step; see `ReActPolicy.sample`. */
export interface ReActStep extends Recorded {
  /** [stateDim] what the policy was given, finite numbers; the same length at every step. Kept as float32. */
  readonly state: Float32Array | readonly number[];
  /** Name of the action that was taken. */
  readonly action: string;
  /** The critic's value of the state, as the policy said it. */
  readonly value: number;
  /** What the step itself was worth; by default 0, or the feedback's score at the last step. */
  readonly reward?: number | undefined;
  /** Whether the episode ended with the step; false by default. No step may follow. */
  readonly done?: boolean | undefined;
  /** What the action was called with; kept, never read. */
  readonly arguments?: JsonObject | undefined;
}

/** The numbers of a step; what was not logged is null, and decided on by who trains. */
export interface ReActStepRecord {
  /** Name of the action that was taken. */
  readonly action: string | null;
  /** Natural logarithm of the probability with which it was taken, at most 0. */
  readonly logProb: number;
  /** The critic's value of the state. */
  readonly value: number | null;
  /** The step's own reward. */
  readonly reward: number | null;
  /** Whether the episode ended with the step. */
  readonly done: boolean;
}

/** The episode that a trace records. */
export interface ReActEpisode {
  /** In the order in which they were taken; empty where the policy took no part. */
  readonly steps: readonly ReActStepRecord[];
  /** [steps, stateDim] the states; null where one is missing, or where they differ in length. */
  readonly states: Float32Array | null;
}

/** Parameters and metadata of the action that stands for a step. Throws on anything that training could not use. */
export function reactAction(step: ReActStep, where: string): { parameters: JsonObject; metadata: JsonObject } {
  if (step.metadata?.react !== undefined) {
    unwanted(step.metadata.react, `${where}.metadata.react`, "nothing: the step itself stands there");
  }
  const { state, value, reward, done } = step;
  const react = { state, value, ...(reward === undefined ? {} : { reward }), ...(done === undefined ? {} : { done }) };
  const parameters = {
    action: expectText(step.action, `${where}.parameters.action`),
    arguments: expectObject(step.arguments ?? {}, `${where}.parameters.arguments`),
  };
  if (state === undefined || state === null) unwanted(state, `${where}.metadata.react.state`, "an array of numbers");
  expectNumber(value, `${where}.metadata.react.value`);
  const metadata = { ...step.metadata, react };
  readStep({ parameters, metadata, logProb: step.logProb }, where);
  return { parameters, metadata };
}

/** Whether the action is a step of the ReAct policy. */
export function isReActStep({ actionType, metadata }: Pick<Action, "actionType" | "metadata">): boolean {
  return actionType === REACT_STEP || (metadata.react !== undefined && metadata.react !== null);
}

/** Reads the episode of a trace. Throws when a step's state or one of its numbers is there and cannot be used. */
export function reactEpisode(trace: ExecutionTrace): ReActEpisode {
  const read = trace.actions.filter(isReActStep)
    .map((action, t) => readStep(action, `ReAct step ${t} of query ${trace.queryId}`));
  return { steps: read.map(({ step }) => step), states: joined(read.map(({ state }) => state)) };
}

function readStep(
  { parameters, metadata, logProb }: Pick<Action, "parameters" | "metadata" | "logProb">,
  where: string,
): { readonly step: ReActStepRecord; readonly state: Float32Array | null } {
  const react = expectObject(metadata.react ?? {}, `${where}: react`);
  const optional = <T>(given: unknown, read: (given: unknown) => T): T | null =>
    given === undefined || given === null ? null : read(given);
  const action = react.action ?? parameters.action ?? parameters.tool_name;
  return {
    step: {
      action: optional(action, (given) => expectText(given, `${where}: action`)),
      logProb,
      value: optional(react.value, (given) => expectFloat(given, `${where}: value`)),
      reward: optional(react.reward, (given) => expectFloat(given, `${where}: reward`)),
      done: optional(react.done, (given) => {
        if (typeof given !== "boolean") unwanted(given, `${where}: done`, "true or false");
        return given;
      }) ?? false,
    },
    state: optional(react.state, (given) => embeddingOf(given, `${where}: state`)),
  };
}

/** A number that float32, in which training computes, can hold. */
function expectFloat(value: unknown, where: string): number {
  const number = expectNumber(value, where);
  return Number.isFinite(Math.fround(number)) ? number : unwanted(value, where, "a finite float32 number");
}

function joined(states: readonly (Float32Array | null)[]): Float32Array | null {
  const length = states[0]?.length ?? 0;
  if (length === 0 || states.some((state) => state?.length !== length)) return null;
  const all = new Float32Array(states.length * length);
  for (const [t, state] of states.entries()) all.set(state!, t * length);
  return all;
}
