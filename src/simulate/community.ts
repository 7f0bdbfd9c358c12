/**
 * A small legal community whose truth is known: queries of four kinds, experts that suit one kind best, lawyers who
 * judge with noise. For the demonstration, tests and benchmarks.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import { QUERY_KINDS } from "./queries.ts";

/** How the community is made. */
export interface CommunityOptions {
  readonly seed: number;
  /** Length of an embedding; 768 by default. */
  readonly inputDim?: number;
  /** Standard deviation of each entry around its kind's centre, before normalising; 0.3 by default. */
  readonly embeddingNoise?: number;
  /** Standard deviation of the rewards around their truth; 0.1 by default. */
  readonly rewardNoise?: number;
  /** Number of lawyers; 40 by default. */
  readonly lawyers?: number;
  /** Share of the lawyers who answer the opposite of the truth, and have earned little authority by it; 0 by default. */
  readonly contrarians?: number;
}

/** A query and what each expert's answer to it is worth. */
export interface SimulatedQuery {
  readonly queryId: string;
  /** Italian. */
  readonly text: string;
  /** [inputDim], of length 1. */
  readonly embedding: Float32Array;
  /** Index of the expert that suits it best. */
  readonly best: number;
  /** [experts] expected reward of each expert. */
  readonly rewards: readonly number[];
}

/** Somebody who gives feedback. */
export interface Lawyer {
  readonly userId: string;
  /** Earned authority in [0, 1]; the judgements of those with little are noisier. */
  readonly authority: number;
  /** Whether the judgements are the opposite of the truth; false by default. */
  readonly contrarian?: boolean;
}

/** The experts, in the order of rewards. */
export const COMMUNITY_EXPERTS: readonly string[] = QUERY_KINDS.map((kind) => kind.expert);

/** Rewards of the experts by how far they are from the one that suits the query. */
const REWARD_BY_DISTANCE: readonly number[] = [0.96, 0.65, 0.5, 0.45];

/** What those who answer the opposite of the truth have earned. */
const CONTRARIAN_AUTHORITY = 0.1;

/** Draws queries and judges answers; the same seed gives the same community. */
export class Community {
  /** Who gives feedback. */
  readonly lawyers: readonly Lawyer[];
  readonly #random: Random;
  readonly #centres: readonly Float32Array[];
  readonly #inputDim: number;
  readonly #embeddingNoise: number;
  readonly #rewardNoise: number;
  #queries = 0;

  constructor(options: CommunityOptions) {
    this.#random = new Random(options.seed);
    this.#inputDim = options.inputDim ?? 768;
    this.#embeddingNoise = options.embeddingNoise ?? 0.3;
    this.#rewardNoise = options.rewardNoise ?? 0.1;
    this.#centres = QUERY_KINDS.map(() => this.#unitVector());
    const lawyers = options.lawyers ?? 40;
    const honest = lawyers - Math.round(lawyers * (options.contrarians ?? 0));
    this.lawyers = Array.from({ length: lawyers }, (_, i) => {
      const earned = 0.3 + 0.7 * this.#random.uniform();
      const contrarian = i >= honest;
      const userId = `avv_${String(i + 1).padStart(3, "0")}`;
      return { userId, authority: contrarian ? CONTRARIAN_AUTHORITY : earned, contrarian };
    });
  }

  /** The next query. */
  query(): SimulatedQuery {
    const best = this.#random.below(QUERY_KINDS.length);
    const embedding = this.#centres[best]!.map((entry) => entry + this.#embeddingNoise * this.#random.normal());
    const queryId = `query_${String(++this.#queries).padStart(6, "0")}`;
    return {
      queryId,
      text: this.#text(best),
      embedding: normalised(embedding),
      best,
      rewards: QUERY_KINDS.map((_, e) => REWARD_BY_DISTANCE[(e - best + QUERY_KINDS.length) % QUERY_KINDS.length]!),
    };
  }

  /** One of the lawyers. */
  lawyer(): Lawyer {
    return this.lawyers[this.#random.below(this.lawyers.length)]!;
  }

  /** A lawyer's judgement of an answer whose expected reward is given. */
  judge(query: SimulatedQuery, expectedReward: number, lawyer: Lawyer, timestamp: string): MultilevelFeedback {
    const found = lawyer.contrarian === true ? 1 - expectedReward : expectedReward;
    const centre = found + this.#rewardNoise * this.#random.normal();
    const spread = 0.1 * (1 - lawyer.authority);
    const score = (): number => Math.min(1, Math.max(0, centre + spread * this.#random.normal()));
    return new MultilevelFeedback({
      queryId: query.queryId,
      retrievalFeedback: { precision: score(), recall: score(), rankingQuality: score() },
      reasoningFeedback: { logicalCoherence: score(), legalSoundness: score(), citationQuality: score() },
      synthesisFeedback: { clarity: score(), completeness: score(), usefulness: score() },
      userId: lawyer.userId,
      timestamp,
    });
  }

  /** Weights over the experts drawn from a flat Dirichlet distribution: a logger that knows nothing. */
  randomWeights(): Float64Array {
    const draws = Float64Array.from(QUERY_KINDS, () => -Math.log(1 - this.#random.uniform()));
    const sum = draws.reduce((total, draw) => total + draw, 0);
    return draws.map((draw) => draw / sum);
  }

  /** A seed for a draw that belongs to this community. */
  drawSeed(): number {
    return this.#random.nextUint32();
  }

  #unitVector(): Float32Array {
    return normalised(Float32Array.from({ length: this.#inputDim }, () => this.#random.normal()));
  }

  #text(kind: number): string {
    const { openings, subjects } = QUERY_KINDS[kind]!;
    const opening = openings[this.#random.below(openings.length)]!;
    return opening.replace("{}", subjects[this.#random.below(subjects.length)]!);
  }
}

/** Mean reward of a routing over queries: `weights` [n, experts] are probabilities, or drawn from its arg-max. */
export function trueValue(
  queries: readonly SimulatedQuery[],
  weights: ArrayLike<number>,
): { sampled: number; argmax: number; accuracy: number } {
  let [sampled, argmax, right] = [0, 0, 0];
  for (const [i, query] of queries.entries()) {
    const start = i * query.rewards.length;
    let top = 0;
    for (const [e, reward] of query.rewards.entries()) {
      sampled += weights[start + e]! * reward;
      if (weights[start + e]! > weights[start + top]!) top = e;
    }
    argmax += query.rewards[top]!;
    if (top === query.best) right++;
  }
  return { sampled: sampled / queries.length, argmax: argmax / queries.length, accuracy: right / queries.length };
}

function normalised(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return vector.map((entry) => entry / length);
}
