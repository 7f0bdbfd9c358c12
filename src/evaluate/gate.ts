/**
 * Whether a new policy may replace the active one.
 *
 * The gate is asked after every training run, each time about another candidate and largely on the same rows. It spends
 * its error over these questions: the k-th challenger of an active policy is promoted only if the lower confidence bound
 * of its paired difference, at level `alpha_k = 0.025 / (k (k + 1))`, is above 0. The levels sum to 0.025, so by the
 * union bound the probability that *any* challenger that is truly no better ever replaces this active policy stays below
 * 2.5%, whenever and however often the gate is asked and however much the holdouts overlap (alpha spending: Lan and
 * DeMets, 1983; for open-ended sequences: Foster and Stine, 2008). A confidence sequence (Waudby-Smith and Ramdas, 2024)
 * would hold for one candidate on a growing log; here candidates change and each is asked about once, so spending is
 * both the sharper and the honest choice. The bound itself is asymptotic: the gate does not open below
 * {@link MIN_EFFECTIVE_ROWS} effective rows.
 *
 * The first version has no active policy to protect. It becomes active by a plain rule, unless its estimated value is
 * below what the logging policies earned on the same rows: a point estimate, which keeps out what is plainly worse and
 * says nothing about chance.
 *
 * @module
 */
import { signed } from "../base/signed.ts";
import type { LevelName } from "../feedback/levels.ts";
import { normalQuantile } from "./normal.ts";
import type { Comparison, PairedDifferences, PairedMethod } from "./paired.ts";

/** When a new version becomes active: `gated` asks the gate, the others do not. */
export type ActivationRule = "gated" | "always" | "never";

/** `promote`: better beyond chance. `hold`: not shown. `reject`: worse beyond chance, or a level falls. */
export type GateVerdict = "promote" | "hold" | "reject";

/** Probability that an active policy is ever replaced by one that is no better. */
export const GATE_ALPHA = 0.025;

/** Effective rows below which no bound on a difference is believed. */
export const MIN_EFFECTIVE_ROWS = 30;

/**
 * A smaller gain is none that anybody would notice: a policy trained again on its own log differs from itself by less,
 * so evenly that even this would be beyond chance.
 */
export const MIN_GAIN = 0.001;

/** The gain that a holdout should be able to show, and the probability with which it should. */
const [GAIN, POWER] = [0.02, 0.8];

/** The error that the k-th question about challengers of one active policy may spend; k counts from 1. */
export function alphaOf(question: number): number {
  return GATE_ALPHA / (question * (question + 1));
}

/**
 * Rows needed to show a gain of 0.02 with a probability of 80% at level alpha, at a standard error of so many rows:
 * `n s^2 ((z_alpha + z_power) / gain)^2`.
 */
export function rowsToSee({ standardError, rows }: Comparison, alpha: number): number {
  return Math.ceil(rows * (standardError * (normalQuantile(1 - alpha) + normalQuantile(POWER)) / GAIN) ** 2);
}

/** What the verdict rests on. */
export interface GateEvidence {
  /** The active version, or null for a first version. */
  readonly activeVersion: string | null;
  /** Why the two cannot be compared beyond a plain rule, in words; null if they can. */
  readonly incomparable: string | null;
  /** Why importance weights say nothing about one of them; empty if they do. */
  readonly notIdentified: readonly string[];
  /** What the log is called; `the logged routing` by default. */
  readonly logName?: string | undefined;
  /** Candidate less rival (the active policy, or the logged routing), total reward; null if nothing was held out. */
  readonly total: PairedDifferences | null;
  /** How the contributions were formed. */
  readonly method: PairedMethod;
  /** The same by level; null where fewer than two rows were judged on it. */
  readonly levels: Readonly<Record<LevelName, Comparison | null>>;
  /** Estimated value of the candidate by the same method, on the same rows. */
  readonly candidate: number | null;
  /** Estimated value of the rival. */
  readonly rival: number | null;
  /** The smaller effective sample size of the two. */
  readonly effectiveRows: number;
  /** Which challenger of the active version this is, from 1. */
  readonly question: number;
  /** How far a level may fall. */
  readonly levelMargin: number;
  /** Feedback rows collected for each row held out. */
  readonly feedbackPerRow: number;
  /**
   * Whether a first version, too, needs {@link MIN_EFFECTIVE_ROWS}: where a few episodes can carry all the weight, even a
   * plain rule has nothing to go by. False by default.
   */
  readonly plainNeedsRows?: boolean | undefined;
}

/** A difference with its bounds. */
export interface BoundedDifference {
  /** Weighted mean difference. */
  readonly difference: number;
  /** One-sided lower bound at the gate's level. */
  readonly lower: number;
  /** One-sided upper bound at the gate's level. */
  readonly upper: number;
}

/** The verdict with its numbers; field names are those of `train --json`. */
export interface GateReport {
  /** What is to become of the candidate. */
  readonly verdict: GateVerdict;
  /** `paired` against the active policy, or the `plain` rule of a first version. */
  readonly rule: "paired" | "plain";
  /** The version it was compared with; null for the logged routing. */
  readonly against: string | null;
  /** How the contributions were formed. */
  readonly method: PairedMethod;
  /** Estimated value of the candidate. */
  readonly candidate: number | null;
  /** Estimated value of what it was compared with. */
  readonly rival: number | null;
  /** Candidate less rival; null if nothing was held out. */
  readonly total: BoundedDifference & { readonly standard_error: number; readonly rows: number } | null;
  /** The same by level. */
  readonly levels: Readonly<Record<LevelName, BoundedDifference | null>>;
  /** Levels that fall by more than the margin. */
  readonly falling_levels: readonly LevelName[];
  /** How far a level may fall. */
  readonly level_margin: number;
  /** Which question about the active version this was. */
  readonly question: number;
  /** The error that the question could spend. */
  readonly alpha: number;
  /** Users without whom the verdict would be another. */
  readonly decisive_users: readonly string[];
  /** Further feedback after which a gain of 0.02 would show; 0 if it would now, null if it cannot be told. */
  readonly feedback_needed: number | null;
  /** The verdict in words. */
  readonly reason: string;
}

/** Whether to activate, and why in one sentence. */
export interface Verdict {
  /** Whether the version becomes active. */
  readonly activate: boolean;
  /** Why, in one sentence. */
  readonly reason: string;
}

/** The verdict on a candidate. */
export function judge(evidence: GateEvidence): GateReport {
  const { activeVersion, total, levels, levelMargin, question } = evidence;
  const alpha = alphaOf(question);
  const rule = activeVersion === null || evidence.incomparable !== null ? "plain" : "paired";
  const comparison = total?.compare() ?? null;
  const bounded = Object.fromEntries(
    Object.entries(levels).map(([level, found]) => [level, found === null ? null : boundsOf(found, alpha)]),
  ) as Record<LevelName, BoundedDifference | null>;
  const falling = rule === "plain"
    ? []
    : (Object.keys(bounded) as LevelName[]).filter((level) => (bounded[level]?.difference ?? 0) < -levelMargin);
  const decide = (compared: Comparison | null): GateVerdict =>
    rule === "plain" ? plainVerdict(evidence, compared) : pairedVerdict(evidence, compared, alpha, falling.length > 0);
  const verdict = decide(comparison);
  const needed = comparison === null || rule === "plain" || evidence.notIdentified.length > 0 ? null : Math.max(
    0,
    Math.ceil((rowsToSee(comparison, alphaOf(question + 1)) - comparison.rows) * evidence.feedbackPerRow),
  );
  const numbers: Omit<GateReport, "reason"> = {
    verdict,
    rule,
    against: activeVersion,
    method: evidence.method,
    candidate: evidence.candidate,
    rival: evidence.rival,
    total: comparison === null
      ? null
      : { ...boundsOf(comparison, alpha), standard_error: comparison.standardError, rows: comparison.rows },
    levels: bounded,
    falling_levels: falling,
    level_margin: levelMargin,
    question,
    alpha,
    decisive_users: (total?.users ?? []).filter((user) => decide(total!.compare(user)) !== verdict),
    feedback_needed: needed,
  };
  return { ...numbers, reason: reasonOf(numbers, evidence) };
}

/** The plain rule of a first version: active unless estimated below the logged routing. */
function plainVerdict(evidence: GateEvidence, compared: Comparison | null): GateVerdict {
  const { candidate } = evidence;
  if (evidence.plainNeedsRows === true) {
    if (compared === null ? evidence.notIdentified.length > 0 : isTooThin(evidence, compared)) return "hold";
  }
  return compared === null || candidate === null || compared.difference >= 0 ? "promote" : "hold";
}

function pairedVerdict(
  evidence: GateEvidence,
  compared: Comparison | null,
  alpha: number,
  aLevelFalls: boolean,
): GateVerdict {
  if (compared === null || evidence.notIdentified.length > 0) return "hold";
  if (isTooThin(evidence, compared)) return "hold";
  const { lower, upper } = boundsOf(compared, alpha);
  if (upper < 0) return "reject";
  if (lower <= 0 || compared.difference < MIN_GAIN) return "hold";
  return aLevelFalls ? "reject" : "promote";
}

/** Whether the rows weigh too little for any bound to be believed. */
function isTooThin({ effectiveRows }: GateEvidence, { rows }: Pick<Comparison, "rows">): boolean {
  return Math.min(effectiveRows, rows) < MIN_EFFECTIVE_ROWS;
}

function boundsOf(comparison: Comparison, alpha: number): BoundedDifference {
  const { difference } = comparison;
  const margin = comparison.margin(alpha);
  return { difference, lower: difference - margin, upper: difference + margin };
}

/** What happens under a rule, in one sentence that starts with whether the version was activated. */
export function decide(rule: ActivationRule, gate: GateReport): Verdict {
  if (rule === "always") return { activate: true, reason: "activated without asking: checkpoint.activate is always" };
  if (rule === "never") {
    return { activate: false, reason: "not activated: asked not to (--no-activate, or checkpoint.activate: never)" };
  }
  const activate = gate.verdict === "promote";
  const stays = !activate && gate.against !== null ? `, ${gate.against} stays` : "";
  return { activate, reason: `${activate ? "activated" : "not activated"}${stays}: ${gate.reason}` };
}

function reasonOf(gate: Omit<GateReport, "reason">, evidence: GateEvidence): string {
  const { verdict, total, candidate, rival, against } = gate;
  if (total === null || candidate === null || rival === null) {
    const why = evidence.notIdentified.length > 0
      ? `the holdout says nothing about it (${evidence.notIdentified.join("; ")})`
      : "nothing was held out to judge it by";
    return against === null && verdict === "promote" ? `it is the first version, although ${why}` : why;
  }
  const name = gate.rule === "paired" ? `the active ${against}` : evidence.logName ?? "the logged routing";
  const values = `estimated value ${fixed(candidate)} against ${
    fixed(rival)
  } of ${name} on ${total.rows} held-out episodes`;
  if (gate.rule === "plain") {
    if (verdict === "hold" && evidence.plainNeedsRows === true && isTooThin(evidence, total)) {
      return `${values}, but they weigh as much as ${weightText(evidence, total)} are wanted`;
    }
    return evidence.incomparable === null ? values : `${values}; ${against} ${evidence.incomparable}`;
  }
  const range = `${signed(total.lower)} to ${signed(total.upper)}`;
  switch (verdict) {
    case "promote":
      return `${values}, a gain of at least ${fixed(total.lower)} beyond chance`;
    case "reject":
      return gate.falling_levels.length > 0 && total.lower > 0
        ? `${values}, but ${
          gate.falling_levels.map((level) => `${level} falls by ${fixed(-gate.levels[level]!.difference)}`).join(", ")
        }, ` +
          `more than ${gate.level_margin}`
        : `${values}, worse by at least ${fixed(-total.upper)} beyond chance`;
    case "hold":
      return `${values}: ${whyHeld(gate, evidence, range)}`;
  }
}

function whyHeld(gate: Omit<GateReport, "reason">, evidence: GateEvidence, range: string): string {
  if (evidence.notIdentified.length > 0) {
    return `the log cannot confirm it (${evidence.notIdentified.join("; ")})`;
  }
  const effective = Math.min(evidence.effectiveRows, gate.total!.rows);
  const more = gate.feedback_needed === null || gate.feedback_needed === 0
    ? "a gain of 0.02 would have shown"
    : `about ${gate.feedback_needed.toLocaleString("en-US")} more feedbacks would show a gain of 0.02`;
  if (effective >= MIN_EFFECTIVE_ROWS && gate.total!.lower > 0) {
    return `the two are as good as equal, a gain below ${MIN_GAIN} changes nothing`;
  }
  return effective < MIN_EFFECTIVE_ROWS
    ? `they weigh as much as ${weightText(evidence, gate.total!)} are wanted; ${more}`
    : `the difference, ${range}, can be chance; ${more}`;
}

function weightText({ effectiveRows }: GateEvidence, { rows }: Pick<Comparison, "rows">): string {
  return `${Math.floor(Math.min(effectiveRows, rows))}, and ${MIN_EFFECTIVE_ROWS}`;
}

function fixed(value: number): string {
  return value.toFixed(3);
}
