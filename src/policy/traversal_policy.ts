/**
 * The TraversalPolicy: a query's embedding and a relation of the knowledge graph in, the relation's weight out.
 *
 * The original's network reads `[embedding, learned embedding of the relation]` and ends in a sigmoid. Both are here what
 * they are up to a change of variables, so that the engines need no other network than the one they have:
 *
 * - A first layer `W_q q + W_r e_k` over the embedding e_k of relation k is `W_q q + (W_r E^T) 1_k` over a one-hot 1_k. With
 *   at least as many numbers in e_k as there are relations every matrix `W_r E^T` can be had, so the functions are the
 *   same; only the speed at which a relation's column is learned differs.
 * - `sigmoid(z)` is the first of `softmax(z, 0)`: a traversal is a decision between following a relation and leaving it.
 *   So it is drawn, logged and learned as a decision between two experts is, by the same trainer.
 *
 * @module
 */
import { RELATION_TYPES } from "../trace/vocabulary.ts";
import { RlcfError } from "../base/errors.ts";
import type { BackendName } from "../engine/engine.ts";
import { defaultInputScale } from "../engine/network.ts";
import { GatingPolicy } from "./gating_policy.ts";
import type { StateDict, StateTensor } from "./state_dict.ts";

export { RELATION_TYPES };

/** The relation as which unknown ones are weighed. */
export const UNKNOWN_RELATION = "RELATED_TO";

/** What a traversal decides between, in the order of the network's outputs. */
export const TRAVERSAL_CHOICES = ["follow", "leave"] as const;

/** Added to a weight before its logarithm, as in the original: a weight of 0 has log probability -18.4. */
const LOG_EPSILON = 1e-8;

/** What {@link TraversalPolicy.create} takes. */
export interface TraversalPolicyOptions {
  /** Length of an embedding; 768 by default. */
  readonly inputDim?: number | undefined;
  /** Width of the first hidden layer, the second is half as wide; 0 is a linear policy. 128 by default. */
  readonly hiddenDim?: number | undefined;
  /** Names of the relations; {@link RELATION_TYPES} by default. */
  readonly relations?: readonly string[] | undefined;
  /** Seed of the initial weights; 0 by default. */
  readonly seed?: number | undefined;
  /** Where to compute; `auto` by default. */
  readonly backend?: BackendName | "auto" | undefined;
  /** Factor on the embeddings; by default the power of two nearest to sqrt(inputDim), for those of unit length. */
  readonly inputScale?: number | undefined;
}

/** A relation out of a query's node. */
export interface Traversal {
  /** The query's embedding. */
  readonly embedding: readonly number[] | Float32Array;
  /** Name of the relation. */
  readonly relation: string;
}

/** Weights of n traversals. */
export interface TraversalWeights {
  /** [n] probability with which each relation should be followed. */
  readonly weights: Float32Array;
  /** [n] `ln(weight + 1e-8)`, at most 0. */
  readonly logProbs: Float32Array;
  /** How many relations were unknown, and weighed as {@link UNKNOWN_RELATION}. */
  readonly unknown: number;
}

/** The original's state: the network's tensors, and the relations' embeddings [relations, relationDim]. */
export interface TraversalState {
  /** `0.weight [hidden, inputDim + relationDim]`, `0.bias`, `3.weight`, `3.bias`, `5.weight [1, hidden / 2]`, `5.bias`. */
  readonly mlp: StateDict;
  /** [relations, relationDim] one row a relation. */
  readonly relationEmbeddings: StateTensor;
}

/** Makes the inputs of a traversal policy's network, with or without an engine to run it. */
export class TraversalEncoder {
  /** Length of an embedding. */
  readonly inputDim: number;
  readonly #relations: number;
  readonly #index: ReadonlyMap<string, number>;
  readonly #unknown: number;
  readonly #one: number;

  /** @param shape `inputScale`: the network's factor on its inputs */
  constructor(shape: {
    readonly inputDim: number;
    readonly relations: readonly string[];
    readonly inputScale: number;
  }) {
    const { inputDim, relations, inputScale } = shape;
    this.inputDim = inputDim;
    this.#relations = relations.length;
    this.#index = new Map(relations.map((relation, k) => [relation, k]));
    this.#unknown = Math.max(0, relations.indexOf(UNKNOWN_RELATION));
    // The engine multiplies every input by the scale of the embeddings; a relation's should come out as 1.
    this.#one = 1 / inputScale;
  }

  /**
   * Each embedding, then a one-hot of its relation.
   *
   * @returns inputs [n, inputDim + relations]
   */
  inputs(traversals: readonly Traversal[]): { readonly inputs: Float32Array; readonly unknown: number } {
    const { inputDim } = this;
    const width = inputDim + this.#relations;
    const inputs = new Float32Array(traversals.length * width);
    let unknown = 0;
    for (const [i, { embedding, relation }] of traversals.entries()) {
      if (embedding.length !== inputDim) {
        throw new RlcfError(
          "usage",
          `cannot weigh relations: embedding ${i} has ${embedding.length} numbers, wanted inputDim ${inputDim}`,
        );
      }
      inputs.set(embedding, i * width);
      const known = this.#index.get(relation);
      if (known === undefined) unknown++;
      inputs[i * width + inputDim + (known ?? this.#unknown)] = this.#one;
    }
    return { inputs, unknown };
  }
}

/** A traversal policy on one engine. Release it with `await using` or `close()`. */
export class TraversalPolicy implements AsyncDisposable {
  /** Names of the relations, in the order of their inputs. */
  readonly relations: readonly string[];
  /** The decision between following and leaving; its inputs are {@link TraversalPolicy.inputs}. Trainers train this. */
  readonly decision: GatingPolicy;
  readonly #encoder: TraversalEncoder;

  private constructor(relations: readonly string[], decision: GatingPolicy) {
    this.relations = relations;
    this.decision = decision;
    const { inputDim, inputScale } = decision.shape;
    this.#encoder = new TraversalEncoder({ inputDim: inputDim - relations.length, relations, inputScale });
  }

  /** Builds a policy with seeded initial weights. Throws on impossible sizes or an unavailable backend. */
  static async create(options: TraversalPolicyOptions = {}): Promise<TraversalPolicy> {
    const { inputDim = 768, hiddenDim = 128, relations = RELATION_TYPES, seed, backend } = options;
    if (relations.length === 0 || new Set(relations).size !== relations.length) {
      throw new RlcfError(
        "usage",
        `cannot build the policy: relations are ${relations.join(", ") || "none"}, wanted different names`,
      );
    }
    const decision = await GatingPolicy.create({
      inputDim: inputDim + relations.length,
      hiddenDim,
      experts: TRAVERSAL_CHOICES,
      seed,
      backend,
      inputScale: options.inputScale ?? defaultInputScale(inputDim),
    });
    return new TraversalPolicy(relations, decision);
  }

  /** Length of an embedding. */
  get inputDim(): number {
    return this.decision.shape.inputDim - this.relations.length;
  }

  /** Weighs traversals. A relation that the policy does not have counts as {@link UNKNOWN_RELATION}. */
  async forward(traversals: readonly Traversal[]): Promise<TraversalWeights> {
    const { inputs, unknown } = this.inputs(traversals);
    const { weights: choices } = await this.decision.forward(inputs);
    const weights = Float32Array.from(traversals, (_, i) => choices[TRAVERSAL_CHOICES.length * i]!);
    return { weights, logProbs: weights.map((weight) => Math.min(0, Math.log(weight + LOG_EPSILON))), unknown };
  }

  /** What the network reads; see {@link TraversalEncoder.inputs}. */
  inputs(traversals: readonly Traversal[]): { readonly inputs: Float32Array; readonly unknown: number } {
    return this.#encoder.inputs(traversals);
  }

  /**
   * A copy of the weights as the original's module takes them, for unscaled embeddings: each relation's embedding is its
   * one-hot, and the last layer is the difference of the two choices.
   */
  async state(): Promise<TraversalState> {
    const state = await this.decision.stateDict();
    const { length: relations } = this.relations;
    const { hiddenDim, inputScale } = this.decision.shape;
    const first = state["0.weight"]!;
    const folded = { shape: first.shape, data: first.data.slice() };
    scaleRelations(folded, relations, 1 / inputScale);
    const lastName = hiddenDim === 0 ? "0" : "6";
    const weight = hiddenDim === 0 ? folded : state[`${lastName}.weight`]!;
    const last = {
      [`${hiddenDim === 0 ? 0 : 5}.weight`]: difference(weight),
      [`${hiddenDim === 0 ? 0 : 5}.bias`]: difference(state[`${lastName}.bias`]!),
    };
    const identity = Float32Array.from({ length: relations ** 2 }, (_, i) => i % (relations + 1) === 0 ? 1 : 0);
    return {
      mlp: hiddenDim === 0 ? last : {
        "0.weight": folded,
        "0.bias": state["0.bias"]!,
        "3.weight": state["3.weight"]!,
        "3.bias": state["3.bias"]!,
        ...last,
      },
      relationEmbeddings: { shape: [relations, relations], data: identity },
    };
  }

  /** Replaces the weights by the original's, its relation embeddings of any length folded into the first layer. */
  async loadState({ mlp, relationEmbeddings }: TraversalState): Promise<void> {
    const { inputDim, relations: { length: relations } } = this;
    const { hiddenDim, inputScale } = this.decision.shape;
    const [rows, relationDim] = relationEmbeddings.shape as [number, number];
    const first = mlp["0.weight"];
    if (rows !== relations || first === undefined || first.shape[1] !== inputDim + relationDim) {
      throw new RlcfError(
        "usage",
        `cannot load weights: found 0.weight of shape [${
          first?.shape.join(", ") ?? ""
        }] and relation embeddings of shape ` +
          `[${
            relationEmbeddings.shape.join(", ")
          }], wanted [.., ${inputDim} + relationDim] and [${relations}, relationDim]`,
      );
    }
    const folded = foldRelations(first, relationEmbeddings, inputDim);
    scaleRelations(folded, relations, inputScale);
    const last = hiddenDim === 0 ? { "0.weight": withZeros(folded), "0.bias": withZeros(mlp["0.bias"]!) } : {
      "0.weight": folded,
      "0.bias": mlp["0.bias"]!,
      "3.weight": mlp["3.weight"]!,
      "3.bias": mlp["3.bias"]!,
      "6.weight": withZeros(mlp["5.weight"]!),
      "6.bias": withZeros(mlp["5.bias"]!),
    };
    await this.decision.loadStateDict(last);
  }

  /** Releases the engine. */
  async close(): Promise<void> {
    await this.decision.close();
  }

  /** Releases the engine. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** `[W_q, W_r]` over `[q, e_k]` as `[W_q, W_r E^T]` over `[q, 1_k]`. */
function foldRelations(first: StateTensor, embeddings: StateTensor, inputDim: number): StateTensor {
  const [outputs, width] = first.shape as [number, number];
  const [relations, relationDim] = embeddings.shape as [number, number];
  const folded = new Float32Array(outputs * (inputDim + relations));
  for (let o = 0; o < outputs; o++) {
    const row = o * (inputDim + relations);
    folded.set(first.data.subarray(o * width, o * width + inputDim), row);
    for (let k = 0; k < relations; k++) {
      let sum = 0;
      for (let r = 0; r < relationDim; r++) {
        sum += first.data[o * width + inputDim + r]! * embeddings.data[k * relationDim + r]!;
      }
      folded[row + inputDim + k] = sum;
    }
  }
  return { shape: [outputs, inputDim + relations], data: folded };
}

/** Multiplies the last columns of a first layer, those of the relations, in place. */
function scaleRelations({ shape, data }: StateTensor, relations: number, factor: number): void {
  const [outputs, width] = shape as [number, number];
  for (let o = 0; o < outputs; o++) {
    for (let i = (o + 1) * width - relations; i < (o + 1) * width; i++) data[i]! *= factor;
  }
}

/** `z_follow - z_leave` of a last layer's weight [2, in] or bias [2]. */
function difference({ shape, data }: StateTensor): StateTensor {
  const width = data.length / 2;
  return {
    shape: [1, ...shape.slice(1)],
    data: Float32Array.from({ length: width }, (_, i) => data[i]! - data[width + i]!),
  };
}

/** A last layer with one output, and a second one that is always 0. */
function withZeros({ shape, data }: StateTensor): StateTensor {
  const both = new Float32Array(2 * data.length);
  both.set(data);
  return { shape: [2, ...shape.slice(1)], data: both };
}
