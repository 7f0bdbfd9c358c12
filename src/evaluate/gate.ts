/**
 * Whether a new policy may replace the active one.
 *
 * @module
 */
import type { ValueEstimate } from "./estimators.ts";

/** When a new version becomes active: `gated` asks {@link decide}, the others do not. */
export type ActivationRule = "gated" | "always" | "never";

/** What was decided, and why in one sentence. */
export interface Verdict {
  readonly activate: boolean;
  readonly reason: string;
}

/** What the decision rests on. */
export interface Evidence {
  /** The new policy on the holdout; null if nothing was held out. */
  readonly candidate: ValueEstimate | null;
  /** The active policy on the same rows; null if none is active or nothing was held out. */
  readonly active: ValueEstimate | null;
  /** The active version, or null. */
  readonly activeVersion: string | null;
  /** Mean logged reward of the same rows. */
  readonly logged: number | null;
}

/**
 * Decides by the self-normalised estimate on the holdout: a candidate becomes active unless it is estimated below the
 * active policy, or below what the logging policies earned where none is active. A point estimate: it keeps out what
 * is plainly worse, and says nothing about chance.
 */
export function decide(rule: ActivationRule, evidence: Evidence): Verdict {
  if (rule === "always") return { activate: true, reason: "activated without asking: checkpoint.activate is always" };
  if (rule === "never") return { activate: false, reason: "not activated: checkpoint.activate is never" };
  const { candidate, active, activeVersion, logged } = evidence;
  if (candidate === null || candidate.snips === null) {
    const why = candidate === null ? "nothing was held out to judge it by" : "the holdout says nothing about it";
    return activeVersion === null
      ? { activate: true, reason: `activated: it is the first version, although ${why}` }
      : { activate: false, reason: `not activated: ${why}, so ${activeVersion} stays` };
  }
  const [rival, name] = activeVersion === null
    ? [logged, "the logged routing"]
    : [active?.snips ?? null, `the active ${activeVersion}`];
  const value = candidate.snips.toFixed(3);
  const basis = `on ${candidate.episodes} held-out episodes`;
  if (rival === null) {
    return {
      activate: true,
      reason: `activated: estimated value ${value} ${basis}; ${name} cannot be estimated there`,
    };
  }
  const comparison = `estimated value ${value} against ${rival.toFixed(3)} of ${name} ${basis}`;
  return candidate.snips >= rival
    ? { activate: true, reason: `activated: ${comparison}` }
    : { activate: false, reason: `not activated: ${comparison}` };
}
