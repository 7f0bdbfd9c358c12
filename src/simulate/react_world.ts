/**
 * A research task whose best policy is known: an agent has to gather the sources that a question needs, and then to
 * answer. What it needs, it has to learn from what its answers earn.
 *
 * A question is of one of four kinds. Each kind needs two or three sources, found by one action each; a source can only
 * be read once the search that leads to it is done, so the order matters. `final_answer` with all sources ends the episode
 * and earns 1; without one it is sent back, and only a step is lost. `stop_and_summarize` always ends the episode and earns
 * half the share of the sources that was gathered. Every step before the last costs the configured step penalty. After
 * {@link MAX_STEPS} steps the episode ends with nothing.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import { REACT_ACTIONS } from "../policy/react_policy.ts";

/** Steps after which an episode ends by itself. */
export const MAX_STEPS = 10;

/** What each kind of question needs, in the order in which it has to be gathered; indices of actions. */
const NEEDS: readonly (readonly number[])[] = [
  [0, 1],
  [3, 4],
  [0, 1, 2],
  [3, 1, 4],
];

const FINAL_ANSWER = REACT_ACTIONS.indexOf("final_answer");
const STOP = REACT_ACTIONS.indexOf("stop_and_summarize");

/** Where an episode stands. */
export interface ReActSituation {
  /** Kind of the question, from 0. */
  readonly kind: number;
  /** How many of the needed sources have been gathered. */
  readonly gathered: number;
  /** Steps taken so far. */
  readonly steps: number;
}

/** What a step led to. */
export interface ReActOutcome {
  /** Where the episode stands now. */
  readonly situation: ReActSituation;
  /** Whether it has ended. */
  readonly done: boolean;
  /** What the answer earned, in [0, 1]; 0 before the end. */
  readonly reward: number;
}

/** The simulated task. */
export class ReActWorld {
  /** Length of a state. */
  readonly stateDim: number;
  readonly #random: Random;
  readonly #features: readonly Float32Array[];
  readonly #noise: number;

  /**
   * A world whose states are random directions of length 1, one for each kind and each kind's progress, with noise.
   *
   * @param options `noise`: length of the noise beside the state's own 1, 0.3 by default
   */
  constructor(options: { readonly seed: number; readonly stateDim: number; readonly noise?: number }) {
    this.stateDim = options.stateDim;
    this.#random = new Random(options.seed);
    this.#noise = options.noise ?? 0.3;
    const situations = NEEDS.length * (Math.max(...NEEDS.map((needs) => needs.length)) + 1);
    this.#features = Array.from({ length: situations }, () => this.#direction());
  }

  /** A new question. */
  begin(): ReActSituation {
    return { kind: this.#random.below(NEEDS.length), gathered: 0, steps: 0 };
  }

  /** What the agent sees: [stateDim], of length 1. */
  observe({ kind, gathered }: ReActSituation): Float32Array {
    const [feature, noise] = [this.#features[kind * 4 + gathered]!, this.#direction()];
    return unit(feature.map((x, i) => x + this.#noise * noise[i]!));
  }

  /** Takes a step; nothing about it is random. */
  step(situation: ReActSituation, action: number): ReActOutcome {
    const needs = NEEDS[situation.kind]!;
    const steps = situation.steps + 1;
    const share = situation.gathered / needs.length;
    if (action === STOP || action === FINAL_ANSWER && share === 1) {
      return { situation: { ...situation, steps }, done: true, reward: action === STOP ? share / 2 : 1 };
    }
    const gathered = situation.gathered + (needs[situation.gathered] === action ? 1 : 0);
    return { situation: { ...situation, gathered, steps }, done: steps === MAX_STEPS, reward: 0 };
  }

  /** Mean return of the best policy over all kinds: gather what is needed, answer. Found by trying all policies of a kind. */
  optimum(stepPenalty: number): number {
    const values = NEEDS.map((_, kind) => this.#best({ kind, gathered: 0, steps: 0 }, stepPenalty));
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  }

  /** Value of a situation under the best policy, by dynamic programming over all that can follow. */
  #best(situation: ReActSituation, stepPenalty: number, known = new Map<string, number>()): number {
    const key = `${situation.gathered} ${situation.steps}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    let best = -Infinity;
    for (let action = 0; action < REACT_ACTIONS.length; action++) {
      const { situation: next, done, reward } = this.step(situation, action);
      best = Math.max(best, done ? reward : reward + stepPenalty + this.#best(next, stepPenalty, known));
    }
    known.set(key, best);
    return best;
  }

  #direction(): Float32Array {
    return unit(Float32Array.from({ length: this.stateDim }, () => this.#random.normal()));
  }
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return vector.map((x) => x / length);
}
