/**
 * The settings of PPO and their defaults, those of the original.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";

/** Settings of a PpoTrainer; every one has a default. */
export interface PpoConfig {
  /** Step size of Adam; 3e-4. */
  readonly learningRate: number;
  /** Discount of a reward one step later, in [0, 1]; 0.99. */
  readonly gamma: number;
  /** How far advantages look beyond the critic, in [0, 1]; 0.95. See `gae.ts`. */
  readonly gaeLambda: number;
  /** How far a probability may move in one update, as a share of the logged one; 0.2. */
  readonly clipRatio: number;
  /** Passes over the trajectories in one update; 4. */
  readonly numEpochs: number;
  /** Weight of the critic's squared error beside the actor's loss; 0.5. */
  readonly valueCoef: number;
  /** Weight of the entropy bonus; 0.01. */
  readonly entropyCoef: number;
  /** Largest norm of actor's and critic's gradients together, 0 for none; 0.5. */
  readonly clipGradNorm: number;
  /** KL(logged policy, policy) in nats beyond which no further epoch is begun; 0.01, null for no such limit. */
  readonly targetKl: number | null;
  /** Steps in a minibatch; null, all steps together, by default. */
  readonly batchSize: number | null;
  /** Added to the reward of every step but a trajectory's last; 0. */
  readonly stepPenalty: number;
  /** Decoupled weight decay; 0, plain Adam. */
  readonly weightDecay: number;
  /** Seed of the orders in which steps are visited; 0. */
  readonly seed: number;
}

/** The defaults of {@link PpoConfig}. */
export const PPO_DEFAULTS: PpoConfig = {
  learningRate: 3e-4,
  gamma: 0.99,
  gaeLambda: 0.95,
  clipRatio: 0.2,
  numEpochs: 4,
  valueCoef: 0.5,
  entropyCoef: 0.01,
  clipGradNorm: 0.5,
  targetKl: 0.01,
  batchSize: null,
  stepPenalty: 0,
  weightDecay: 0,
  seed: 0,
};

/** Throws, naming the setting, when one is not a number that makes sense. */
export function checkPpoConfig(config: PpoConfig): void {
  const within = (name: keyof PpoConfig, wanted: string, holds: (value: number) => boolean): void => {
    const value = config[name];
    if (typeof value === "number" && Number.isFinite(value) && holds(value)) return;
    throw new RlcfError("usage", `cannot build the trainer: ${name} is ${value}, wanted ${wanted}`);
  };
  within("learningRate", "a number > 0", (value) => value > 0);
  within("gamma", "a number from 0 to 1", (value) => value >= 0 && value <= 1);
  within("gaeLambda", "a number from 0 to 1", (value) => value >= 0 && value <= 1);
  within("clipRatio", "a number > 0", (value) => value > 0);
  within("numEpochs", "an integer >= 1", (value) => Number.isInteger(value) && value >= 1);
  within("valueCoef", "a number > 0", (value) => value > 0);
  within("entropyCoef", "a number >= 0", (value) => value >= 0);
  within("clipGradNorm", "a number >= 0", (value) => value >= 0);
  within("stepPenalty", "a finite number", () => true);
  within("weightDecay", "a number >= 0", (value) => value >= 0);
  within("seed", "an integer from 0 to 4294967295", (value) => value >>> 0 === value);
  if (config.targetKl !== null) within("targetKl", "null or a number > 0", (value) => value > 0);
  if (config.batchSize !== null) {
    within("batchSize", "null or an integer >= 1", (value) => Number.isInteger(value) && value >= 1);
  }
}

/** The settings that a configuration asks for. */
export function ppoConfigOf({ reactPolicy, training }: Pick<Config, "reactPolicy" | "training">): PpoConfig {
  return {
    learningRate: reactPolicy.learningRate,
    gamma: reactPolicy.gamma,
    gaeLambda: reactPolicy.gaeLambda,
    clipRatio: reactPolicy.clipRatio,
    numEpochs: reactPolicy.numEpochs,
    valueCoef: reactPolicy.valueCoef,
    entropyCoef: training.entropyCoef,
    clipGradNorm: reactPolicy.maxGradNorm,
    targetKl: reactPolicy.targetKl === 0 ? null : reactPolicy.targetKl,
    batchSize: reactPolicy.minibatchSize === "auto" ? null : reactPolicy.minibatchSize,
    stepPenalty: reactPolicy.stepPenalty,
    weightDecay: PPO_DEFAULTS.weightDecay,
    seed: training.seed,
  };
}
