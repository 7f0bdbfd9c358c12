/**
 * One update of PPO: several epochs over the same trajectories, that can be stopped after any of them and taken up again
 * from a few numbers.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { ADAMW, type StepMetrics, type TrainingSegment } from "../engine/engine.ts";
import type { TrajectorySet } from "../episodes/trajectory_set.ts";
import { explainedVariance, type PpoColumns } from "./ppo_columns.ts";
import type { PpoTrainer } from "./ppo_trainer.ts";

/** What the minibatches so far have measured, each before its step; sums, so that an update can be taken up again. */
export interface PpoSums {
  /** Minibatches. */
  readonly batches: number;
  /** Sum of the surrogate losses, without the entropy bonus. */
  readonly policyLoss: number;
  /** Sum of the critic's mean squared errors. */
  readonly valueLoss: number;
  /** Sum of the mean entropies, in nats. */
  readonly entropy: number;
  /** Sum of the estimates of KL(logged policy, policy), in nats. */
  readonly kl: number;
  /** Sum of the shares of steps outside the clip range. */
  readonly clipFraction: number;
  /** Sum of the norms of actor's and critic's gradients together, before clipping. */
  readonly gradNorm: number;
}

/** Where an update stands. */
export interface PpoCursor {
  /** Epochs finished. */
  readonly epoch: number;
  /** Whether the policy has moved as far as `targetKl` allows. */
  readonly stopped: boolean;
  /** What was measured so far. */
  readonly sums: PpoSums;
}

/** What an update measured; means over all its minibatches, each measured before its step. */
export interface PpoMetrics {
  /** Clipped surrogate loss, without the entropy bonus. */
  readonly policyLoss: number;
  /** Mean squared error of the critic. */
  readonly valueLoss: number;
  /** Entropy of the policy in nats. */
  readonly entropy: number;
  /** Estimate of KL(logged policy, policy) in nats. */
  readonly klDivergence: number;
  /** Share of steps outside the clip range. */
  readonly clipFraction: number;
  /** Norm of actor's and critic's gradients together, before clipping. */
  readonly gradNorm: number;
  /** Share of the returns' variance that the critic explains after the update; 1 is a perfect critic. */
  readonly explainedVariance: number;
  /** Epochs that were run. */
  readonly epochsCompleted: number;
  /** Whether `targetKl` ended the update. */
  readonly earlyStopped: boolean;
  /** Trajectories that the trainer has seen in its life, each counted once an update. */
  readonly numTrajectories: number;
  /** Steps of this update's trajectories. */
  readonly numSteps: number;
  /** Updates so far, this one included. */
  readonly numUpdates: number;
}

/** How an update is run. */
export interface PpoUpdateOptions {
  /** Indices of the trajectories to learn from; all by default. */
  readonly trajectories?: Uint32Array | undefined;
  /** Orders of the epochs' visits, each a permutation of the chosen steps; drawn from the seed by default. */
  readonly orders?: readonly Uint32Array[] | undefined;
  /** Where to take the update up; at its beginning by default. */
  readonly cursor?: PpoCursor | undefined;
}

const NOTHING: PpoSums = { batches: 0, policyLoss: 0, valueLoss: 0, entropy: 0, kl: 0, clipFraction: 0, gradNorm: 0 };

/** One update under way. Made by {@link PpoTrainer.begin}. */
export class PpoUpdate {
  readonly #trainer: PpoTrainer;
  readonly #set: TrajectorySet;
  readonly #columns: PpoColumns;
  readonly #orders: readonly Uint32Array[] | undefined;
  readonly #seed: number;
  readonly #count: () => void;
  #cursor: PpoCursor;

  /** Columns of a set whose states the engines hold; `count` is called when the update is finished. */
  constructor(
    trainer: PpoTrainer,
    set: TrajectorySet,
    columns: PpoColumns,
    { orders, cursor }: PpoUpdateOptions,
    count: () => void,
  ) {
    this.#trainer = trainer;
    this.#set = set;
    this.#columns = columns;
    this.#orders = orders;
    // Every update and every epoch has a generator of its own, so that taking one up again needs no state.
    this.#seed = new Random(trainer.config.seed).nextUint32() ^ Math.imul(trainer.state.numUpdates + 1, 0x85ebca6b);
    this.#count = count;
    this.#cursor = cursor ?? { epoch: 0, stopped: false, sums: NOTHING };
  }

  /** Where the update stands. */
  get cursor(): PpoCursor {
    return this.#cursor;
  }

  /** Whether all epochs are run, or the policy has moved far enough. */
  get done(): boolean {
    return this.#cursor.stopped || this.#cursor.epoch >= this.#trainer.config.numEpochs;
  }

  /** Runs one epoch and returns the means over its minibatches. */
  async epoch(): Promise<PpoSums> {
    const { targetKl, batchSize, clipGradNorm } = this.#trainer.config;
    const order = this.#order();
    const size = Math.min(batchSize ?? order.length, order.length);
    // Without a limit on the norm the engines need not wait for each other, and run the epoch in one go.
    const portion = clipGradNorm === 0 ? order.length : size;
    let own = NOTHING;
    for (let start = 0; start < order.length; start += portion) {
      const rows = order.subarray(start, start + portion);
      own = plus(own, clipGradNorm === 0 ? await this.#free(rows, size) : await this.#clipped(rows));
    }
    const sums = plus(this.#cursor.sums, own);
    const stopped = targetKl !== null && sums.kl / sums.batches > targetKl;
    this.#cursor = { epoch: this.#cursor.epoch + 1, stopped, sums };
    return meansOf(own);
  }

  /** Closes the update and returns what it measured. */
  async finish(): Promise<PpoMetrics> {
    this.#count();
    const { stopped, epoch, sums } = this.#cursor;
    const values = await this.#trainer.policy.critic.forward(this.#set.states);
    const { kl, batches: _, ...means } = meansOf(sums);
    return {
      ...means,
      klDivergence: kl,
      explainedVariance: explainedVariance(this.#columns, values),
      epochsCompleted: epoch,
      earlyStopped: stopped,
      numTrajectories: this.#trainer.state.numTrajectories,
      numSteps: this.#columns.steps.length,
      numUpdates: this.#trainer.state.numUpdates,
    };
  }

  /** Steps of both networks on whole minibatches, their gradients not clipped. */
  async #free(rows: Uint32Array, size: number): Promise<PpoSums> {
    const { policy, config: { valueCoef } } = this.#trainer;
    const optimizer = this.#optimizer();
    const actor = await policy.actor.train({ ...this.#actorSegment(rows, 1), batchSize: size, optimizer });
    const critic = await policy.critic.train({ ...this.#criticSegment(rows, valueCoef), batchSize: size, optimizer });
    return this.#sums(actor, { ...critic, loss: critic.loss.map((loss) => loss / valueCoef) }, 1);
  }

  /**
   * One step of both networks, clipped by the norm of both gradients together: `min(1, clip / (norm + 1e-6))` on each.
   * The norms are measured first. The factor is then applied to the losses, in which the gradients are linear.
   */
  async #clipped(rows: Uint32Array): Promise<PpoSums> {
    const { policy, config: { valueCoef, clipGradNorm } } = this.#trainer;
    const actor = await policy.actor.train({ ...this.#actorSegment(rows, 1), optimizer: null });
    const critic = await policy.critic.train({ ...this.#criticSegment(rows, 1), optimizer: null });
    const sums = this.#sums(actor, critic, valueCoef);
    const factor = Math.min(1, clipGradNorm / (sums.gradNorm + ADAMW.clipEpsilon));
    const optimizer = this.#optimizer();
    await policy.actor.train({ ...this.#actorSegment(rows, factor), optimizer });
    await policy.critic.train({ ...this.#criticSegment(rows, valueCoef * factor), optimizer });
    return sums;
  }

  /** The actor's loss on one minibatch, times a factor. */
  #actorSegment(rows: Uint32Array, factor: number): Omit<TrainingSegment, "optimizer"> {
    const { clipRatio, entropyCoef } = this.#trainer.config;
    const { actions, oldLogProbs, actionNames: { length: outputs } } = this.#set;
    const coefficients = new Float32Array(rows.length * outputs);
    for (const [i, s] of rows.entries()) coefficients[i * outputs + actions[s]!] = Math.exp(-oldLogProbs[s]!);
    return {
      head: "ppo_actor",
      rows,
      coefficients,
      targets: Float32Array.from(rows, (s) => this.#columns.advantages[s]!),
      sampleWeights: Float32Array.from(rows, (s) => factor * this.#columns.weights[s]!),
      batchSize: rows.length,
      entropyCoef: factor * entropyCoef,
      clipRatio,
    };
  }

  /** The critic's squared error on one minibatch, times a factor. */
  #criticSegment(rows: Uint32Array, factor: number): Omit<TrainingSegment, "optimizer"> {
    return {
      head: "masked_regression",
      rows,
      coefficients: new Float32Array(rows.length).fill(1),
      targets: Float32Array.from(rows, (s) => this.#columns.returns[s]!),
      sampleWeights: Float32Array.from(rows, (s) => factor * this.#columns.weights[s]!),
      batchSize: rows.length,
      entropyCoef: 0,
    };
  }

  #optimizer(): NonNullable<TrainingSegment["optimizer"]> {
    const { learningRate, weightDecay } = this.#trainer.config;
    return { learningRate, weightDecay, clipGradNorm: 0 };
  }

  /** @param valueCoef factor with which the critic's gradient counts in the norm of both */
  #sums(actor: StepMetrics, critic: StepMetrics, valueCoef: number): PpoSums {
    const sum = (column: Float32Array): number => column.reduce((total, value) => total + value, 0);
    const entropy = sum(actor.entropy);
    return {
      batches: actor.loss.length,
      policyLoss: sum(actor.loss) + this.#trainer.config.entropyCoef * entropy,
      valueLoss: sum(critic.loss),
      entropy,
      kl: sum(actor.kl),
      clipFraction: sum(actor.clipFraction),
      gradNorm: actor.gradNorm.reduce((total, norm, i) => total + Math.hypot(norm, valueCoef * critic.gradNorm[i]!), 0),
    };
  }

  #order(): Uint32Array {
    const { epoch } = this.#cursor;
    const { steps } = this.#columns;
    if (this.#orders !== undefined) {
      const order = this.#orders[epoch];
      if (order?.length === steps.length && order.toSorted().every((s, i) => s === steps[i])) return order;
      throw new RlcfError(
        "usage",
        `cannot update: the order of epoch ${epoch + 1} holds ${order?.length ?? 0} entries, wanted each of the ` +
          `${steps.length} steps once`,
      );
    }
    const random = new Random(this.#seed ^ Math.imul(epoch + 1, 0x9e3779b9));
    return random.permutation(steps.length).map((i) => steps[i]!);
  }
}

function plus(a: PpoSums, b: PpoSums): PpoSums {
  return {
    batches: a.batches + b.batches,
    policyLoss: a.policyLoss + b.policyLoss,
    valueLoss: a.valueLoss + b.valueLoss,
    entropy: a.entropy + b.entropy,
    kl: a.kl + b.kl,
    clipFraction: a.clipFraction + b.clipFraction,
    gradNorm: a.gradNorm + b.gradNorm,
  };
}

/** The sums divided by the number of minibatches, which stays. */
function meansOf({ batches, ...sums }: PpoSums): PpoSums {
  const n = Math.max(1, batches);
  return {
    batches,
    policyLoss: sums.policyLoss / n,
    valueLoss: sums.valueLoss / n,
    entropy: sums.entropy / n,
    kl: sums.kl / n,
    clipFraction: sums.clipFraction / n,
    gradNorm: sums.gradNorm / n,
  };
}
