/**
 * What training wrote down about a version, read with patience: versions of earlier releases and imported ones lack
 * parts of it, and a report says so instead of failing.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { Interval } from "../evaluate/bootstrap.ts";
import type { GateVerdict } from "../evaluate/gate.ts";

/** A difference with its one-sided bounds. */
export interface RecordedDifference {
  /** New less old. */
  readonly difference: number;
  /** Lower bound. */
  readonly lower: number;
  /** Upper bound. */
  readonly upper: number;
}

/** The gate's verdict as it was stored. */
export interface RecordedGate {
  /** What the gate said. */
  readonly verdict: GateVerdict;
  /** Against the active policy, or the plain rule of a first version. */
  readonly rule: "paired" | "plain";
  /** The version it was compared with; null for the logged routing. */
  readonly against: string | null;
  /** Estimated value of the new version, and of what it was compared with. */
  readonly candidate: number | null;
  /** See `candidate`. */
  readonly rival: number | null;
  /** New less old over all held-out episodes. */
  readonly total: RecordedDifference | null;
  /** Episodes that were compared. */
  readonly rows: number | null;
  /** The same by level, for the levels that were judged. */
  readonly levels: readonly (RecordedDifference & { readonly level: string })[];
  /** Levels that fall by more than the margin. */
  readonly fallingLevels: readonly string[];
  /** How far a level may fall. */
  readonly levelMargin: number | null;
  /** Which challenger of the active version this was, from 1. */
  readonly question: number | null;
  /** Users without whom the verdict would be another. */
  readonly decisiveUsers: readonly string[];
  /** Further feedback after which a gain of 0.02 would show. */
  readonly feedbackNeeded: number | null;
  /** The verdict in the gate's own words. */
  readonly reason: string;
}

/** An estimated value as it was stored. */
export interface RecordedValue {
  /** On the scale of the scores. */
  readonly value: number;
  /** 95% interval. */
  readonly interval: Interval | null;
  /** Effective sample size. */
  readonly effective: number | null;
}

/** How training went: columns of the same length. */
export interface RecordedCurve {
  /** Episodes visited. */
  readonly episodes: readonly number[];
  /** By name: `loss`, `entropy`, `grad_norm`, `baseline`. */
  readonly series: Readonly<Record<string, readonly number[]>>;
}

/** Everything a report takes from a version's metrics; null or empty where it is not there. */
export interface Recorded {
  /** What was maximised. */
  readonly objective: string | null;
  /** Passes over the training episodes. */
  readonly epochs: number | null;
  /** Optimizer steps since the first version of this line. */
  readonly updates: number | null;
  /** Named warnings. */
  readonly warnings: readonly { readonly name: string; readonly message: string }[];
  /** Why it was made active, or was not. */
  readonly activationReason: string | null;
  /** Episodes held out to judge it by. */
  readonly holdout: number | null;
  /** How the values were estimated. */
  readonly method: string | null;
  /** The version it was judged against. */
  readonly activeVersion: string | null;
  /** Mean score of the held-out episodes under the logged routing. */
  readonly loggedValue: number | null;
  /** Value of the version. */
  readonly candidate: RecordedValue | null;
  /** Value of the version that was active before. */
  readonly active: RecordedValue | null;
  /** Why importance weights said nothing. */
  readonly notIdentified: readonly string[];
  /** The gate's verdict. */
  readonly gate: RecordedGate | null;
  /** The learning curve. */
  readonly curve: RecordedCurve | null;
}

/** Reads a version's training metrics. Never throws. */
export function recordedOf(metrics: JsonObject): Recorded {
  const evaluation = objectOf(metrics.evaluation);
  const gate = gateFrom(objectOf(evaluation.gate));
  const method = textOf(objectOf(evaluation.gate).method);
  return {
    objective: textOf(metrics.objective),
    epochs: numberOf(metrics.epochs),
    updates: numberOf(metrics.num_updates),
    warnings: listOf(metrics.warnings).flatMap((entry) => {
      const [name, message] = [textOf(objectOf(entry).name), textOf(objectOf(entry).message)];
      return name === null || message === null ? [] : [{ name, message }];
    }),
    activationReason: textOf(metrics.activation_reason),
    holdout: numberOf(evaluation.holdout),
    method,
    activeVersion: textOf(evaluation.active_version),
    loggedValue: numberOf(evaluation.logged_value),
    candidate: valueFrom(objectOf(evaluation.candidate), method),
    active: valueFrom(objectOf(evaluation.active), method),
    notIdentified: textsOf(objectOf(evaluation.candidate).not_identified),
    gate,
    curve: curveFrom(objectOf(metrics.curve)),
  };
}

function gateFrom(json: JsonObject): RecordedGate | null {
  const [verdict, rule, reason] = [textOf(json.verdict), textOf(json.rule), textOf(json.reason)];
  if (verdict !== "promote" && verdict !== "hold" && verdict !== "reject") return null;
  if ((rule !== "paired" && rule !== "plain") || reason === null) return null;
  return {
    verdict,
    rule,
    reason,
    against: textOf(json.against),
    candidate: numberOf(json.candidate),
    rival: numberOf(json.rival),
    total: differenceFrom(objectOf(json.total)),
    rows: numberOf(objectOf(json.total).rows),
    levels: Object.entries(objectOf(json.levels)).flatMap(([level, found]) => {
      const difference = differenceFrom(objectOf(found));
      return difference === null ? [] : [{ level, ...difference }];
    }),
    fallingLevels: textsOf(json.falling_levels),
    levelMargin: numberOf(json.level_margin),
    question: numberOf(json.question),
    decisiveUsers: textsOf(json.decisive_users),
    feedbackNeeded: numberOf(json.feedback_needed),
  };
}

function differenceFrom(json: JsonObject): RecordedDifference | null {
  const [difference, lower, upper] = [numberOf(json.difference), numberOf(json.lower), numberOf(json.upper)];
  return difference === null || lower === null || upper === null ? null : { difference, lower, upper };
}

function valueFrom(json: JsonObject, method: string | null): RecordedValue | null {
  const value = method === null ? null : numberOf(json[method]);
  if (value === null) return null;
  const [low, high] = listOf(objectOf(json.intervals)[method!]).map(numberOf);
  const interval = typeof low === "number" && typeof high === "number" ? [low, high] as const : null;
  return { value, interval, effective: numberOf(json.effective_sample_size) };
}

function curveFrom({ episodes, ...columns }: JsonObject): RecordedCurve | null {
  const visited = numbersOf(episodes);
  if (visited === null || visited.length === 0) return null;
  const series = Object.entries(columns).flatMap(([name, column]) => {
    const values = numbersOf(column);
    return values === null || values.length !== visited.length ? [] : [[name, values] as const];
  });
  return series.length === 0 ? null : { episodes: visited, series: Object.fromEntries(series) };
}

function objectOf(value: unknown): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function textsOf(value: unknown): string[] {
  return listOf(value).filter((entry) => typeof entry === "string");
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function numbersOf(value: unknown): number[] | null {
  const numbers = listOf(value).filter((entry) => numberOf(entry) !== null) as number[];
  return Array.isArray(value) && numbers.length === value.length ? numbers : null;
}
