/**
 * A lawyer's judgement of one answer on three levels, and the score that training takes as the reward.
 *
 * @module
 */
import { expectNumber, expectObject, expectText, expectTimestamp, type JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { cloneJson } from "../trace/action.ts";
import {
  checkedLevel,
  type LevelFeedback,
  levelFromJson,
  type LevelName,
  LEVELS,
  levelToJson,
  type ReasoningFeedback,
  type RetrievalFeedback,
  type SynthesisFeedback,
} from "./levels.ts";
import { givenLevelScore, givenScore, type LevelWeights, merltScore, type Scoring } from "./scoring.ts";

/** What a {@link MultilevelFeedback} is made of. Every level may be absent. */
export interface MultilevelFeedbackInit {
  /** The query whose answer is judged. */
  readonly queryId: string;
  /** How well the sources were found; 0.3 of the score. */
  readonly retrievalFeedback?: RetrievalFeedback | undefined;
  /** How sound the legal reasoning was; 0.4 of the score. */
  readonly reasoningFeedback?: ReasoningFeedback | undefined;
  /** How good the written answer was; 0.3 of the score. */
  readonly synthesisFeedback?: SynthesisFeedback | undefined;
  /** One number in [0, 1] for the whole answer; overrides the levels in the score. */
  readonly overallRating?: number | undefined;
  /** Who judged. */
  readonly userId?: string | undefined;
  /** When, ISO 8601; now by default. */
  readonly timestamp?: string | undefined;
  /** Free-form JSON. */
  readonly metadata?: JsonObject | undefined;
}

/** A {@link MultilevelFeedback} as JSON. */
export interface MultilevelFeedbackJson {
  /** The query whose answer is judged. */
  readonly query_id: string;
  /** What was given of `precision`, `recall`, ...; null if nothing was. */
  readonly retrieval_feedback: JsonObject | null;
  /** What was given of `logical_coherence`, `legal_soundness`, ...; null if nothing was. */
  readonly reasoning_feedback: JsonObject | null;
  /** What was given of `clarity`, `usefulness`, ...; null if nothing was. */
  readonly synthesis_feedback: JsonObject | null;
  /** One number in [0, 1] for the whole answer; overrides the levels in the score. */
  readonly overall_rating: number | null;
  /** When it was judged, ISO 8601 in UTC. */
  readonly timestamp: string;
  /** Who judged. */
  readonly user_id: string | null;
  /** Free-form JSON. */
  readonly metadata: JsonObject;
}

/** One person's judgement of one answer. Immutable. */
export class MultilevelFeedback {
  /** The query whose answer is judged. */
  readonly queryId: string;
  /** The levels that were judged. */
  readonly levels: { readonly [L in LevelName]?: LevelFeedback[L] };
  /** One number in [0, 1] for the whole answer, or null. */
  readonly overallRating: number | null;
  /** Who judged, or null. */
  readonly userId: string | null;
  /** When, ISO 8601 in UTC. */
  readonly timestamp: string;
  /** Free-form JSON. */
  readonly metadata: JsonObject;

  /** Throws when a number is not finite or not in [0, 1], or a field is unknown. */
  constructor(init: MultilevelFeedbackInit) {
    this.queryId = expectText(init.queryId, "feedback.query_id");
    const given = {
      retrieval: init.retrievalFeedback,
      reasoning: init.reasoningFeedback,
      synthesis: init.synthesisFeedback,
    };
    const levels: { -readonly [L in LevelName]?: LevelFeedback[L] } = {};
    for (const level of LEVELS) {
      const checked = checkedLevel(level, given[level]);
      if (checked !== undefined) Object.assign(levels, { [level]: checked });
    }
    this.levels = levels;
    this.overallRating = init.overallRating === undefined
      ? null
      : expectNumber(init.overallRating, "feedback.overall_rating", 0, 1);
    this.userId = init.userId === undefined ? null : expectText(init.userId, "feedback.user_id");
    this.timestamp = init.timestamp === undefined
      ? new Date().toISOString()
      : expectTimestamp(init.timestamp, "feedback.timestamp");
    this.metadata = cloneJson(expectObject(init.metadata ?? {}, "feedback.metadata"));
  }

  /** Reads feedback from JSON; only `query_id` is required, null counts as absent. */
  static fromJSON(value: unknown): MultilevelFeedback {
    const json = expectObject(value, "feedback");
    const given = <T>(field: unknown): T | undefined => field === null ? undefined : field as T | undefined;
    return new MultilevelFeedback({
      queryId: json.query_id as string,
      retrievalFeedback: levelFromJson("retrieval", json.retrieval_feedback),
      reasoningFeedback: levelFromJson("reasoning", json.reasoning_feedback),
      synthesisFeedback: levelFromJson("synthesis", json.synthesis_feedback),
      overallRating: given<number>(json.overall_rating),
      userId: given<string>(json.user_id),
      timestamp: given<string>(json.timestamp),
      metadata: given<JsonObject>(json.metadata),
    });
  }

  /**
   * The reward in [0, 1]: `overallRating` if given, else the weighted mean of the levels' scores.
   *
   * @param options `scoring`: `given` (default) scores what was given and throws when nothing was; `merlt` is the
   * original's formula with its defaults, for imported data. `weights`: of the levels, default 0.3, 0.4, 0.3.
   */
  overallScore(options: { scoring?: Scoring; weights?: LevelWeights } = {}): number {
    if (options.scoring === "merlt") return merltScore(this.levels, this.overallRating, options.weights);
    const score = givenScore(this.levels, this.overallRating, options.weights);
    if (score === undefined) {
      throw new RlcfError(
        "usage",
        `cannot score the feedback on query ${
          JSON.stringify(this.queryId)
        }: found no number on any level, wanted at least one`,
      );
    }
    return score;
  }

  /** The mean of the numbers that were given on a level, undefined if there is none. */
  levelScore(level: LevelName): number | undefined {
    return givenLevelScore(level, this.levels);
  }

  /** Whether all three levels were judged. */
  get isComplete(): boolean {
    return LEVELS.every((level) => this.levels[level] !== undefined);
  }

  /** The feedback as JSON; shares no object with the feedback. */
  toJSON(): MultilevelFeedbackJson {
    const level = <L extends LevelName>(name: L): JsonObject | null => {
      const feedback = this.levels[name];
      return feedback === undefined ? null : cloneJson(levelToJson(name, feedback));
    };
    return {
      query_id: this.queryId,
      retrieval_feedback: level("retrieval"),
      reasoning_feedback: level("reasoning"),
      synthesis_feedback: level("synthesis"),
      overall_rating: this.overallRating,
      timestamp: this.timestamp,
      user_id: this.userId,
      metadata: cloneJson(this.metadata),
    };
  }
}
