/**
 * What a log can teach, as columns. An episode is one answered query with the feedback on it; rows that cannot teach
 * are counted by reason and never touch any statistic.
 *
 * Index letters: N episodes, I inputs (embedding entries), E experts.
 *
 * @module
 */
import { isFiniteVector } from "../base/finite.ts";
import { LEVELS } from "../feedback/levels.ts";
import type { TrainingRow } from "../store/persistence.ts";

/** Why a feedback row cannot be used. */
export type SkipReason =
  /** The trace holds no selection of the gating policy. */
  | "no_gating_action"
  /** Neither the gating actions nor the trace hold a query embedding. */
  | "no_embedding"
  /** The embedding's length is not the network's input. */
  | "wrong_dimension"
  /** The embedding or a number of the log is NaN or infinite. */
  | "not_finite"
  /** The trace names an expert that the policy does not have. */
  | "unknown_expert"
  /** A soft trace whose weights are all 0. */
  | "zero_weights"
  /** The drawn expert's logged probability is 0 in float32: its importance weight would be infinite. */
  | "zero_propensity"
  /** The user's authority is 0, so the feedback would weigh nothing. */
  | "zero_authority";

/** How many feedback rows were left out, by reason. */
export type SkipCounts = Readonly<Partial<Record<SkipReason, number>>>;

/** Episodes as columns; row i of every column is the same episode. */
export interface EpisodeSet {
  /** Number of episodes N. */
  readonly size: number;
  /** Length I of an embedding. */
  readonly inputDim: number;
  /** Names of the E experts, in the order of every column's second index. */
  readonly experts: readonly string[];
  /** [N, I] query embeddings as they were logged. */
  readonly embeddings: Float32Array;
  /** [N, E] logged routing weights, normalised to sum 1; one-hot where one expert was drawn. */
  readonly mixtures: Float32Array;
  /** [N] probability with which the expert was drawn; 1 for soft traces, which drew nobody. */
  readonly propensities: Float32Array;
  /** [N] 1 where one expert was drawn, 0 where several were mixed. */
  readonly sampled: Uint8Array;
  /** [N] mean score of the feedback, weighted by authority, in [0, 1]. */
  readonly rewards: Float64Array;
  /** [N] summed weight of the feedback (authority, or 1 each). */
  readonly sampleWeights: Float64Array;
  /**
   * [N] weighted variance of the rewards around their mean, `sum w (r - mean)^2 / sum w`: how far several people
   * disagree about one answer. 0 where one feedback speaks.
   */
  readonly rewardVariances: Float64Array;
  /** [N] feedbacks that make up the episode, at least 1. */
  readonly feedbackCounts: Uint32Array;
  /**
   * [N, 3] mean score of retrieval, reasoning and synthesis, weighted by authority over the feedback that judged the
   * level; NaN where none did.
   */
  readonly levelScores: Float64Array;
  /** [N] the query, which decides between training and holdout. */
  readonly queryIds: readonly string[];
  /**
   * [N] the user who speaks for the episode: the one whose feedback on it weighs most, the first one read where two
   * weigh the same; null where nobody is named. Bootstrap and leave-one-user-out take these as clusters, so an episode
   * that several people judged moves with its weightiest judge alone.
   */
  readonly userIds: readonly (string | null)[];
  /** Feedback rows that make up the episodes; several may share an episode. */
  readonly feedbackRows: number;
  /** Feedback rows left out, by reason. */
  readonly skipped: SkipCounts;
}

/** What a log is: all drawn, all mixed, some of each, or nothing. */
export type LogMix = "sampled" | "soft" | "mixed" | "empty";

/** Whether the episodes were drawn or mixed. */
export function logMixOf(episodes: EpisodeSet): LogMix {
  const drawn = episodes.sampled.reduce((count, flag) => count + flag, 0);
  if (episodes.size === 0) return "empty";
  return drawn === episodes.size ? "sampled" : drawn === 0 ? "soft" : "mixed";
}

/** How rows become episodes. */
export interface EpisodeOptions {
  readonly inputDim: number;
  readonly experts: readonly string[];
  /** `authority`: feedback weighs by its user's authority. `none`: all alike. */
  readonly feedbackWeighting: "authority" | "none";
}

/**
 * Collects rows into columns. Several feedback rows on one trace become one episode: their mean reward, weighted by
 * authority, carrying their summed weight, which leaves the loss as if each were an episode of its own.
 */
export class EpisodeSetBuilder {
  readonly #options: EpisodeOptions;
  readonly #rules: SkipRules;
  readonly #expertIndex: ReadonlyMap<string, number>;
  readonly #embeddings: Float32Array<ArrayBuffer>;
  readonly #mixtures: Float32Array;
  readonly #propensities: Float32Array;
  readonly #sampled: Uint8Array;
  readonly #rewardSums: Float64Array;
  readonly #sampleWeights: Float64Array;
  readonly #squareSums: Float64Array;
  readonly #feedbackCounts: Uint32Array;
  readonly #levelSums: Float64Array;
  readonly #levelWeights: Float64Array;
  readonly #userIds: (string | null)[] = [];
  /** Weight of each user, kept only where an episode has several feedbacks. */
  readonly #userWeights = new Map<number, Map<string | null, number>>();
  readonly #queryIds: string[] = [];
  readonly #rowOfTrace = new Map<string, number>();
  readonly #skipped: Partial<Record<SkipReason, number>> = {};
  #feedbackRows = 0;

  /** @param capacity most episodes that will come; the columns are allocated once */
  constructor(capacity: number, options: EpisodeOptions) {
    this.#options = options;
    this.#rules = new SkipRules(options);
    this.#expertIndex = new Map(options.experts.map((expert, i) => [expert, i]));
    this.#embeddings = new Float32Array(capacity * options.inputDim);
    this.#mixtures = new Float32Array(capacity * options.experts.length);
    this.#propensities = new Float32Array(capacity);
    this.#sampled = new Uint8Array(capacity);
    this.#rewardSums = new Float64Array(capacity);
    this.#sampleWeights = new Float64Array(capacity);
    this.#squareSums = new Float64Array(capacity);
    this.#feedbackCounts = new Uint32Array(capacity);
    this.#levelSums = new Float64Array(capacity * LEVELS.length);
    this.#levelWeights = new Float64Array(capacity * LEVELS.length);
  }

  /** Episodes so far. */
  get size(): number {
    return this.#queryIds.length;
  }

  /** [capacity, I] where the embeddings come to lie, one after another: for whoever prepares this memory. */
  get memory(): Float32Array<ArrayBuffer> {
    return this.#embeddings;
  }

  /** Adds a row; returns why it was left out, or undefined. */
  add(row: TrainingRow): SkipReason | undefined {
    const weight = this.#rules.weightOf(row);
    const known = this.#rowOfTrace.get(row.traceId);
    const reason = this.#rules.reasonToSkip(row, known !== undefined);
    if (reason !== undefined) {
      this.#skipped[reason] = (this.#skipped[reason] ?? 0) + 1;
      return reason;
    }
    const episode = known ?? this.#append(row);
    this.#count(episode, row, weight);
    this.#feedbackRows++;
    return undefined;
  }

  /** The columns so far, as views that share the builder's memory. */
  build(): EpisodeSet {
    const size = this.#queryIds.length;
    const { inputDim, experts } = this.#options;
    const sampleWeights = this.#sampleWeights.subarray(0, size);
    return {
      size,
      inputDim,
      experts,
      embeddings: this.#embeddings.subarray(0, size * inputDim),
      mixtures: this.#mixtures.subarray(0, size * experts.length),
      propensities: this.#propensities.subarray(0, size),
      sampled: this.#sampled.subarray(0, size),
      rewards: this.#rewardSums.subarray(0, size).map((sum, i) => sum / sampleWeights[i]!),
      sampleWeights,
      rewardVariances: this.#squareSums.subarray(0, size).map((sum, i) => sum / sampleWeights[i]!),
      feedbackCounts: this.#feedbackCounts.subarray(0, size),
      levelScores: this.#levelSums.subarray(0, size * LEVELS.length).map((sum, k) => sum / this.#levelWeights[k]!),
      queryIds: this.#queryIds,
      userIds: this.#userIds,
      feedbackRows: this.#feedbackRows,
      skipped: { ...this.#skipped },
    };
  }

  /** Adds a feedback's numbers to its episode. */
  #count(episode: number, row: TrainingRow, weight: number): void {
    const before = this.#sampleWeights[episode]!;
    const after = before + weight;
    if (before > 0) {
      // West (1979): squares around the mean so far, without the cancellation of a sum of squares.
      const deviation = row.score - this.#rewardSums[episode]! / before;
      this.#squareSums[episode]! += before * weight / after * deviation ** 2;
    }
    this.#rewardSums[episode]! += weight * row.score;
    this.#sampleWeights[episode] = after;
    this.#feedbackCounts[episode]!++;
    for (let l = 0; l < LEVELS.length; l++) {
      const score = row.levelScores[LEVELS[l]!];
      if (score === null) continue;
      this.#levelSums[episode * LEVELS.length + l]! += weight * score;
      this.#levelWeights[episode * LEVELS.length + l]! += weight;
    }
    this.#nameUser(episode, row.userId, weight, before);
  }

  #nameUser(episode: number, userId: string | null, weight: number, before: number): void {
    if (before === 0) {
      this.#userIds[episode] = userId;
      return;
    }
    const weights = this.#userWeights.get(episode) ?? new Map([[this.#userIds[episode]!, before]]);
    this.#userWeights.set(episode, weights);
    const own = (weights.get(userId) ?? 0) + weight;
    weights.set(userId, own);
    if (own > weights.get(this.#userIds[episode]!)!) this.#userIds[episode] = userId;
  }

  #append(row: TrainingRow): number {
    const episode = this.#queryIds.length;
    const { inputDim, experts } = this.#options;
    this.#embeddings.set(row.embedding!, episode * inputDim);
    const start = episode * experts.length;
    if (row.logKind === "sampled") {
      for (const expert in row.gatingWeights) this.#mixtures[start + this.#expertIndex.get(expert)!] = 1;
      this.#propensities[episode] = Math.exp(row.gatingLogProb!);
      this.#sampled[episode] = 1;
    } else {
      let mass = 0;
      for (const expert in row.gatingWeights) mass += row.gatingWeights[expert]!;
      for (const expert in row.gatingWeights) {
        this.#mixtures[start + this.#expertIndex.get(expert)!] = row.gatingWeights[expert]! / mass;
      }
      this.#propensities[episode] = 1;
    }
    this.#queryIds.push(row.queryId);
    this.#rowOfTrace.set(row.traceId, episode);
    return episode;
  }
}

/** The rules by which a feedback row is left out: those of training, and of whatever counts for it. */
export class SkipRules {
  readonly #options: EpisodeOptions;
  readonly #experts: ReadonlySet<string>;

  /** @param options how rows become episodes */
  constructor(options: EpisodeOptions) {
    this.#options = options;
    this.#experts = new Set(options.experts);
  }

  /** What the row's feedback weighs. */
  weightOf({ userAuthority }: TrainingRow): number {
    return this.#options.feedbackWeighting === "authority" ? userAuthority : 1;
  }

  /**
   * Why the row cannot be used; undefined if it can.
   *
   * @param isKnownTrace whether an earlier row on the same trace was usable, so that only the feedback is in question
   */
  reasonToSkip(row: TrainingRow, isKnownTrace: boolean): SkipReason | undefined {
    return reasonToSkipFeedback(row, this.weightOf(row)) ?? (isKnownTrace ? undefined : this.#reasonToSkipTrace(row));
  }

  #reasonToSkipTrace(row: TrainingRow): SkipReason | undefined {
    if (row.logKind === "none") return "no_gating_action";
    if (row.embedding === null) return "no_embedding";
    if (row.embedding.length !== this.#options.inputDim) return "wrong_dimension";
    if (!isFiniteVector(row.embedding)) return "not_finite";
    let mass = 0;
    for (const expert in row.gatingWeights) {
      if (!this.#experts.has(expert)) return "unknown_expert";
      mass += row.gatingWeights[expert]!;
    }
    if (row.logKind === "soft") {
      if (!Number.isFinite(mass)) return "not_finite";
      if (mass === 0) return "zero_weights";
      return undefined;
    }
    if (!Number.isFinite(row.gatingLogProb)) return "not_finite";
    return Math.fround(Math.exp(row.gatingLogProb!)) === 0 ? "zero_propensity" : undefined;
  }
}

/** Why a feedback row cannot be used, whatever its trace says. */
function reasonToSkipFeedback({ score, levelScores }: TrainingRow, weight: number): SkipReason | undefined {
  if (weight === 0) return "zero_authority";
  if (!Number.isFinite(weight) || !Number.isFinite(score)) return "not_finite";
  return LEVELS.every((level) => Number.isFinite(levelScores[level] ?? 0)) ? undefined : "not_finite";
}
