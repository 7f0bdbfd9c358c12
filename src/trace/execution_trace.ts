/**
 * The record of one answered query: every action with its log probability, in order.
 *
 * @module
 */
import {
  expectArray,
  expectNumber,
  expectObject,
  expectText,
  expectTimestamp,
  type JsonObject,
} from "../base/check.ts";
import { type Action, actionFromJson, type ActionJson, actionToJson, cloneJson } from "./action.ts";
import { REACT_STEP, reactAction, type ReActStep } from "./react_episode.ts";

/** An {@link ExecutionTrace} as JSON. */
export interface ExecutionTraceJson {
  /** The query that was answered. */
  readonly query_id: string;
  /** In the order in which they were taken. */
  readonly actions: readonly ActionJson[];
  /** Sum of the actions' `log_prob`; 0 without actions. Ignored on reading. */
  readonly total_log_prob: number;
  /** Free-form JSON of the whole trace; may hold `query_embedding`. */
  readonly metadata: JsonObject;
  /** A reward known at logging time, any finite number. */
  readonly reward: number | null;
  /** When the trace was begun, ISO 8601 in UTC. */
  readonly created_at: string;
}

/** What {@link ExecutionTrace.summary} tells. */
export interface ExecutionTraceSummary {
  /** The query that was answered. */
  readonly query_id: string;
  /** Actions of all types. */
  readonly num_actions: number;
  /** How many actions there are of each type that occurs. */
  readonly action_types: Readonly<Record<string, number>>;
  /** Sum of the log probabilities in nats, at most 0. */
  readonly total_log_prob: number;
  /** Their mean, 0 without actions. */
  readonly average_log_prob: number;
  /** Whether a reward was set; 0 counts. */
  readonly has_reward: boolean;
  /** A reward known at logging time, any finite number. */
  readonly reward: number | null;
  /** When the trace was begun, ISO 8601 in UTC. */
  readonly created_at: string;
}

/** What every adder takes besides the decision itself. */
export interface Recorded {
  /** Natural logarithm of the decision's probability, at most 0. */
  readonly logProb: number;
  /** Free-form JSON, kept in snake_case. */
  readonly metadata?: JsonObject | undefined;
}

/** The record of one answered query. Grows by its adders; everything read from it is immutable. */
export class ExecutionTrace {
  /** The query that was answered. */
  readonly queryId: string;
  /** When the trace was begun, ISO 8601 in UTC. */
  readonly createdAt: string;
  /** Free-form JSON of the whole trace; may hold `query_embedding`. */
  readonly metadata: JsonObject;
  #actions: Action[] = [];
  #reward: number | null = null;

  /** Begins a trace; `createdAt` defaults to now. Throws on an empty or overlong query id or a broken date. */
  constructor(init: { queryId: string; metadata?: JsonObject; createdAt?: string }) {
    this.queryId = expectText(init.queryId, "trace.query_id");
    this.metadata = cloneJson(expectObject(init.metadata ?? {}, "trace.metadata"));
    this.createdAt = init.createdAt === undefined
      ? new Date().toISOString()
      : expectTimestamp(init.createdAt, "trace.created_at");
  }

  /** Reads a trace from JSON; only `query_id` is required. `total_log_prob` is recomputed, whatever the JSON says. */
  static fromJSON(value: unknown): ExecutionTrace {
    const json = expectObject(value, "trace");
    const optional = <K extends string, V>(key: K, given: unknown, read: (given: unknown) => V): { [k in K]?: V } =>
      given === undefined || given === null ? {} : { [key]: read(given) } as { [k in K]?: V };
    const trace = new ExecutionTrace({
      queryId: json.query_id as string,
      ...optional("metadata", json.metadata, (given) => given as JsonObject),
      ...optional("createdAt", json.created_at, (given) => given as string),
    });
    const actions = json.actions === undefined ? [] : expectArray(json.actions, "trace.actions");
    for (const [i, action] of actions.entries()) {
      trace.addAction(actionFromJson(action, `trace.actions[${i}]`, trace.createdAt));
    }
    if (json.reward !== undefined && json.reward !== null) trace.setReward(json.reward as number);
    return trace;
  }

  /** The actions in the order in which they were added. */
  get actions(): readonly Action[] {
    return this.#actions;
  }

  /** The sum of the actions' log probabilities; always computed, never stored. */
  get totalLogProb(): number {
    return this.#actions.reduce((sum, action) => sum + action.logProb, 0);
  }

  /** Mean log probability of the actions, 0 if there are none. */
  get averageLogProb(): number {
    return this.#actions.length === 0 ? 0 : this.totalLogProb / this.#actions.length;
  }

  /** Number of actions. */
  get numActions(): number {
    return this.#actions.length;
  }

  /** A reward known at logging time, or null. Training uses the stored feedback, not this. */
  get reward(): number | null {
    return this.#reward;
  }

  /** Whether a reward was set; 0 counts. */
  get hasReward(): boolean {
    return this.#reward !== null;
  }

  /** Appends a copy of an action. Throws when its log probability is not a finite number of at most 0. */
  addAction(action: Action): this {
    const where = `trace.actions[${this.#actions.length}]`;
    this.#actions.push({
      actionType: expectText(action.actionType, `${where}.action_type`),
      parameters: cloneJson(expectObject(action.parameters, `${where}.parameters`)),
      logProb: expectNumber(action.logProb, `${where}.log_prob`, -Infinity, 0),
      timestamp: expectTimestamp(action.timestamp, `${where}.timestamp`),
      metadata: cloneJson(expectObject(action.metadata, `${where}.metadata`)),
    });
    return this;
  }

  /** Appends the choice of an expert. Set `metadata.source` to `gating_policy` if the gating policy made it. */
  addExpertSelection(choice: Recorded & { expertType: string; weight: number }): this {
    const where = `trace.actions[${this.#actions.length}].parameters`;
    return this.#add("expert_selection", choice, {
      expert_type: expectText(choice.expertType, `${where}.expert_type`),
      weight: expectNumber(choice.weight, `${where}.weight`, 0),
    });
  }

  /** Appends a step along a relation of the knowledge graph. */
  addGraphTraversal(
    step: Recorded & { relationType: string; weight: number; sourceNode?: string; targetNode?: string },
  ): this {
    const where = `trace.actions[${this.#actions.length}].parameters`;
    return this.#add("graph_traversal", step, {
      relation_type: expectText(step.relationType, `${where}.relation_type`),
      weight: expectNumber(step.weight, `${where}.weight`, 0),
      source_node: step.sourceNode ?? null,
      ...(step.targetNode === undefined ? {} : { target_node: step.targetNode }),
    });
  }

  /** Appends the use of a tool with its arguments. */
  addToolUse(use: Recorded & { toolName: string; parameters?: JsonObject }): this {
    const where = `trace.actions[${this.#actions.length}].parameters`;
    return this.#add("tool_use", use, {
      tool_name: expectText(use.toolName, `${where}.tool_name`),
      tool_parameters: use.parameters ?? {},
    });
  }

  /**
   * Appends a step of an agent that the ReAct policy steers: what it saw, what it did, with which probability, and what
   * the critic expected. The steps of a trace, in order, are one episode, which its feedback ends.
   */
  addReActStep(step: ReActStep): this {
    const { parameters, metadata } = reactAction(step, `trace.actions[${this.#actions.length}]`);
    return this.#add(REACT_STEP, { logProb: step.logProb, metadata }, parameters);
  }

  /** Appends the generation of an expert's prompt. */
  addPromptAction(
    prompt: Recorded & { expertType: string; promptVersion: string; modulationVector?: readonly number[] },
  ): this {
    const where = `trace.actions[${this.#actions.length}].parameters`;
    return this.#add("prompt_generation", prompt, {
      expert_type: expectText(prompt.expertType, `${where}.expert_type`),
      prompt_version: expectText(prompt.promptVersion, `${where}.prompt_version`),
      modulation_vector: prompt.modulationVector ?? null,
    });
  }

  /** Sets the reward known at logging time; any finite number. */
  setReward(reward: number): this {
    this.#reward = expectNumber(reward, "trace.reward");
    return this;
  }

  /** The actions of one type, in order. */
  actionsOfType(actionType: string): readonly Action[] {
    return this.#actions.filter((action) => action.actionType === actionType);
  }

  /** Counts for a log line or a table. */
  summary(): ExecutionTraceSummary {
    const actionTypes = new Map<string, number>();
    for (const { actionType } of this.#actions) actionTypes.set(actionType, (actionTypes.get(actionType) ?? 0) + 1);
    return {
      query_id: this.queryId,
      num_actions: this.numActions,
      action_types: Object.fromEntries(actionTypes),
      total_log_prob: this.totalLogProb,
      average_log_prob: this.averageLogProb,
      has_reward: this.hasReward,
      reward: this.#reward,
      created_at: this.createdAt,
    };
  }

  /** The trace as JSON; shares no object with the trace. */
  toJSON(): ExecutionTraceJson {
    return {
      query_id: this.queryId,
      actions: this.#actions.map(actionToJson),
      total_log_prob: this.totalLogProb,
      metadata: cloneJson(this.metadata),
      reward: this.#reward,
      created_at: this.createdAt,
    };
  }

  #add(actionType: string, recorded: Recorded, parameters: JsonObject): this {
    return this.addAction({
      actionType,
      parameters,
      logProb: recorded.logProb,
      timestamp: new Date().toISOString(),
      metadata: recorded.metadata ?? {},
    });
  }
}
