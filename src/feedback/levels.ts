/**
 * The three levels on which lawyers judge an answer, and the numbers that each level may hold.
 *
 * One table declares every number once: its name in TypeScript, its name in JSON, and the default that the original
 * (MERL-T) assumes where it was not given. Types, validation, JSON and both scoring rules are derived from it.
 *
 * @module
 */
import { expectArray, expectNumber, expectObject, expectText, type JsonObject, unwanted } from "../base/check.ts";
import { cloneJson } from "../trace/action.ts";

/** Scores of each level in [0, 1]: TypeScript name, JSON name, MERL-T's default. */
export const LEVEL_SCORES = {
  retrieval: {
    precision: ["precision", 0],
    recall: ["recall", 0],
    rankingQuality: ["ranking_quality", 0.5],
  },
  reasoning: {
    logicalCoherence: ["logical_coherence", 0.5],
    legalSoundness: ["legal_soundness", 0.5],
    citationQuality: ["citation_quality", 0.5],
    interpretationAccuracy: ["interpretation_accuracy", 0.5],
    expertAgreement: ["expert_agreement", 0.5],
    reasoningStepsClear: ["reasoning_steps_clear", 0.5],
  },
  synthesis: {
    clarity: ["clarity", 0.5],
    completeness: ["completeness", 0.5],
    usefulness: ["usefulness", 0.5],
    conciseness: ["conciseness", 0.5],
    languageQuality: ["language_quality", 0.5],
    structureQuality: ["structure_quality", 0.5],
    userSatisfaction: ["user_satisfaction", 0.5],
  },
} as const;

/** The name of a feedback level. */
export type LevelName = keyof typeof LEVEL_SCORES;

/** The names of the levels in the order in which an answer is built. */
export const LEVELS = ["retrieval", "reasoning", "synthesis"] as const satisfies readonly LevelName[];

/** The numbers of one level, each optional and in [0, 1]. */
export type LevelScores<L extends LevelName> = { readonly [K in keyof (typeof LEVEL_SCORES)[L]]?: number };

/** How well the sources were found: `precision`, `recall`, `rankingQuality`, and what follows. */
export interface RetrievalFeedback extends LevelScores<"retrieval"> {
  /** How many of the sources were relevant. Recorded, not scored. */
  readonly sourcesRelevant?: number;
  /** How many sources there were. Recorded, not scored. */
  readonly sourcesTotal?: number;
  /** Sources that should have been there. */
  readonly missingSources?: readonly string[];
  /** Sources that should not have been there. */
  readonly irrelevantSources?: readonly string[];
  /** Free-form JSON. */
  readonly metadata?: JsonObject;
}

/**
 * How sound the legal reasoning was: `logicalCoherence`, `legalSoundness`, `citationQuality`, `interpretationAccuracy`,
 * `expertAgreement`, `reasoningStepsClear`, and what follows.
 */
export interface ReasoningFeedback extends LevelScores<"reasoning"> {
  /** Fallacies that the reader noticed. Recorded, not scored. */
  readonly fallaciesDetected?: readonly string[];
  /** Free-form JSON. */
  readonly metadata?: JsonObject;
}

/**
 * How good the written answer was: `clarity`, `completeness`, `usefulness`, `conciseness`, `languageQuality`,
 * `structureQuality`, `userSatisfaction`, and what follows.
 */
export interface SynthesisFeedback extends LevelScores<"synthesis"> {
  /** Free-form JSON. */
  readonly metadata?: JsonObject;
}

/** The feedback of each level. */
export interface LevelFeedback {
  /** Which sources the assistant found, against those that it should have found. */
  readonly retrieval: RetrievalFeedback;
  /** What it concluded from them. */
  readonly reasoning: ReasoningFeedback;
  /** How it wrote that down for the reader. */
  readonly synthesis: SynthesisFeedback;
}

/** The fields of a level that are recorded but not scored: TypeScript name, JSON name, kind. */
const OTHER_FIELDS: Readonly<Record<LevelName, readonly (readonly [string, string, "count" | "texts" | "object"])[]>> =
  {
    retrieval: [
      ["sourcesRelevant", "sources_relevant", "count"],
      ["sourcesTotal", "sources_total", "count"],
      ["missingSources", "missing_sources", "texts"],
      ["irrelevantSources", "irrelevant_sources", "texts"],
      ["metadata", "metadata", "object"],
    ],
    reasoning: [["fallaciesDetected", "fallacies_detected", "texts"], ["metadata", "metadata", "object"]],
    synthesis: [["metadata", "metadata", "object"]],
  };

/** Values that the original derives when it writes a level; accepted and ignored on reading. */
const DERIVED_FIELDS: readonly string[] = ["f1_score", "average_score"];

/** The scores that a level holds, as [JSON name, value], in the table's order. */
export function givenScores<L extends LevelName>(level: L, feedback: LevelFeedback[L]): [string, number][] {
  const given: [string, number][] = [];
  for (const [key, [jsonName]] of Object.entries(LEVEL_SCORES[level]) as [string, readonly [string, number]][]) {
    const value = (feedback as Readonly<Record<string, unknown>>)[key];
    if (typeof value === "number") given.push([jsonName, value]);
  }
  return given;
}

/**
 * A copy of a level; undefined where nothing of it was given. Throws unless every number is in range, every list a list
 * of texts, and every field known.
 */
export function checkedLevel<L extends LevelName>(
  level: L,
  feedback: LevelFeedback[L] | undefined,
): LevelFeedback[L] | undefined {
  if (feedback === undefined) return undefined;
  expectObject(feedback, `feedback.${level}_feedback`);
  return levelFromJson(level, levelToJson(level, feedback));
}

/** A level as JSON: only what was given. */
export function levelToJson<L extends LevelName>(level: L, feedback: LevelFeedback[L]): JsonObject {
  const names = new Map<string, string>(
    (Object.entries(LEVEL_SCORES[level]) as [string, readonly [string, number]][]).map(([key, [name]]) => [key, name]),
  );
  for (const [key, name] of OTHER_FIELDS[level]) names.set(key, name);
  const json: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(feedback)) {
    if (value === undefined) continue;
    const name = names.get(key);
    if (name === undefined) unwanted(value, `feedback.${level}_feedback.${key}`, "no such field");
    json[name] = value;
  }
  return json;
}

/** Reads a level from JSON; undefined where the level is null, absent or an empty object. */
export function levelFromJson<L extends LevelName>(level: L, value: unknown): LevelFeedback[L] | undefined {
  const where = `feedback.${level}_feedback`;
  if (value === undefined || value === null) return undefined;
  const json = expectObject(value, where);
  const fields: Record<string, unknown> = {};
  const known = new Set<string>();
  for (const [key, [name]] of Object.entries(LEVEL_SCORES[level]) as [string, readonly [string, number]][]) {
    known.add(name);
    if (json[name] !== undefined && json[name] !== null) {
      fields[key] = expectNumber(json[name], `${where}.${name}`, 0, 1);
    }
  }
  for (const [key, name, kind] of OTHER_FIELDS[level]) {
    known.add(name);
    if (json[name] !== undefined && json[name] !== null) fields[key] = readOther(json[name], `${where}.${name}`, kind);
  }
  for (const name of Object.keys(json)) {
    if (known.has(name) || DERIVED_FIELDS.includes(name)) continue;
    unwanted(json[name], `${where}.${name}`, `one of ${[...known].join(", ")}`);
  }
  return Object.keys(fields).length === 0 ? undefined : fields as LevelFeedback[L];
}

function readOther(value: unknown, where: string, kind: "count" | "texts" | "object"): unknown {
  if (kind === "object") return cloneJson(expectObject(value, where));
  if (kind === "count") return expectNumber(value, where, 0);
  return expectArray(value, where).map((text, i) => expectText(text, `${where}[${i}]`, 2000));
}
