/**
 * The ReActPolicy in a training session: one update of PPO on the episodes that agents have logged.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf, RlcfError } from "../../base/errors.ts";
import type { Config } from "../../config/schema.ts";
import type { EngineEntry } from "../../engine/create.ts";
import type { TrajectorySet } from "../../episodes/trajectory_set.ts";
import { trajectoriesDigest } from "../../episodes/digest.ts";
import { ReActPolicy } from "../../policy/react_policy.ts";
import { ppoConfigOf } from "../../train/ppo_config.ts";
import { PpoTrainer } from "../../train/ppo_trainer.ts";
import type { PpoCursor } from "../../train/ppo_update.ts";
import { openReActPolicy, type StoredReAct } from "../open_policy.ts";
import { type SavedReAct, unpackReAct } from "../saved_react.ts";
import { openInterrupted } from "../resumed_backend.ts";
import { activeOrAncestor } from "../starting_point.ts";
import { actIn, evaluateActing, type TrajectoryContestant } from "../trajectory_evaluation.ts";
import { readTrajectoryLog, type TrajectoryLog } from "../trajectory_log.ts";
import { agentSnapshot, ppoCursorFrom, trainUpdate, type UpdateResult } from "../update.ts";
import type { FallbackReport } from "../fallbacks.ts";
import type { AgentSnapshot } from "../versions.ts";
import { entropyWarning, type TrainingWarning } from "../warnings.ts";
import { defaultInputScale } from "../../engine/network.ts";
import type { HoldoutSplit } from "../../episodes/holdout.ts";
import type { TrainingWindow } from "../../store/persistence.ts";
import type { Apprenticeship, Lessons, PolicyKind } from "./apprenticeship.ts";

const log = getLogger(["rlcf", "session"]);

/** How sessions train the ReActPolicy. */
export const REACT_KIND: PolicyKind<TrajectoryLog, SavedReAct, PpoCursor> = {
  policyType: "react",
  decisiveSections: ["training", "react_policy", "evaluation"],
  unpack: unpackReAct,
  cursorFrom: ppoCursorFrom,
  readLog: readTrajectoryLog,
  digestOf: ({ episodes }) => trajectoriesDigest(episodes),
  hintFor: (reason) => {
    switch (reason) {
      case "no_react_steps":
        return "The traces hold no steps of an agent: log them with ExecutionTrace.addReActStep.";
      case "wrong_dimension":
        return "Set react_policy.state_dim to the length of the logged states.";
      case "unknown_action":
        return "Name the actions of the log in react_policy.actions.";
      default:
        return "See the README's table of skip reasons: each step needs its state, action, log_prob and value.";
    }
  },
  begin: async ({ store, config, log: { episodes, split, window }, resumed, engines, disk }) => {
    const root = config.checkpoint.directory;
    const { active, warnings } = await activeOrAncestor(store, root, "react", unpackReAct, disk);
    const difference = active === null ? "no version" : differenceOf(config, active.saved);
    if (resumed === undefined && active !== null && difference !== null) {
      log.warn("starting from fresh weights: the active {version} has {difference}", {
        version: active.checkpoint.version,
        difference,
      });
    }
    const continued = difference === null ? active : null;
    const parent = resumed?.saved ?? continued?.saved;
    const { policy, backendReason } = await openAgent(config, engines, resumed?.saved, continued?.saved);
    return new ReActApprenticeship({
      config,
      set: episodes,
      split,
      window,
      trainer: trainerOf(policy, config, parent),
      active,
      parentVersion: resumed === undefined ? continued?.checkpoint.version ?? null : resumed.parentVersion,
      warnings,
      backendReason,
      engines,
      cursor: resumed?.cursor,
    });
  },
};

/** What a session of the ReActPolicy is made of. */
interface ReActParts {
  readonly config: Config;
  readonly set: TrajectorySet;
  readonly split: HoldoutSplit;
  readonly window: TrainingWindow;
  /** Trains the policy, and holds it. */
  readonly trainer: PpoTrainer;
  readonly active: StoredReAct | null;
  readonly parentVersion: string | null;
  readonly warnings: readonly TrainingWarning[];
  /** Why the policy is on its backend, in words. */
  readonly backendReason: string;
  readonly engines: readonly EngineEntry[] | undefined;
  readonly cursor: PpoCursor | undefined;
}

class ReActApprenticeship implements Apprenticeship {
  readonly parentVersion: string | null;
  readonly activeVersion: string | null;
  readonly warnings: readonly TrainingWarning[];
  readonly #parts: ReActParts;
  #observed: TrajectoryContestant | null = null;
  #trained: UpdateResult | undefined;

  constructor(parts: ReActParts) {
    this.#parts = parts;
    this.parentVersion = parts.parentVersion;
    this.activeVersion = parts.active?.checkpoint.version ?? null;
    this.warnings = parts.warnings;
  }

  get engine(): Apprenticeship["engine"] {
    const { backend, device } = this.#policy.actor;
    return { backend, device };
  }

  get backendReason(): string {
    return this.#parts.backendReason;
  }

  get takenUpAt(): string | null {
    const { cursor } = this.#parts;
    return cursor === undefined ? null : `pass ${cursor.epoch + 1}`;
  }

  async observeActive(): Promise<void> {
    const { active, set, split } = this.#parts;
    if (active === null) return;
    const { checkpoint: { version }, saved } = active;
    if (saved.shape.inputDim !== set.stateDim || String(saved.actions) !== String(set.actionNames)) return;
    await using policy = await this.#openActive(saved);
    this.#observed = { version, acted: await actIn(policy, set, split.holdout) };
  }

  async train(lessons: Lessons): Promise<UpdateResult> {
    const { config: { checkpoint }, set, split, window, trainer, cursor } = this.#parts;
    return this.#trained = await trainUpdate({
      ...lessons,
      checkpoint,
      set,
      training: split.training,
      window,
      trainer,
      cursor,
    });
  }

  async evaluate(question: number): ReturnType<Apprenticeship["evaluate"]> {
    const { config, set, split } = this.#parts;
    const candidate = await actIn(this.#policy, set, split.holdout);
    const evaluation = evaluateActing({
      set,
      candidate,
      active: this.#observed,
      activeVersion: this.activeVersion,
      question,
      levelMargin: config.evaluation.levelMargin,
      stepPenalty: config.reactPolicy.stepPenalty,
      seed: config.training.seed,
    });
    const collapse = entropyWarning(candidate.probsMA, set.actionNames.length, "actions");
    return { evaluation, warnings: collapse === null ? [] : [collapse] };
  }

  snapshot(): Promise<AgentSnapshot> {
    return agentSnapshot(this.#parts.trainer);
  }

  fallbacks(): FallbackReport[] {
    return this.#trained?.fallbacks() ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#policy.close();
  }

  get #policy(): ReActPolicy {
    return this.#parts.trainer.policy;
  }

  /** On the backend of the policy that is trained; where that has no room for both, on another one. */
  async #openActive(saved: SavedReAct): Promise<ReActPolicy> {
    const { engines } = this.#parts;
    const { backend } = this.#policy.actor;
    try {
      return await openReActPolicy(saved, backend, engines);
    } catch (thrown) {
      if (!(thrown instanceof RlcfError) || thrown.code !== "backend") throw thrown;
      log.warn("the active policy acts on another backend than {backend}: {cause}", {
        backend,
        cause: messageOf(thrown),
      });
      return await openReActPolicy(saved, "auto", engines);
    }
  }
}

function trainerOf(policy: ReActPolicy, config: Config, parent: SavedReAct | undefined): PpoTrainer {
  const state = parent === undefined ? {} : { state: parent.trainer };
  return new PpoTrainer({ policy, config: ppoConfigOf(config), ...state });
}

/** The agent of an interrupted run, else the one that was active, else one with fresh weights. */
async function openAgent(
  config: Config,
  engines: readonly EngineEntry[] | undefined,
  interrupted: SavedReAct | undefined,
  active: SavedReAct | undefined,
): Promise<{ policy: ReActPolicy; backendReason: string }> {
  const { backend } = config.compute;
  if (interrupted !== undefined) {
    return await openInterrupted(
      backend,
      interrupted.engine,
      (name) => openReActPolicy(interrupted, name, engines),
      ({ actor }) => actor,
    );
  }
  const policy = active === undefined
    ? await freshAgent(config, engines)
    : await openReActPolicy(active, backend, engines);
  return { policy, backendReason: policy.backendReason };
}

function freshAgent(config: Config, engines: readonly EngineEntry[] | undefined): Promise<ReActPolicy> {
  const { stateDim, hiddenDim, actions } = config.reactPolicy;
  const { training: { seed }, compute: { backend } } = config;
  return ReActPolicy.create({ stateDim, hiddenDim, actions, inputScale: scaleOf(config), seed, backend, engines });
}

/** Factor on the states. */
function scaleOf({ reactPolicy: { inputScale, stateDim } }: Config): number {
  return inputScale === "auto" ? defaultInputScale(stateDim) : inputScale;
}

/** How a stored agent differs from the configured one, in words; null if it does not. */
function differenceOf(config: Config, { actions, shape }: SavedReAct): string | null {
  const wanted = config.reactPolicy;
  if (String(wanted.actions) !== String(actions)) {
    return `the actions ${actions.join(", ")}, wanted ${wanted.actions.join(", ")}`;
  }
  if (shape.inputDim !== wanted.stateDim) return `state_dim ${shape.inputDim}, wanted ${wanted.stateDim}`;
  if (shape.hiddenDim !== wanted.hiddenDim) return `hidden_dim ${shape.hiddenDim}, wanted ${wanted.hiddenDim}`;
  const scale = scaleOf(config);
  return shape.inputScale === scale ? null : `input_scale ${shape.inputScale}, wanted ${scale}`;
}
