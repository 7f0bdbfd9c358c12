/**
 * PpoTrainer: proximal policy optimisation of a ReActPolicy on logged trajectories (Schulman et al., 2017).
 *
 * One *update* takes a set of trajectories through up to `numEpochs` epochs: advantages are estimated once, with the
 * logged values; each epoch visits all steps in a random order, minibatch by minibatch; the update ends early when the
 * policy has moved far enough.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { TrajectorySet } from "../episodes/trajectory_set.ts";
import type { ReActPolicy } from "../policy/react_policy.ts";
import { ppoColumns } from "./ppo_columns.ts";
import { checkPpoConfig, PPO_DEFAULTS, type PpoConfig } from "./ppo_config.ts";
import { type PpoMetrics, PpoUpdate, type PpoUpdateOptions } from "./ppo_update.ts";

/** All that a trainer remembers besides the engines' states; goes into the checkpoint. */
export interface PpoTrainerState {
  /** Updates finished so far. */
  readonly numUpdates: number;
  /** Trajectories seen so far, each counted once an update. */
  readonly numTrajectories: number;
}

/** Trains a policy by PPO. */
export class PpoTrainer {
  /** The policy that is trained. */
  readonly policy: ReActPolicy;
  /** The settings in force. */
  readonly config: PpoConfig;
  #numUpdates: number;
  #numTrajectories: number;

  /** Throws when a setting is not a number that makes sense. */
  constructor(options: { policy: ReActPolicy; config?: Partial<PpoConfig>; state?: PpoTrainerState }) {
    this.policy = options.policy;
    this.config = { ...PPO_DEFAULTS, ...options.config };
    checkPpoConfig(this.config);
    this.#numUpdates = options.state?.numUpdates ?? 0;
    this.#numTrajectories = options.state?.numTrajectories ?? 0;
  }

  /** What must be remembered, besides the engines' states, to go on exactly here. */
  get state(): PpoTrainerState {
    return { numUpdates: this.#numUpdates, numTrajectories: this.#numTrajectories };
  }

  /** Runs a whole update. Throws when there is no trajectory, or when states or actions do not fit the policy. */
  async update(set: TrajectorySet, options: PpoUpdateOptions = {}): Promise<PpoMetrics> {
    const update = await this.begin(set, options);
    while (!update.done) await update.epoch();
    return await update.finish();
  }

  /** Begins an update, to be run epoch by epoch. The engines hold the set's states until another set is uploaded. */
  async begin(set: TrajectorySet, options: PpoUpdateOptions = {}): Promise<PpoUpdate> {
    const trajectories = options.trajectories ?? Uint32Array.from({ length: set.size }, (_, n) => n);
    if (trajectories.length === 0) {
      throw new RlcfError("usage", "cannot update: found no trajectory, wanted at least one");
    }
    checkFits(set, this.policy);
    await this.policy.actor.upload(set.states);
    await this.policy.critic.upload(set.states);
    const count = (): void => {
      this.#numUpdates++;
      this.#numTrajectories += trajectories.length;
    };
    return new PpoUpdate(this, set, ppoColumns(set, trajectories, this.config), options, count);
  }
}

function checkFits(set: TrajectorySet, policy: ReActPolicy): void {
  const { inputDim } = policy.shape;
  if (set.stateDim !== inputDim) {
    throw new RlcfError("usage", `cannot update: states have ${set.stateDim} numbers, wanted stateDim ${inputDim}`);
  }
  if (String(set.actionNames) !== String(policy.actions)) {
    throw new RlcfError(
      "usage",
      `cannot update: the trajectories' actions are ${set.actionNames.join(", ")}, wanted ${policy.actions.join(", ")}`,
    );
  }
}
