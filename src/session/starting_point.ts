/**
 * What a session starts from: the active policy, an interrupted run, or fresh weights.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { Disk } from "../checkpoint/files.ts";
import type { Config } from "../config/schema.ts";
import type { EngineEntry } from "../engine/create.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";
import type { LoadedCheckpoint } from "../checkpoint/checkpoint.ts";
import { GatingPolicy, type GatingPolicyOptions } from "../policy/gating_policy.ts";
import type { PolicyCheckpoint, RLCFPersistence } from "../store/persistence.ts";
import type { BaselineState } from "../train/baseline.ts";
import { SingleStepTrainer } from "../train/single_step_trainer.ts";
import { type Contestant, routeHoldout } from "./holdout_evaluation.ts";
import type { RunCursor } from "../train/training_run.ts";
import { openPolicy, readStored, type Stored, type StoredPolicy } from "./open_policy.ts";
import type { ResumePoint } from "./resume.ts";
import { openInterrupted } from "./resumed_backend.ts";
import { type SavedPolicy, unpackPolicy } from "./saved_policy.ts";
import type { TrainingWarning } from "./warnings.ts";

const log = getLogger(["rlcf", "session"]);

/** A policy ready to be trained, and the active one to compare it with. */
export class StartingPoint implements AsyncDisposable {
  /** Trains {@link policy}. */
  readonly trainer: SingleStepTrainer;
  /** The version that training starts from, or null for fresh weights. */
  readonly parentVersion: string | null;
  /** What the parent's rewards were compared with when it was done; null for fresh weights. */
  readonly parentBaseline: BaselineState | null;
  /** What is wrong with the way it started. */
  readonly warnings: readonly TrainingWarning[];
  /** Relations of a traversal policy. */
  readonly relations: readonly string[] | undefined;
  /** Why the policy is on its backend, in words. */
  readonly backendReason: string;
  readonly #active: StoredPolicy | null;
  readonly #engines: readonly EngineEntry[] | undefined;

  constructor(
    trainer: SingleStepTrainer,
    parentVersion: string | null,
    active: StoredPolicy | null,
    engines?: readonly EngineEntry[],
    warnings: readonly TrainingWarning[] = [],
    relations?: readonly string[],
    backendReason: string = trainer.policy.backendReason,
  ) {
    this.trainer = trainer;
    this.backendReason = backendReason;
    this.relations = relations;
    this.warnings = warnings;
    this.#engines = engines;
    this.parentVersion = parentVersion;
    this.#active = active;
    this.parentBaseline = active !== null && active.checkpoint.version === parentVersion ? active.saved.trainer : null;
  }

  /** The policy that is trained. */
  get policy(): GatingPolicy {
    return this.trainer.policy;
  }

  /** The version that the new one is compared with: the active one, or what stands in for it; null for none. */
  get activeVersion(): string | null {
    return this.#active?.checkpoint.version ?? null;
  }

  /** The active policy's routing of the given rows; null if none is active or it knows other inputs or experts. */
  async routeActive(episodes: EpisodeSet, rows: Uint32Array): Promise<Contestant | null> {
    if (this.#active === null) return null;
    const { checkpoint: { version }, saved } = this.#active;
    if (saved.shape.inputDim !== episodes.inputDim || String(saved.experts) !== String(episodes.experts)) return null;
    // The inputs of the episodes hold the relation in this policy's order and scale.
    if (relationsDifference(this.relations, saved) !== null) return null;
    if (this.relations !== undefined && saved.shape.inputScale !== this.policy.shape.inputScale) return null;
    await using policy = await this.#openActive(saved);
    return { version, weightsNE: await routeHoldout(policy, episodes, rows) };
  }

  /** On the backend of the policy that is trained; where that has no room for both, on another one. */
  async #openActive(saved: SavedPolicy): Promise<GatingPolicy> {
    const { backend } = this.policy.engine;
    try {
      return await openPolicy(saved, backend, this.#engines);
    } catch (thrown) {
      if (!(thrown instanceof RlcfError) || thrown.code !== "backend") throw thrown;
      log.warn("the active policy is routed on another backend than {backend}: {cause}", {
        backend,
        cause: messageOf(thrown),
      });
      return await openPolicy(saved, "auto", this.#engines);
    }
  }

  /** Releases the policy that was trained. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.policy.close();
  }
}

/**
 * Opens the policy that a session trains.
 *
 * @param fresh the policy with fresh weights that the configuration asks for
 * @throws RlcfError `checkpoint` where the active version and all of its ancestors are missing or broken
 */
export async function startingPoint(parts: {
  readonly store: RLCFPersistence;
  readonly config: Config;
  readonly policyType: string;
  readonly fresh: FreshPolicy;
  readonly resumed: ResumePoint<SavedPolicy, RunCursor> | undefined;
  readonly engines: readonly EngineEntry[] | undefined;
  readonly disk: Disk | undefined;
}): Promise<StartingPoint> {
  const { store, config, policyType, fresh: { options, relations }, resumed, engines, disk } = parts;
  const { active, warnings } = await activeOrAncestor(
    store,
    config.checkpoint.directory,
    policyType,
    unpackPolicy,
    disk,
  );
  const backend = config.compute.backend;
  if (resumed !== undefined) {
    const { saved, parentVersion } = resumed;
    const { policy, backendReason } = await openInterrupted(
      backend,
      saved.engine,
      (name) => openPolicy(saved, name, engines),
      ({ engine }) => engine,
    );
    const trainer = trainerOf(policy, config, saved);
    return new StartingPoint(trainer, parentVersion, active, engines, warnings, relations, backendReason);
  }
  const fresh = await GatingPolicy.create({
    ...options,
    seed: config.training.seed,
    backend,
    engines,
  });
  if (active === null) return new StartingPoint(trainerOf(fresh, config), null, null, engines, [], relations);
  const difference = relationsDifference(relations, active.saved) ?? differenceOf(fresh, active.saved);
  if (difference !== null) {
    log.warn("starting from fresh weights: the active {version} has {difference}", {
      version: active.checkpoint.version,
      difference,
    });
    return new StartingPoint(trainerOf(fresh, config), null, active, engines, warnings, relations);
  }
  await fresh.engine.load(active.saved.state);
  const trainer = trainerOf(fresh, config, active.saved);
  return new StartingPoint(trainer, active.checkpoint.version, active, engines, warnings, relations);
}

/** What stands in for a stored policy where there is none: how it is made, and for which relations. */
export interface FreshPolicy {
  /** Sizes and names of the network. */
  readonly options: Pick<GatingPolicyOptions, "inputDim" | "hiddenDim" | "experts" | "inputScale">;
  /** Relations of a traversal policy. */
  readonly relations?: readonly string[] | undefined;
}

/**
 * The active version of a type, or the newest intact one of its ancestors, unpacked; null where none is active.
 *
 * @throws RlcfError `checkpoint` where the active version and all of its ancestors are missing or broken
 */
export async function activeOrAncestor<Saved>(
  store: RLCFPersistence,
  root: string,
  policyType: string,
  unpack: (checkpoint: LoadedCheckpoint) => Saved,
  disk: Disk | undefined,
): Promise<{ active: Stored<Saved> | null; warnings: readonly TrainingWarning[] }> {
  const row = await store.getActivePolicy(policyType);
  return row === null ? { active: null, warnings: [] } : await newestIntact(store, root, row, unpack, disk);
}

/**
 * The active version if its files are intact, else the newest of its ancestors whose files are, with a warning. It does
 * not go on to fresh weights: where all versions look broken, most often the checkpoint directory is the wrong one.
 */
async function newestIntact<Saved>(
  store: RLCFPersistence,
  root: string,
  active: PolicyCheckpoint,
  unpack: (checkpoint: LoadedCheckpoint) => Saved,
  disk: Disk | undefined,
): Promise<{ active: Stored<Saved>; warnings: readonly TrainingWarning[] }> {
  let broken: RlcfError | undefined;
  const seen = new Set<string>();
  let row: PolicyCheckpoint | null = active;
  while (row !== null && !seen.has(row.version)) {
    try {
      const stored = await readStored(row, root, unpack, disk);
      if (broken === undefined) return { active: stored, warnings: [] };
      const message = `the active ${active.version} cannot be used, so training starts from its ancestor ` +
        `${row.version} and is judged against that: ${broken.message}`;
      log.warn("checkpoint_fallback: {message}", { message });
      return { active: stored, warnings: [{ name: "checkpoint_fallback", message }] };
    } catch (thrown) {
      if (!(thrown instanceof RlcfError) || thrown.code !== "checkpoint") throw thrown;
      broken ??= thrown;
    }
    seen.add(row.version);
    row = row.parentVersion === null ? null : await store.getPolicyCheckpoint(row.parentVersion, row.policyType);
  }
  throw broken!;
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

function relationsDifference(relations: readonly string[] | undefined, saved: SavedPolicy): string | null {
  if (String(relations ?? []) === String(saved.relations ?? [])) return null;
  return `the relations ${saved.relations?.join(", ") ?? "none"}, wanted ${relations?.join(", ") ?? "none"}`;
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
