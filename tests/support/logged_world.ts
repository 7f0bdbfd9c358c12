/**
 * A small discrete world whose values are known exactly: kinds of query, experts with a mean reward for each, users
 * who judge with a bias of their own, and a logger that explores.
 *
 * @module
 */
import { Random } from "../../src/base/random.ts";
import { type EpisodeSet, EpisodeSetBuilder } from "../../src/episodes/episode_set.ts";

/** The experts. */
export const WORLD_EXPERTS: readonly string[] = ["literal", "systemic", "principles", "precedent"];
/** Kinds of query; also the length of an embedding. */
export const KINDS = 6;
const E = WORLD_EXPERTS.length;

/** How a log is drawn. */
export interface LogOptions {
  readonly size: number;
  readonly seed: number;
  /** People who judge; 60 by default. */
  readonly users?: number;
  /** Standard deviation of a user's own bias; 0.03 by default. */
  readonly userBias?: number;
  /** Half the width of the noise of a reward; 0.2 by default. */
  readonly noise?: number;
  /** Mixed instead of drawn: random mixtures (`random`), or those of the logger (`policy`). */
  readonly soft?: "random" | "policy";
  /** Added to the score of one level alone, by expert. */
  readonly synthesisShift?: readonly number[];
}

/** A world; the same seed gives the same one. */
export class LoggedWorld {
  /** [KINDS, E] mean rewards, in [0.3, 0.7]. */
  readonly means: Float64Array;
  /** [KINDS, E] the logger's probabilities, none below 0.075. */
  readonly logging: Float64Array;

  constructor(seed: number) {
    const random = new Random(seed);
    this.means = Float64Array.from({ length: KINDS * E }, () => 0.3 + 0.4 * random.uniform());
    this.logging = new Float64Array(KINDS * E);
    for (let kind = 0; kind < KINDS; kind++) {
      const raw = WORLD_EXPERTS.map(() => Math.exp(random.normal()));
      const mass = raw.reduce((sum, x) => sum + x, 0);
      for (let e = 0; e < E; e++) this.logging[kind * E + e] = 0.3 / E + 0.7 * raw[e]! / mass;
    }
  }

  /** The exact value of a policy [KINDS, E]. */
  valueOf(policy: ArrayLike<number>): number {
    return this.means.reduce((sum, mean, k) => sum + mean * policy[k]!, 0) / KINDS;
  }

  /** The policy moved towards the best (or the worst) expert of every kind until its value has changed so much. */
  moved(policy: Float64Array, gain: number): Float64Array {
    const target = new Float64Array(KINDS * E);
    for (let kind = 0; kind < KINDS; kind++) {
      const means = this.means.subarray(kind * E, (kind + 1) * E);
      target[kind * E + means.indexOf(gain > 0 ? Math.max(...means) : Math.min(...means))] = 1;
    }
    const step = gain === 0 ? 0 : gain / (this.valueOf(target) - this.valueOf(policy));
    if (step > 1) throw new Error(`no policy of this world gains ${gain}`);
    return policy.map((p, k) => (1 - step) * p + step * target[k]!);
  }

  /** A policy of the same value that routes differently: some kinds better, the others worse. */
  exchanged(policy: Float64Array, seed: number): Float64Array {
    const random = new Random(seed);
    const other = new Float64Array(KINDS * E);
    for (let kind = 0; kind < KINDS; kind++) other[kind * E + random.below(E)] = 1;
    const mixed = policy.map((p, k) => 0.5 * p + 0.5 * other[k]!);
    const loss = this.valueOf(policy) - this.valueOf(mixed);
    return this.moved(mixed, loss);
  }

  /** A log of the world; the embedding is the kind's axis with a little noise. */
  log(options: LogOptions): EpisodeSet {
    const { size, seed, users = 60, userBias = 0.03, noise = 0.2, soft, synthesisShift } = options;
    const random = new Random(seed);
    const people = Array.from({ length: users }, (_, i) => ({
      userId: `u${i}`,
      authority: 0.3 + 0.7 * random.uniform(),
      bias: Math.max(-0.1, Math.min(0.1, userBias * random.normal())),
    }));
    const builder = new EpisodeSetBuilder(size, {
      inputDim: KINDS,
      experts: WORLD_EXPERTS,
      feedbackWeighting: "authority",
    });
    for (let i = 0; i < size; i++) {
      const kind = random.below(KINDS);
      const embedding = Float32Array.from({ length: KINDS }, (_, k) => (k === kind ? 1 : 0) + 0.05 * random.normal());
      const person = people[random.below(users)]!;
      const logging = this.logging.subarray(kind * E, (kind + 1) * E);
      const drawn = random.categorical(logging);
      const raw = WORLD_EXPERTS.map(() => -Math.log(1 - random.uniform()));
      const mass = raw.reduce((sum, x) => sum + x, 0);
      const mixture = soft === undefined
        ? WORLD_EXPERTS.map((_, e) => e === drawn ? 1 : 0)
        : soft === "random"
        ? raw.map((x) => x / mass)
        : Array.from(logging);
      const mean = mixture.reduce((sum, share, e) => sum + share * this.means[kind * E + e]!, 0);
      const score = mean + person.bias + noise * (2 * random.uniform() - 1);
      const shift = mixture.reduce((sum, share, e) => sum + share * (synthesisShift?.[e] ?? 0), 0);
      builder.add({
        traceId: `t${i}`,
        queryId: `q${seed}-${i}`,
        logKind: soft === undefined ? "sampled" : "soft",
        gatingWeights: Object.fromEntries(
          WORLD_EXPERTS.flatMap((expert, e) => mixture[e]! > 0 ? [[expert, mixture[e]!]] : []),
        ),
        gatingLogProb: soft === undefined ? Math.log(logging[drawn]!) : null,
        embedding,
        score,
        levelScores: { retrieval: score, reasoning: score, synthesis: Math.max(0, Math.min(1, score + shift)) },
        userAuthority: person.authority,
        userId: person.userId,
      });
    }
    return builder.build();
  }

  /** The routing [n, E] of rows of a log under a policy [KINDS, E]. */
  route(episodes: EpisodeSet, rows: Uint32Array, policy: Float64Array): Float32Array {
    const weightsNE = new Float32Array(rows.length * E);
    for (const [i, row] of rows.entries()) {
      const embedding = episodes.embeddings.subarray(row * KINDS, (row + 1) * KINDS);
      const kind = embedding.indexOf(Math.max(...embedding));
      weightsNE.set(policy.subarray(kind * E, (kind + 1) * E), i * E);
    }
    return weightsNE;
  }
}
