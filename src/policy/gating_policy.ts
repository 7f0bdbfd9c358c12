/**
 * The GatingPolicy: a query's embedding in, weights over the experts out.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { createLastingEngine, type EngineEntry } from "../engine/create.ts";
import type { BackendName, NetworkShape, PolicyEngine } from "../engine/engine.ts";
import { type EngineFallback, FallbackEngine } from "../engine/fallback.ts";
import { defaultInputScale, initialState } from "../engine/network.ts";
import { logSoftmax } from "../loss/heads.ts";
import { exportStateDict, importStateDict, type StateDict } from "./state_dict.ts";

/** The experts of the specification, in its order. */
export const DEFAULT_EXPERTS: readonly string[] = ["literal", "systemic", "principles", "precedent"];

/** What {@link GatingPolicy.create} takes. */
export interface GatingPolicyOptions {
  /** Length of an embedding; 768 by default. */
  readonly inputDim?: number | undefined;
  /** Width of the first hidden layer, the second is half as wide; 0 is a linear policy. 256 by default. */
  readonly hiddenDim?: number | undefined;
  /** Names of the experts in the order of the outputs. */
  readonly experts?: readonly string[] | undefined;
  /** Instead of `experts`: the specification's four for 4, else `expert_0`, `expert_1`, ... */
  readonly numExperts?: number | undefined;
  /** Seed of the initial weights; 0 by default. */
  readonly seed?: number | undefined;
  /** Where to compute; `auto` by default. */
  readonly backend?: BackendName | "auto" | undefined;
  /** Factor on the inputs; by default the power of two nearest to sqrt(inputDim), for unit-length embeddings. */
  readonly inputScale?: number | undefined;
  /** Engines to choose from, the best first; those of this build by default. */
  readonly engines?: readonly EngineEntry[] | undefined;
}

/** Routing of n queries over the experts. */
export interface Routing {
  /** [n, numExperts] probabilities; each row sums to 1. */
  readonly weights: Float32Array;
  /** [n, numExperts] natural logarithms of the weights. */
  readonly logProbs: Float32Array;
}

/** How to draw an expert. */
export interface SampleOptions {
  /** Divides the logits: above 1 explores more, below 1 less. 1 by default. */
  readonly temperature?: number | undefined;
  /** Share of uniform exploration mixed in, in [0, 1]. 0 by default. */
  readonly epsilon?: number | undefined;
  /** Seed of the draw; random by default. */
  readonly seed?: number | undefined;
}

/** A drawn expert with its true probability: what a service should log. */
export interface SampledExpert {
  /** Its name; log it as `expertType`. */
  readonly expert: string;
  /** Its place in the policy's `experts`, from 0. */
  readonly index: number;
  /** Probability with which it was drawn, temperature and epsilon included. */
  readonly weight: number;
  /** Natural logarithm of `weight`. */
  readonly logProb: number;
  /** [numExperts] the probabilities of all experts. */
  readonly weights: Float32Array;
}

/** A policy network on one engine. Release it with `await using` or `close()`. */
export class GatingPolicy implements AsyncDisposable {
  /** Names of the experts in the order of the outputs. */
  readonly experts: readonly string[];
  /** The engine that holds the weights; trainers train through it. */
  readonly engine: PolicyEngine;
  /** Why this backend was chosen, in words. */
  readonly backendReason: string;

  private constructor(experts: readonly string[], engine: PolicyEngine, backendReason: string) {
    this.experts = experts;
    this.engine = engine;
    this.backendReason = backendReason;
  }

  /** Builds a policy with seeded initial weights. Throws on impossible sizes or an unavailable backend. */
  static async create(options: GatingPolicyOptions = {}): Promise<GatingPolicy> {
    const experts = expertsOf(options);
    const inputDim = options.inputDim ?? 768;
    const shape: NetworkShape = {
      inputDim,
      hiddenDim: options.hiddenDim ?? 256,
      outputs: experts.length,
      inputScale: options.inputScale ?? defaultInputScale(inputDim),
    };
    const state = initialState(shape, options.seed ?? 0);
    const { engine, reason } = await createLastingEngine(
      shape,
      { backend: options.backend ?? "auto" },
      options.engines,
    );
    await engine.load(state);
    return new GatingPolicy(experts, engine, reason);
  }

  /** Number of experts. */
  get numExperts(): number {
    return this.experts.length;
  }

  /** The changes of backend that failures of a GPU have forced: none or one. The work went on from the last known state. */
  get fallbacks(): readonly EngineFallback[] {
    return this.engine instanceof FallbackEngine ? this.engine.fallbacks : [];
  }

  /** The network's sizes. */
  get shape(): NetworkShape {
    return this.engine.shape;
  }

  /**
   * Routes queries.
   *
   * @param embeddings n vectors, or a Float32Array [n, inputDim]; every entry finite
   */
  async forward(embeddings: readonly (readonly number[] | Float32Array)[] | Float32Array): Promise<Routing> {
    const logits = await this.engine.forward(this.#flatten(embeddings));
    const [weights, logProbs] = [new Float32Array(logits.length), new Float32Array(logits.length)];
    for (let start = 0; start < logits.length; start += this.numExperts) {
      const end = start + this.numExperts;
      logSoftmax(logits.subarray(start, end), weights.subarray(start, end), logProbs.subarray(start, end));
    }
    return { weights, logProbs };
  }

  /** Draws an expert for one query and says with which probability, so that the log can be learned from. */
  async sample(embedding: readonly number[] | Float32Array, options: SampleOptions = {}): Promise<SampledExpert> {
    return drawExpert(await this.engine.forward(this.#flatten([embedding])), this.experts, options);
  }

  /** A copy of the weights in torch's names and layout, for unscaled embeddings. */
  async stateDict(): Promise<StateDict> {
    return exportStateDict(await this.engine.read());
  }

  /** Replaces the weights; the optimizer starts afresh. Throws on missing, extra or misshapen tensors. */
  async loadStateDict(state: StateDict): Promise<void> {
    await this.engine.load(importStateDict(this.shape, state));
  }

  /** Releases the engine. */
  async close(): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
  }

  /** Releases the engine. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #flatten(embeddings: readonly (readonly number[] | Float32Array)[] | Float32Array): Float32Array {
    const { inputDim } = this.shape;
    if (embeddings instanceof Float32Array) {
      if (embeddings.length % inputDim !== 0) {
        throw new RlcfError(
          "usage",
          `cannot route: found ${embeddings.length} numbers, wanted a multiple of inputDim ${inputDim}`,
        );
      }
      return embeddings;
    }
    const flat = new Float32Array(embeddings.length * inputDim);
    for (const [i, embedding] of embeddings.entries()) {
      if (embedding.length !== inputDim) {
        throw new RlcfError(
          "usage",
          `cannot route: embedding ${i} has ${embedding.length} numbers, wanted inputDim ${inputDim}`,
        );
      }
      flat.set(embedding, i * inputDim);
    }
    return flat;
  }
}

/**
 * Draws an expert by the outputs of the network and says with which probability.
 *
 * @param outputs [numExperts] logits of one query
 */
export function drawExpert(
  outputs: Float32Array,
  experts: readonly string[],
  options: SampleOptions = {},
): SampledExpert {
  const { temperature = 1, epsilon = 0 } = options;
  if (!(temperature > 0) || !Number.isFinite(temperature)) {
    throw new RlcfError("usage", `cannot sample: temperature is ${temperature}, wanted a number > 0`);
  }
  if (!(epsilon >= 0 && epsilon <= 1)) {
    throw new RlcfError("usage", `cannot sample: epsilon is ${epsilon}, wanted a number from 0 to 1`);
  }
  // The largest goes first: however small the temperature, no quotient becomes infinity less infinity.
  const largest = outputs.reduce((max, logit) => Math.max(max, logit));
  const logits = outputs.map((logit) => (logit - largest) / temperature);
  const [weights, logProbs] = [new Float32Array(logits.length), new Float32Array(logits.length)];
  logSoftmax(logits, weights, logProbs);
  const explored = weights.map((weight) => (1 - epsilon) * weight + epsilon / experts.length);
  const seed = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!;
  const index = new Random(seed).categorical(explored);
  return {
    expert: experts[index]!,
    index,
    weight: explored[index]!,
    logProb: Math.min(0, epsilon === 0 ? logProbs[index]! : Math.log(explored[index]!)),
    weights: explored,
  };
}

function expertsOf({ experts, numExperts }: GatingPolicyOptions): readonly string[] {
  if (experts === undefined) {
    const count = numExperts ?? DEFAULT_EXPERTS.length;
    if (!Number.isInteger(count) || count < 1) {
      throw new RlcfError("usage", `cannot build the policy: numExperts is ${count}, wanted an integer >= 1`);
    }
    if (count === DEFAULT_EXPERTS.length) return DEFAULT_EXPERTS;
    return Array.from({ length: count }, (_, i) => `expert_${i}`);
  }
  if (numExperts !== undefined && numExperts !== experts.length) {
    throw new RlcfError(
      "usage",
      `cannot build the policy: ${experts.length} experts named, but numExperts is ${numExperts}`,
    );
  }
  if (new Set(experts).size !== experts.length) {
    throw new RlcfError("usage", `cannot build the policy: experts are ${experts.join(", ")}, wanted different names`);
  }
  return experts;
}
