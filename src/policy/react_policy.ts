/**
 * The ReActPolicy: the state of an agent in, the next action and the value of the state out.
 *
 * Actor and critic are two networks of the same inner sizes, `stateDim -> hiddenDim -> hiddenDim/2 -> numActions | 1`,
 * each on an engine of its own. What a state is, is the service's affair: any vector of fixed length, such as the
 * query's embedding followed by what has been found so far.
 *
 * @module
 */
import { REACT_ACTIONS } from "../trace/vocabulary.ts";
import { RlcfError } from "../base/errors.ts";
import { createLastingEngine, type EngineEntry } from "../engine/create.ts";
import type { BackendName, NetworkShape, PolicyEngine } from "../engine/engine.ts";
import { type EngineFallback, FallbackEngine } from "../engine/fallback.ts";
import { initialState } from "../engine/network.ts";
import { GatingPolicy, type SampleOptions } from "./gating_policy.ts";
import { exportStateDict, importStateDict, type StateDict } from "./state_dict.ts";

export { REACT_ACTIONS };

/** What {@link ReActPolicy.create} takes. */
export interface ReActPolicyOptions {
  /** Length of a state; 1024 by default. */
  readonly stateDim?: number | undefined;
  /** Width of the first hidden layer, the second is half as wide; 0 is a linear policy. 256 by default. */
  readonly hiddenDim?: number | undefined;
  /** Names of the actions in the order of the outputs; {@link REACT_ACTIONS} by default. */
  readonly actions?: readonly string[] | undefined;
  /** Seed of the initial weights; 0 by default. */
  readonly seed?: number | undefined;
  /** Where to compute; `auto` by default. */
  readonly backend?: BackendName | "auto" | undefined;
  /** Factor on the inputs; by default the power of two nearest to sqrt(stateDim), for states of unit length. */
  readonly inputScale?: number | undefined;
  /** Engines to choose from, the best first; those of this build by default. */
  readonly engines?: readonly EngineEntry[] | undefined;
}

/** What the policy says of n states. */
export interface ReActOutputs {
  /** [n, numActions] probabilities; each row sums to 1. */
  readonly probs: Float32Array;
  /** [n, numActions] natural logarithms of the probabilities. */
  readonly logProbs: Float32Array;
  /** [n] the critic's expected return of each state, discounted. */
  readonly values: Float32Array;
}

/** An action with its true probability and the state's value: what a service should log. */
export interface ReActChoice {
  /** Its name; log it as `action`. */
  readonly action: string;
  /** Its place in the policy's `actions`, from 0. */
  readonly index: number;
  /** Natural logarithm of the probability with which it was taken; 0 for a greedy choice, which had no alternative. */
  readonly logProb: number;
  /** The critic's expected return of the state. */
  readonly value: number;
  /** [numActions] the probabilities of all actions. */
  readonly probs: Float32Array;
}

/** An actor and a critic. Release them with `await using` or `close()`. */
export class ReActPolicy implements AsyncDisposable {
  /** Names of the actions in the order of the outputs. */
  readonly actions: readonly string[];
  /** The engine of the critic; trainers train through it. */
  readonly critic: PolicyEngine;
  readonly #actor: GatingPolicy;

  private constructor(actor: GatingPolicy, critic: PolicyEngine) {
    this.#actor = actor;
    this.actions = actor.experts;
    this.critic = critic;
  }

  /** Builds a policy with seeded initial weights. Throws on impossible sizes or an unavailable backend. */
  static async create(options: ReActPolicyOptions = {}): Promise<ReActPolicy> {
    const { stateDim = 1024, hiddenDim, actions = REACT_ACTIONS, seed = 0, backend = "auto", inputScale } = options;
    // Choosing among actions is choosing among experts: softmax, temperature and draws are the same.
    const actor = await GatingPolicy.create({
      inputDim: stateDim,
      hiddenDim,
      experts: actions,
      seed,
      backend,
      inputScale,
      engines: options.engines,
    });
    try {
      const shape: NetworkShape = { ...actor.shape, outputs: 1 };
      const { engine } = await createLastingEngine(shape, { backend }, options.engines);
      await engine.load(initialState(shape, criticSeed(seed)));
      return new ReActPolicy(actor, engine);
    } catch (error) {
      await actor.close();
      throw error;
    }
  }

  /** Number of actions. */
  get numActions(): number {
    return this.actions.length;
  }

  /** The engine of the actor; trainers train through it. */
  get actor(): PolicyEngine {
    return this.#actor.engine;
  }

  /** The changes of backend that failures of a GPU have forced, at most one for each network. */
  get fallbacks(): readonly EngineFallback[] {
    return [...this.#actor.fallbacks, ...this.critic instanceof FallbackEngine ? this.critic.fallbacks : []];
  }

  /** The actor's sizes; the critic's differ only in having one output. */
  get shape(): NetworkShape {
    return this.#actor.shape;
  }

  /** Why this backend was chosen, in words. */
  get backendReason(): string {
    return this.#actor.backendReason;
  }

  /**
   * Judges states.
   *
   * @param states n vectors, or a Float32Array [n, stateDim]; every entry finite
   */
  async forward(states: readonly (readonly number[] | Float32Array)[] | Float32Array): Promise<ReActOutputs> {
    const flat = this.#flatten(states);
    const { weights, logProbs } = await this.#actor.forward(flat);
    return { probs: weights, logProbs, values: await this.critic.forward(flat) };
  }

  /** Draws an action for one state and says with which probability, so that the log can be learned from. */
  async sample(state: readonly number[] | Float32Array, options: SampleOptions = {}): Promise<ReActChoice> {
    const flat = this.#flatten([state]);
    const { expert, index, logProb, weights } = await this.#actor.sample(flat, options);
    return { action: expert, index, logProb, value: (await this.critic.forward(flat))[0]!, probs: weights };
  }

  /** The most probable action, the first one of equals. */
  async greedy(state: readonly number[] | Float32Array): Promise<ReActChoice> {
    const { probs, values } = await this.forward([state]);
    const index = probs.indexOf(probs.reduce((largest, p) => Math.max(largest, p)));
    return { action: this.actions[index]!, index, logProb: 0, value: values[0]!, probs };
  }

  /**
   * A copy of the weights in torch's names and layout, for unscaled states: `actor.0.weight`, ..., `critic.6.bias`, as a
   * module with the two Sequentials `actor` and `critic` has them.
   */
  async stateDict(): Promise<StateDict> {
    return {
      ...prefixed("actor", await this.#actor.stateDict()),
      ...prefixed("critic", exportStateDict(await this.critic.read())),
    };
  }

  /** Replaces the weights; the optimizers start afresh. Throws on missing, extra or misshapen tensors. */
  async loadStateDict(state: StateDict): Promise<void> {
    for (const name of Object.keys(state)) {
      if (/^(actor|critic)\./.test(name)) continue;
      throw new RlcfError("usage", `cannot load weights: found tensor ${name}, wanted names as actor.0.weight`);
    }
    // Both are checked before either is replaced.
    const critic = importStateDict(this.critic.shape, unprefixed("critic", state));
    await this.actor.load(importStateDict(this.shape, unprefixed("actor", state)));
    await this.critic.load(critic);
  }

  /** Releases the engines. */
  async close(): Promise<void> {
    await this.#actor.close();
    await this.critic[Symbol.asyncDispose]();
  }

  /** Releases the engines. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #flatten(states: readonly (readonly number[] | Float32Array)[] | Float32Array): Float32Array {
    const { inputDim } = this.shape;
    if (states instanceof Float32Array) {
      if (states.length % inputDim === 0) return states;
      throw new RlcfError(
        "usage",
        `cannot judge states: found ${states.length} numbers, wanted a multiple of stateDim ${inputDim}`,
      );
    }
    const flat = new Float32Array(states.length * inputDim);
    for (const [i, state] of states.entries()) {
      if (state.length !== inputDim) {
        throw new RlcfError(
          "usage",
          `cannot judge states: state ${i} has ${state.length} numbers, wanted stateDim ${inputDim}`,
        );
      }
      flat.set(state, i * inputDim);
    }
    return flat;
  }
}

/** The critic's seed: with the actor's own, the two would start with the same hidden layers. */
function criticSeed(seed: number): number {
  return (seed + 0x9e3779b9) >>> 0;
}

function prefixed(network: string, state: StateDict): StateDict {
  return Object.fromEntries(Object.entries(state).map(([name, tensor]) => [`${network}.${name}`, tensor]));
}

function unprefixed(network: string, state: StateDict): StateDict {
  const prefix = `${network}.`;
  return Object.fromEntries(
    Object.entries(state).filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
}
