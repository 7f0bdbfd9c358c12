/**
 * How agents fare on the held-out episodes, and what the gate makes of it.
 *
 * @module
 */
import type { TrajectorySet } from "../episodes/trajectory_set.ts";
import { type GateReport, judge } from "../evaluate/gate.ts";
import { PairedDifferences } from "../evaluate/paired.ts";
import { doublyRobustTrajectoryTerms, returnsOf } from "../evaluate/trajectory_terms.ts";
import {
  type ActedTrajectories,
  estimateTrajectories,
  evaluatedTrajectories,
  type TrajectoryValue,
} from "../evaluate/trajectory_value.ts";
import type { ReActPolicy } from "../policy/react_policy.ts";
import type { EvaluationReport } from "./report.ts";

/** What judging by logged episodes cannot do. */
export const TRAJECTORY_LIMITS: readonly string[] = [
  "an episode's weight is the product of its steps' ratios, so the variance grows exponentially with its length, and " +
  "intervals are too narrow where few episodes carry the weight: below 30 effective episodes nothing is promoted",
  "values are undiscounted returns, step penalties included: the score of the answer less what its steps cost",
  "feedback is compared in total; retrieval, reasoning and synthesis are not compared by level",
];

/** An agent's behaviour on the held-out episodes. */
export interface TrajectoryContestant {
  /** Its version. */
  readonly version: string;
  /** What it would do. */
  readonly acted: ActedTrajectories;
}

/** Steps judged in one call, so that the copy of their states stays small. */
const CHUNK = 1024;

/** What a policy would do in every state of the given episodes. */
export async function actIn(
  policy: Pick<ReActPolicy, "forward" | "numActions">,
  set: TrajectorySet,
  trajectories: Uint32Array,
): Promise<ActedTrajectories> {
  const steps = Array.from(trajectories).flatMap((n) =>
    Array.from({ length: set.offsets[n + 1]! - set.offsets[n]! }, (_, t) => set.offsets[n]! + t)
  );
  const probsMA = new Float32Array(steps.length * policy.numActions);
  for (let start = 0; start < steps.length; start += CHUNK) {
    const chunk = steps.slice(start, start + CHUNK);
    const states = new Float32Array(chunk.length * set.stateDim);
    for (const [i, s] of chunk.entries()) {
      states.set(set.states.subarray(s * set.stateDim, (s + 1) * set.stateDim), i * set.stateDim);
    }
    probsMA.set((await policy.forward(states)).probs, start * policy.numActions);
  }
  return { trajectories, probsMA };
}

/** What the logging policies earned: the mean return, weighted as in training; null without episodes. */
export function loggedReturn(set: TrajectorySet, trajectories: Uint32Array, stepPenalty: number): number | null {
  let [mass, gained] = [0, 0];
  for (const n of trajectories) {
    const [start, end] = [set.offsets[n]!, set.offsets[n + 1]!];
    const earned = set.rewards.subarray(start, end).reduce((sum, reward) => sum + reward, 0);
    mass += set.sampleWeights[n]!;
    gained += set.sampleWeights[n]! * (earned + stepPenalty * (end - start - 1));
  }
  return mass > 0 ? gained / mass : null;
}

/** Two agents compared episode by episode. */
export interface TrajectoryComparison {
  /** Why the log says nothing about one of them; empty if it does. */
  readonly notIdentified: readonly string[];
  /** First less second, returns; null where nothing can be compared. */
  readonly total: PairedDifferences | null;
}

/**
 * Compares two agents by the doubly robust estimate of their returns, episode by episode: what they have in common, such
 * as a hard question or a strict user, cancels.
 *
 * @param second undefined for the logged behaviour, whose contribution is the return itself
 */
export function compareActing(parts: {
  readonly set: TrajectorySet;
  readonly stepPenalty: number;
  readonly first: { readonly acted: ActedTrajectories; readonly estimate: TrajectoryValue | null };
  readonly second: { readonly acted: ActedTrajectories; readonly estimate: TrajectoryValue | null } | undefined;
}): TrajectoryComparison {
  const { set, stepPenalty, first, second } = parts;
  const { trajectories } = first.acted;
  const notIdentified = [...new Set([first, second].flatMap((one) => one?.estimate?.not_identified ?? []))];
  if (trajectories.length === 0 || notIdentified.length > 0) return { notIdentified, total: null };
  const mine = evaluatedTrajectories(set, first.acted, stepPenalty);
  const theirs = second === undefined
    ? returnsOf(mine)
    : doublyRobustTrajectoryTerms(evaluatedTrajectories(set, second.acted, stepPenalty)).numerator;
  const differences = doublyRobustTrajectoryTerms(mine).numerator.map((value, i) => value - theirs[i]!);
  return { notIdentified, total: new PairedDifferences(set, trajectories, differences) };
}

/** The estimates of both agents on the same episodes, and the gate's verdict. */
export function evaluateActing(parts: {
  readonly set: TrajectorySet;
  /** The new policy on the held-out episodes. */
  readonly candidate: ActedTrajectories;
  readonly active: TrajectoryContestant | null;
  readonly activeVersion: string | null;
  /** Which challenger of the active version this is, from 1. */
  readonly question: number;
  readonly levelMargin: number;
  readonly stepPenalty: number;
  readonly seed: number;
}): EvaluationReport {
  const { set, candidate: acted, active, activeVersion, stepPenalty, seed } = parts;
  const holdout = acted.trajectories;
  const estimated = (one: ActedTrajectories): TrajectoryValue | null =>
    holdout.length === 0 ? null : estimateTrajectories(set, one, { stepPenalty, seed });
  const candidate = estimated(acted);
  const rival = active === null ? null : estimated(active.acted);
  const logged = loggedReturn(set, holdout, stepPenalty);
  const compared = compareActing({
    set,
    stepPenalty,
    first: { acted, estimate: candidate },
    second: active === null ? undefined : { acted: active.acted, estimate: rival },
  });
  const effective = [candidate, rival].flatMap((estimate) => estimate?.effective_sample_size ?? []);
  const gate: GateReport = judge({
    ...compared,
    method: "doubly_robust",
    logName: "what was logged",
    levels: { retrieval: null, reasoning: null, synthesis: null },
    activeVersion,
    incomparable: activeVersion !== null && active === null ? "knows other states or actions" : null,
    candidate: candidate?.doubly_robust ?? null,
    rival: active === null ? logged : rival?.doubly_robust ?? null,
    effectiveRows: effective.length === 0 ? 0 : Math.min(...effective),
    question: parts.question,
    levelMargin: parts.levelMargin,
    feedbackPerRow: holdout.length === 0 ? 0 : set.feedbackRows / holdout.length,
    plainNeedsRows: true,
  });
  return {
    holdout: holdout.length,
    logged_value: logged,
    candidate,
    active: rival,
    active_version: active?.version ?? null,
    limits: TRAJECTORY_LIMITS,
    gate,
  };
}
