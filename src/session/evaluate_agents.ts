/**
 * What the stored log says about stored versions of the ReActPolicy, without training anything.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { type ActedTrajectories, estimateTrajectories, type TrajectoryValue } from "../evaluate/trajectory_value.ts";
import { comparisonOf, type EvaluationRequest, type EvaluationResult, nothingToEvaluate } from "./evaluate_versions.ts";
import { findStoredReAct, openReActPolicy } from "./open_policy.ts";
import { actIn, compareActing, loggedReturn, TRAJECTORY_LIMITS } from "./trajectory_evaluation.ts";
import { readTrajectoryLog } from "./trajectory_log.ts";
import { windowOf } from "./training_log.ts";

/** Evaluates versions of the ReActPolicy; see `evaluateVersions`. */
export async function evaluateAgents(request: EvaluationRequest): Promise<EvaluationResult> {
  const { store, config, against, all } = request;
  const { stepPenalty } = config.reactPolicy;
  const { seed } = config.training;
  const log = await readTrajectoryLog(store, config, windowOf(config, new Date()));
  const set = log.episodes;
  const trajectories = all ? Uint32Array.from({ length: set.size }, (_, n) => n) : log.split.holdout;
  if (trajectories.length === 0) throw nothingToEvaluate(set.size, store.location, config, all);

  const observed = new Map<string, { acted: ActedTrajectories; estimate: TrajectoryValue; active: boolean }>();
  const observe = async (wanted: string | undefined): Promise<string> => {
    const { checkpoint, saved } = await findStoredReAct(store, config.checkpoint.directory, wanted);
    const { version, isActive: active } = checkpoint;
    if (observed.has(version)) return version;
    const { shape, actions } = saved;
    if (shape.inputDim !== set.stateDim || String(actions) !== String(set.actionNames)) {
      throw new RlcfError(
        "usage",
        `cannot evaluate ${version}: it reads states of ${shape.inputDim} numbers for ${actions.join(", ")}, wanted ` +
          `${set.stateDim} numbers and ${set.actionNames.join(", ")}`,
        { hint: "Set react_policy.state_dim and react_policy.actions to those of the version." },
      );
    }
    await using policy = await openReActPolicy(saved, config.compute.backend);
    const acted = await actIn(policy, set, trajectories);
    observed.set(version, { acted, estimate: estimateTrajectories(set, acted, { stepPenalty, seed }), active });
    return version;
  };
  const asked: string[] = [];
  for (const version of request.versions.length === 0 ? [undefined] : request.versions) {
    asked.push(await observe(version));
  }
  const names = [...new Set(asked)];
  const rival = against === undefined ? undefined : await observe(against);
  const shown = rival === undefined || names.includes(rival) ? names : [...names, rival];
  return {
    policy_type: "react",
    limits: TRAJECTORY_LIMITS,
    rows: all ? "all" : "holdout",
    episodes: { available: log.available, evaluated: trajectories.length, skipped: log.skipped },
    log: log.mix,
    logged_value: loggedReturn(set, trajectories, stepPenalty),
    versions: shown.map((version) => {
      const { estimate, active } = observed.get(version)!;
      return { version, active, ...estimate };
    }),
    comparisons: rival === undefined ? [] : names.filter((version) => version !== rival).flatMap((version) => {
      const { total } = compareActing({
        set,
        stepPenalty,
        first: observed.get(version)!,
        second: observed.get(rival)!,
      });
      const levels = { retrieval: null, reasoning: null, synthesis: null };
      const comparison = comparisonOf({ total, levels, method: "doubly_robust" });
      return comparison === null ? [] : [{ version, against: rival, ...comparison }];
    }),
  };
}
