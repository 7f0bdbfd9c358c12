/**
 * What a log of ReAct episodes can teach, as columns. A trajectory is one answered query with the feedback on it; what
 * cannot teach is counted by reason, and no number that was not logged is ever made up.
 *
 * Index letters: N trajectories, S steps of all of them, D numbers of a state.
 *
 * @module
 */
import type { TrajectoryRow } from "../store/persistence.ts";

/** Why a feedback row cannot be used for the ReAct policy. */
export type TrajectorySkipReason =
  /** No action of the trace is a step of the ReAct policy. */
  | "no_react_steps"
  /** A step has no state, or the states of the trace differ in length. */
  | "no_state"
  /** The states' length is not the network's input. */
  | "wrong_dimension"
  /** A step has no value of the critic. */
  | "no_value"
  /** A number of the log is NaN or infinite. */
  | "not_finite"
  /** A step names an action that the policy does not have. */
  | "unknown_action"
  /** A step's logged probability is 0 in float32: its importance weight would be infinite. */
  | "zero_propensity"
  /** A step follows one that was logged as the episode's end. */
  | "steps_after_done"
  /** The user's authority is 0, so the feedback would weigh nothing. */
  | "zero_authority";

/** How many feedback rows were left out, by reason. */
export type TrajectorySkipCounts = Readonly<Partial<Record<TrajectorySkipReason, number>>>;

/** Trajectories as columns; trajectory n has the steps from `offsets[n]` to below `offsets[n + 1]`. */
export interface TrajectorySet {
  /** Number of trajectories N. */
  readonly size: number;
  /** Number of steps S of all trajectories. */
  readonly steps: number;
  /** Length D of a state. */
  readonly stateDim: number;
  /** Names of the actions, in the order of the network's outputs. */
  readonly actionNames: readonly string[];
  /** [N + 1] where each trajectory's steps begin; the last entry is S. */
  readonly offsets: Uint32Array;
  /** [S, D] states as they were logged. */
  readonly states: Float32Array;
  /** [S] index of the action that was taken. */
  readonly actions: Uint32Array;
  /** [S] natural logarithm of the probability with which it was taken, at most 0. */
  readonly oldLogProbs: Float32Array;
  /** [S] the critic's value of the state when the step was taken. */
  readonly values: Float32Array;
  /** [S] logged rewards; the last step of a trajectory has its own where it was logged, else the feedback's score. */
  readonly rewards: Float64Array;
  /** [S] 1 at the last step of each trajectory, which the feedback ends, and 0 elsewhere. */
  readonly dones: Uint8Array;
  /** [N] summed weight of the feedback (authority, or 1 each). */
  readonly sampleWeights: Float64Array;
  /** [N] mean score of the feedback, weighted by authority, in [0, 1]; the last reward where none was logged. */
  readonly scores: Float64Array;
  /** [N] the query, which decides between training and holdout. */
  readonly queryIds: readonly string[];
  /** [N] the user of the first feedback read on the trajectory; null where nobody is named. */
  readonly userIds: readonly (string | null)[];
  /** Feedback rows that make up the trajectories; several may share one. */
  readonly feedbackRows: number;
  /** Feedback rows left out, by reason. */
  readonly skipped: TrajectorySkipCounts;
}

/** How rows become trajectories. */
export interface TrajectoryOptions {
  /** Length D of a state. */
  readonly stateDim: number;
  /** Names of the policy's actions. */
  readonly actionNames: readonly string[];
  /** `authority`: feedback weighs by its user's authority. `none`: all alike. */
  readonly feedbackWeighting: "authority" | "none";
}

/** What is kept of a trajectory until the columns are made. */
interface Collected {
  readonly row: TrajectoryRow;
  /** [T, D] a copy: the row's own may not outlive its page. */
  readonly states: Float32Array;
  weight: number;
  scoreSum: number;
}

/**
 * Collects rows into columns. Several feedback rows on one trace become one trajectory: their mean score, weighted by
 * authority, carrying their summed weight.
 */
export class TrajectorySetBuilder {
  readonly #options: TrajectoryOptions;
  readonly #actionIndex: ReadonlyMap<string, number>;
  readonly #collected = new Map<string, Collected>();
  readonly #skipped: Partial<Record<TrajectorySkipReason, number>> = {};
  #feedbackRows = 0;

  /** An empty collection. */
  constructor(options: TrajectoryOptions) {
    this.#options = options;
    this.#actionIndex = new Map(options.actionNames.map((action, i) => [action, i]));
  }

  /** Adds a row; returns why it was left out, or undefined. */
  add(row: TrajectoryRow): TrajectorySkipReason | undefined {
    const weight = this.#options.feedbackWeighting === "authority" ? row.userAuthority : 1;
    const known = this.#collected.get(row.traceId);
    const reason = reasonToSkipFeedback(row, weight) ?? (known === undefined ? this.#reasonToSkip(row) : undefined);
    if (reason !== undefined) {
      this.#skipped[reason] = (this.#skipped[reason] ?? 0) + 1;
      return reason;
    }
    const trajectory = known ?? { row, states: row.states!.slice(), weight: 0, scoreSum: 0 };
    trajectory.weight += weight;
    trajectory.scoreSum += weight * row.score;
    this.#collected.set(row.traceId, trajectory);
    this.#feedbackRows++;
    return undefined;
  }

  /** The columns so far. */
  build(): TrajectorySet {
    const { stateDim, actionNames } = this.#options;
    const collected = [...this.#collected.values()];
    const offsets = new Uint32Array(collected.length + 1);
    for (const [n, { row }] of collected.entries()) offsets[n + 1] = offsets[n]! + row.steps!.length;
    const steps = offsets.at(-1)!;
    const set = {
      size: collected.length,
      steps,
      stateDim,
      actionNames,
      offsets,
      states: new Float32Array(steps * stateDim),
      actions: new Uint32Array(steps),
      oldLogProbs: new Float32Array(steps),
      values: new Float32Array(steps),
      rewards: new Float64Array(steps),
      dones: new Uint8Array(steps),
      sampleWeights: Float64Array.from(collected, ({ weight }) => weight),
      scores: Float64Array.from(collected, ({ weight, scoreSum }) => scoreSum / weight),
      queryIds: collected.map(({ row }) => row.queryId),
      userIds: collected.map(({ row }) => row.userId),
      feedbackRows: this.#feedbackRows,
      skipped: { ...this.#skipped },
    };
    for (const [n, { row, states }] of collected.entries()) {
      set.states.set(states, offsets[n]! * stateDim);
      for (const [t, step] of row.steps!.entries()) {
        const s = offsets[n]! + t;
        set.actions[s] = this.#actionIndex.get(step.action!)!;
        set.oldLogProbs[s] = step.logProb;
        set.values[s] = step.value!;
        set.rewards[s] = step.reward ?? 0;
      }
      // The feedback judges the whole answer: it ends the episode, whether or not the service said so.
      const last = offsets[n + 1]! - 1;
      set.dones[last] = 1;
      if (row.steps!.at(-1)!.reward === null) set.rewards[last] = set.scores[n]!;
    }
    return set;
  }

  #reasonToSkip({ steps, states }: TrajectoryRow): TrajectorySkipReason | undefined {
    if (steps === null || steps.length === 0) return "no_react_steps";
    if (states === null) return "no_state";
    if (states.length !== steps.length * this.#options.stateDim) return "wrong_dimension";
    if (!states.every(Number.isFinite)) return "not_finite";
    for (const [t, { action, logProb, value, reward, done }] of steps.entries()) {
      if (action === null || !this.#actionIndex.has(action)) return "unknown_action";
      if (value === null) return "no_value";
      if (![logProb, value, reward ?? 0].every(Number.isFinite)) return "not_finite";
      if (Math.fround(Math.exp(logProb)) === 0 || !Number.isFinite(Math.fround(Math.exp(-logProb)))) {
        return "zero_propensity";
      }
      if (done && t + 1 < steps.length) return "steps_after_done";
    }
    return undefined;
  }
}

/** Why a feedback row cannot be used, whatever its trace says. */
function reasonToSkipFeedback({ score }: TrajectoryRow, weight: number): TrajectorySkipReason | undefined {
  if (weight === 0) return "zero_authority";
  return Number.isFinite(weight) && Number.isFinite(score) ? undefined : "not_finite";
}
