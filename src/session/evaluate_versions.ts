/**
 * What the stored log says about stored versions, without training anything.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import type { LogMix } from "../episodes/episode_set.ts";
import { rowsToSee } from "../evaluate/gate.ts";
import type { PairedMethod } from "../evaluate/paired.ts";
import { estimateValue, loggedValue, type ValueEstimate } from "../evaluate/policy_value.ts";
import { crossFittedValues, heldOutValues } from "../evaluate/reward_values.ts";
import { isDeterministic, logSupport } from "../evaluate/support.ts";
import type { LevelName } from "../feedback/levels.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { compareRoutings, routeHoldout } from "./holdout_evaluation.ts";
import { findStoredPolicy, openPolicy } from "./open_policy.ts";
import { evaluateAgents } from "./evaluate_agents.ts";
import { TRAVERSAL_LIMITS } from "./kinds/traversal.ts";
import type { PolicyValue } from "./report.ts";
import type { SavedPolicy } from "./saved_policy.ts";
import { readTrainingLog, type ReasonCounts, windowOf } from "./training_log.ts";
import { readTraversalLog, traversalScale } from "./traversal_log.ts";

/** A difference with its two-sided 95% interval over rows and users. */
export interface IntervalDifference {
  /** Weighted mean difference. */
  readonly difference: number;
  /** Lower end of the interval. */
  readonly low: number;
  /** Upper end of the interval. */
  readonly high: number;
}

/** A version compared with another on the same rows; field names are those of `evaluate --json`. */
export interface VersionComparison extends IntervalDifference {
  /** The version whose gain it is. */
  readonly version: string;
  /** The version it was compared with. */
  readonly against: string;
  /** How the contributions were formed. */
  readonly method: PairedMethod;
  /** Rows compared. */
  readonly rows: number;
  /** The same by level. */
  readonly levels: Readonly<Record<LevelName, IntervalDifference | null>>;
  /** Users without whom the interval would, or would no longer, hold 0. */
  readonly decisive_users: readonly string[];
  /** Rows that would show a difference of 0.02 four times out of five, at today's variance. */
  readonly rows_needed: number;
}

/** The result; field names are those of `evaluate --json`. */
export interface EvaluationResult {
  /** Whose versions they are. */
  readonly policy_type: string;
  /** What this way of judging cannot do, in words; absent for the GatingPolicy, of which the README tells. */
  readonly limits?: readonly string[];
  /** Which rows were evaluated. */
  readonly rows: "holdout" | "all";
  /** What was found and used. */
  readonly episodes: {
    /** Feedback rows in the window. */
    readonly available: number;
    readonly evaluated: number;
    readonly skipped: ReasonCounts;
  };
  /** What the window's log is. */
  readonly log: LogMix | "deterministic";
  /** Mean reward of the rows: what the logging policies earned. */
  readonly logged_value: number | null;
  /** Every version asked for, and the one compared with. */
  readonly versions: readonly (PolicyValue & { readonly version: string; readonly active: boolean })[];
  /** One for each version, where one to compare with was named. */
  readonly comparisons: readonly VersionComparison[];
}

/** One-sided level of a two-sided 95% interval. */
const TAIL = 0.025;

/**
 * Evaluates versions on the stored log.
 *
 * @throws RlcfError `not_enough_data` where there are no rows, `checkpoint` for a version that is missing or broken,
 * `usage` for one that knows other inputs or experts than the configuration
 */
export function evaluateVersions(request: EvaluationRequest): Promise<EvaluationResult> {
  return request.config.training.policyType === "react" ? evaluateAgents(request) : evaluateRoutings(request);
}

/** What to evaluate. */
export interface EvaluationRequest {
  readonly store: RLCFPersistence;
  /** `training.policyType` says whose versions are meant. */
  readonly config: Config;
  /** The active one if empty. */
  readonly versions: readonly string[];
  /** Compare each with this one. */
  readonly against?: string | undefined;
  /** Evaluate all rows instead of those held out. */
  readonly all: boolean;
}

async function evaluateRoutings(request: EvaluationRequest): Promise<EvaluationResult> {
  const { store, config, against, all } = request;
  const { policyType } = config.training;
  const log = await (policyType === "traversal" ? readTraversalLog : readTrainingLog)(
    store,
    config,
    windowOf(config, new Date()),
  );
  const { episodes, split } = log;
  const rows = all ? Uint32Array.from({ length: episodes.size }, (_, i) => i) : split.holdout;
  if (rows.length === 0) throw nothingToEvaluate(episodes.size, store.location, config, all);
  const support = logSupport(episodes);
  const valuesNE = await (all ? crossFittedValues(episodes, rows) : heldOutValues(episodes, split.training, rows));
  const context = { support, valuesNE, seed: config.training.seed };

  const routed = new Map<string, { weightsNE: Float32Array; estimate: ValueEstimate; active: boolean }>();
  const route = async (wanted: string | undefined): Promise<string> => {
    const stored = await findStoredPolicy(store, config.checkpoint.directory, policyType, wanted);
    const { version, isActive } = stored.checkpoint;
    if (routed.has(version)) return version;
    const { shape, experts } = stored.saved;
    if (shape.inputDim !== episodes.inputDim || String(experts) !== String(episodes.experts)) {
      throw new RlcfError(
        "usage",
        `cannot evaluate ${version}: it routes ${shape.inputDim} numbers to ${experts.join(", ")}, wanted ` +
          `${episodes.inputDim} numbers and ${episodes.experts.join(", ")}`,
        { hint: "Set gating_policy.input_dim and gating_policy.experts to those of the version." },
      );
    }
    if (policyType === "traversal" && !readsTraversals(stored.saved, config)) {
      throw new RlcfError("usage", `cannot evaluate ${version}: it knows other relations or another input scale`, {
        hint: "Set traversal_policy.relations and traversal_policy.input_scale to those of the version.",
      });
    }
    await using policy = await openPolicy(stored.saved, config.compute.backend);
    const weightsNE = await routeHoldout(policy, episodes, rows);
    routed.set(version, { weightsNE, estimate: estimateValue(episodes, rows, weightsNE, context), active: isActive });
    return version;
  };
  const asked: string[] = [];
  for (const version of request.versions.length === 0 ? [undefined] : request.versions) {
    asked.push(await route(version));
  }
  const names = [...new Set(asked)];
  const rival = against === undefined ? undefined : await route(against);
  const shown = rival === undefined || names.includes(rival) ? names : [...names, rival];
  return {
    policy_type: policyType,
    ...(policyType === "traversal" ? { limits: TRAVERSAL_LIMITS } : {}),
    rows: all ? "all" : "holdout",
    episodes: { available: log.available, evaluated: rows.length, skipped: log.skipped },
    log: log.mix === "sampled" && isDeterministic(episodes) ? "deterministic" : log.mix,
    logged_value: loggedValue(episodes, rows),
    versions: shown.map((version) => {
      const { estimate, active } = routed.get(version)!;
      return { version, active, ...estimate };
    }),
    comparisons: rival === undefined ? [] : names.filter((version) => version !== rival).flatMap((version) => {
      const compared = compareRoutings({
        ...context,
        episodes,
        rows,
        first: routed.get(version)!,
        second: routed.get(rival)!,
      });
      const comparison = comparisonOf(compared);
      return comparison === null ? [] : [{ version, against: rival, ...comparison }];
    }),
  };
}

/** Whether a stored traversal policy reads the inputs that the configuration makes. */
export function readsTraversals({ relations, shape }: SavedPolicy, config: Config): boolean {
  return String(relations) === String(config.traversalPolicy.relations) && shape.inputScale === traversalScale(config);
}

/** A comparison in the words of the result; null where nothing could be compared. */
export function comparisonOf(
  { total, levels, method }: Pick<ReturnType<typeof compareRoutings>, "total" | "levels" | "method">,
): Omit<VersionComparison, "version" | "against"> | null {
  const found = total?.compare() ?? null;
  if (total === null || found === null) return null;
  const intervalOf = (one: NonNullable<ReturnType<typeof total.compare>>): IntervalDifference => {
    const margin = one.margin(TAIL);
    return { difference: one.difference, low: one.difference - margin, high: one.difference + margin };
  };
  const sideOf = ({ low, high }: IntervalDifference): number => low > 0 ? 1 : high < 0 ? -1 : 0;
  const whole = intervalOf(found);
  return {
    ...whole,
    method,
    rows: found.rows,
    levels: Object.fromEntries(
      Object.entries(levels).map(([level, one]) => [level, one === null ? null : intervalOf(one)]),
    ) as VersionComparison["levels"],
    decisive_users: total.users.filter((user) => {
      const left = total.compare(user);
      return left === null || sideOf(intervalOf(left)) !== sideOf(whole);
    }),
    rows_needed: rowsToSee(found, TAIL),
  };
}

/** That there is nothing to evaluate among so many episodes, and why. */
export function nothingToEvaluate(size: number, location: string, config: Config, all: boolean): RlcfError {
  const days = config.database.lookbackDays;
  return size === 0
    ? new RlcfError(
      "not_enough_data",
      `cannot evaluate: ${location} holds no usable feedback of the last ${days} days`,
      { hint: "rlcf stats shows what is stored; --lookback-days N reaches further back." },
    )
    : new RlcfError(
      "not_enough_data",
      `cannot evaluate: none of ${size} usable episodes is held out${all ? "" : "; --all takes them all"}`,
    );
}
