/**
 * How policies fare on the held-out episodes, and what the gate makes of it.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { type GateReport, judge } from "../evaluate/gate.ts";
import { type Comparison, PairedDifferences, pairedDifferences, type PairedMethod } from "../evaluate/paired.ts";
import { estimateValue, evaluatedRows, loggedValue, type ValueEstimate } from "../evaluate/policy_value.ts";
import { heldOutValues } from "../evaluate/reward_values.ts";
import { type LogSupport, logSupport } from "../evaluate/support.ts";
import { type LevelName, LEVELS } from "../feedback/levels.ts";
import type { GatingPolicy } from "../policy/gating_policy.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import type { RewardModel } from "../train/reward_model.ts";
import type { EvaluationReport } from "./report.ts";
import type { TrainingLog } from "./training_log.ts";

/** A policy's routing of the held-out rows. */
export interface Contestant {
  /** Its name. */
  readonly version: string;
  /** [n, E] in the order of the held-out rows. */
  readonly weightsNE: Float32Array;
}

/** Rows routed in one call, so that the copy of their embeddings stays small. */
const CHUNK = 1024;

/** Routes the given rows, [n, E]. */
export async function routeHoldout(
  policy: GatingPolicy,
  episodes: EpisodeSet,
  rows: Uint32Array,
): Promise<Float32Array> {
  const { inputDim, experts, embeddings } = episodes;
  const weightsNE = new Float32Array(rows.length * experts.length);
  for (let start = 0; start < rows.length; start += CHUNK) {
    const chunk = rows.subarray(start, start + CHUNK);
    const inputs = new Float32Array(chunk.length * inputDim);
    for (const [i, row] of chunk.entries()) {
      inputs.set(embeddings.subarray(row * inputDim, (row + 1) * inputDim), i * inputDim);
    }
    weightsNE.set((await policy.forward(inputs)).weights, start * experts.length);
  }
  return weightsNE;
}

/** How many versions were judged against the active one before: each has spent a part of the gate's error. */
export async function countChallengers(
  store: RLCFPersistence,
  policyType: string,
  activeVersion: string | null,
): Promise<number> {
  if (activeVersion === null) return 0;
  const rows = await store.listPolicyCheckpoints(policyType);
  return rows.filter(({ trainingMetrics }) => {
    const evaluation = trainingMetrics.evaluation as { readonly active_version?: unknown } | undefined;
    return evaluation?.active_version === activeVersion;
  }).length;
}

/** The estimates of both policies on the same rows, and the gate's verdict. */
export async function evaluateOnHoldout(parts: {
  trainingLog: Pick<TrainingLog, "episodes" | "split">;
  /** [n, E] the new policy's routing of the held-out rows. */
  candidateNE: Float32Array;
  active: Contestant | null;
  activeVersion: string | null;
  /** The reward model of the training rows, if training fitted one. */
  rewardModel: RewardModel | undefined;
  /** Which challenger of the active version this is, from 1. */
  question: number;
  levelMargin: number;
  seed: number;
}): Promise<EvaluationReport> {
  const { trainingLog: { episodes, split }, candidateNE, active, seed } = parts;
  const { training, holdout } = split;
  const support = logSupport(episodes);
  const context = { support, seed, valuesNE: await heldOutValues(episodes, training, holdout, parts.rewardModel) };
  const estimated = (weightsNE: Float32Array): ValueEstimate | null =>
    holdout.length === 0 ? null : estimateValue(episodes, holdout, weightsNE, context);
  const candidate = estimated(candidateNE);
  const rival = active === null ? null : estimated(active.weightsNE);
  const gate = askGate({ ...parts, ...context, candidate, rival, rows: holdout, episodes });
  return {
    holdout: holdout.length,
    logged_value: loggedValue(episodes, holdout),
    candidate,
    active: rival,
    active_version: active?.version ?? null,
    gate,
  };
}

/** Two routings compared row by row. */
export interface RoutingComparison {
  /** The best one that the log allows. */
  readonly method: PairedMethod;
  /** Why importance weights say nothing about one of them; empty if they do. */
  readonly notIdentified: readonly string[];
  /** First less second, total reward; null where nothing can be compared. */
  readonly total: PairedDifferences | null;
  /** The same by level; null where fewer than two rows were judged on it. */
  readonly levels: Readonly<Record<LevelName, Comparison | null>>;
}

/**
 * Compares two routings by the best method that the log allows: doubly robust, clipped IPS without a reward model, and
 * the direct method where importance weights identify nothing.
 *
 * @param second undefined for the logged routing
 */
export function compareRoutings(parts: {
  episodes: EpisodeSet;
  rows: Uint32Array;
  support: LogSupport;
  valuesNE: Float32Array | undefined;
  /** [n, E] routing of the rows and what was estimated of it. */
  first: { readonly weightsNE: Float32Array; readonly estimate: ValueEstimate | null };
  second: { readonly weightsNE: Float32Array; readonly estimate: ValueEstimate | null } | undefined;
}): RoutingComparison {
  const { episodes, rows, first, second, valuesNE } = parts;
  const notIdentified = [...new Set([first, second].flatMap((one) => one?.estimate?.not_identified ?? []))];
  const method: PairedMethod = notIdentified.length > 0
    ? "direct"
    : valuesNE === undefined
    ? "clipped_ips"
    : "doubly_robust";
  const possible = rows.length > 0 && (method !== "direct" || valuesNE !== undefined);
  const mine = evaluatedRows(episodes, rows, first.weightsNE, parts);
  const theirs = second && evaluatedRows(episodes, rows, second.weightsNE, parts);
  const differencesIn = (rewards: Float64Array): PairedDifferences =>
    new PairedDifferences(
      episodes,
      rows,
      pairedDifferences(method, { ...mine, rewards }, theirs && { ...theirs, rewards }),
    );
  const levels = Object.fromEntries(LEVELS.map((level, l): [LevelName, Comparison | null] => {
    // The direct method knows the total alone.
    if (!possible || method === "direct") return [level, null];
    // The model of the total serves each level: doubly robust estimates are unbiased whatever the model says.
    const scores = Float64Array.from(rows, (row) => episodes.levelScores[row * LEVELS.length + l]!);
    return [level, differencesIn(scores).compare()];
  })) as Record<LevelName, Comparison | null>;
  return { method, notIdentified, total: possible ? differencesIn(mine.rewards) : null, levels };
}

/** Compares the candidate with the active policy, or else with the log, and asks the gate. */
function askGate(parts: {
  episodes: EpisodeSet;
  rows: Uint32Array;
  support: LogSupport;
  valuesNE: Float32Array | undefined;
  candidateNE: Float32Array;
  candidate: ValueEstimate | null;
  active: Contestant | null;
  rival: ValueEstimate | null;
  activeVersion: string | null;
  question: number;
  levelMargin: number;
}): GateReport {
  const { episodes, rows, candidate, active, rival, activeVersion } = parts;
  const compared = compareRoutings({
    ...parts,
    first: { weightsNE: parts.candidateNE, estimate: candidate },
    second: active === null ? undefined : { weightsNE: active.weightsNE, estimate: rival },
  });
  const valueOf = (estimate: ValueEstimate | null): number | null => estimate?.[compared.method] ?? null;
  const effective = [candidate, rival].flatMap((estimate) => estimate?.effective_sample_size ?? []);
  return judge({
    ...compared,
    activeVersion,
    incomparable: activeVersion !== null && active === null ? "knows other inputs or experts" : null,
    candidate: valueOf(candidate),
    rival: active === null ? loggedValue(episodes, rows) : valueOf(rival),
    effectiveRows: effective.length === 0 ? 0 : Math.min(...effective),
    question: parts.question,
    levelMargin: parts.levelMargin,
    feedbackPerRow: rows.length === 0 ? 0 : episodes.feedbackRows / rows.length,
  });
}
