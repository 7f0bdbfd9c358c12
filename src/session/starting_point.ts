/**
 * What a session starts from: the active policy, an interrupted run, or fresh weights.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { Config } from "../config/schema.ts";
import type { BackendName } from "../engine/engine.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { GatingPolicy } from "../policy/gating_policy.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import type { BaselineState } from "../train/baseline.ts";
import { SingleStepTrainer } from "../train/single_step_trainer.ts";
import { type Contestant, routeHoldout } from "./holdout_evaluation.ts";
import { openPolicy, readStoredPolicy, type StoredPolicy } from "./open_policy.ts";
import type { ResumePoint } from "./resume.ts";
import type { SavedPolicy } from "./saved_policy.ts";

const log = getLogger(["rlcf", "session"]);

/** A policy ready to be trained, and the active one to compare it with. */
export class StartingPoint implements AsyncDisposable {
  /** Trains {@link policy}. */
  readonly trainer: SingleStepTrainer;
  /** The version that training starts from, or null for fresh weights. */
  readonly parentVersion: string | null;
  /** What the parent's rewards were compared with when it was done; null for fresh weights. */
  readonly parentBaseline: BaselineState | null;
  readonly #active: StoredPolicy | null;

  constructor(trainer: SingleStepTrainer, parentVersion: string | null, active: StoredPolicy | null) {
    this.trainer = trainer;
    this.parentVersion = parentVersion;
    this.#active = active;
    this.parentBaseline = active !== null && active.checkpoint.version === parentVersion ? active.saved.trainer : null;
  }

  /** The policy that is trained. */
  get policy(): GatingPolicy {
    return this.trainer.policy;
  }

  /** The version that is active now, or null. */
  get activeVersion(): string | null {
    return this.#active?.checkpoint.version ?? null;
  }

  /** The active policy's routing of the given rows; null if none is active or it knows other inputs or experts. */
  async routeActive(episodes: EpisodeSet, rows: Uint32Array): Promise<Contestant | null> {
    if (this.#active === null) return null;
    const { checkpoint: { version }, saved } = this.#active;
    if (saved.shape.inputDim !== episodes.inputDim || String(saved.experts) !== String(episodes.experts)) return null;
    await using policy = await openPolicy(saved, this.policy.engine.backend);
    return { version, weightsNE: await routeHoldout(policy, episodes, rows) };
  }

  /** Releases the policy that was trained. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.policy.close();
  }
}

/** Opens the policy that a session trains. */
export async function startingPoint(
  store: RLCFPersistence,
  config: Config,
  policyType: string,
  resumed: ResumePoint | undefined,
): Promise<StartingPoint> {
  const row = await store.getActivePolicy(policyType);
  const active = row === null ? null : await readStoredPolicy(row, config.checkpoint.directory);
  const backend = config.compute.backend;
  if (resumed !== undefined) {
    const policy = await openPolicy(resumed.saved, backend);
    return new StartingPoint(trainerOf(policy, config, resumed.saved), resumed.parentVersion, active);
  }
  const fresh = await freshPolicy(config, backend);
  if (active === null) return new StartingPoint(trainerOf(fresh, config), null, null);
  const difference = differenceOf(fresh, active.saved);
  if (difference !== null) {
    log.warn("starting from fresh weights: the active {version} has {difference}", {
      version: active.checkpoint.version,
      difference,
    });
    return new StartingPoint(trainerOf(fresh, config), null, active);
  }
  await fresh.engine.load(active.saved.state);
  return new StartingPoint(trainerOf(fresh, config, active.saved), active.checkpoint.version, active);
}

function freshPolicy(config: Config, backend: BackendName | "auto"): Promise<GatingPolicy> {
  const { inputDim, hiddenDim, experts, inputScale } = config.gatingPolicy;
  return GatingPolicy.create({
    inputDim,
    hiddenDim,
    experts,
    seed: config.training.seed,
    backend,
    ...(inputScale === "auto" ? {} : { inputScale }),
  });
}

/** A trainer with the configured settings, going on from what a checkpoint remembers. */
function trainerOf(policy: GatingPolicy, config: Config, saved?: SavedPolicy): SingleStepTrainer {
  const { training } = config;
  return new SingleStepTrainer({
    policy,
    config: {
      learningRate: training.learningRate,
      entropyCoef: training.entropyCoef,
      clipGradNorm: training.clipGradNorm,
      weightDecay: training.weightDecay,
      baselineDecay: training.baselineDecay,
      normalizeAdvantage: training.normalizeAdvantage,
      minVariance: training.minVariance,
      importanceClip: training.importanceClip,
      residualClip: training.residualClip,
      objective: training.objective,
    },
    ...(saved === undefined ? {} : { state: saved.trainer }),
  });
}

/** How a stored network differs from the configured one, in words; null if it does not. */
function differenceOf(policy: GatingPolicy, saved: SavedPolicy): string | null {
  const { inputDim, hiddenDim, inputScale } = policy.shape;
  const { shape } = saved;
  if (String(policy.experts) !== String(saved.experts)) {
    return `the experts ${saved.experts.join(", ")}, wanted ${policy.experts.join(", ")}`;
  }
  if (shape.inputDim !== inputDim) return `input_dim ${shape.inputDim}, wanted ${inputDim}`;
  if (shape.hiddenDim !== hiddenDim) return `hidden_dim ${shape.hiddenDim}, wanted ${hiddenDim}`;
  if (shape.inputScale !== inputScale) return `input_scale ${shape.inputScale}, wanted ${inputScale}`;
  return null;
}
