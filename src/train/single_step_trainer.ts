/**
 * SingleStepTrainer: one decision, one reward, one step. Turns traces with feedback into steps of the policy's engine.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { type EpisodeSet, EpisodeSetBuilder, type SkipReason } from "../episodes/episode_set.ts";
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { GatingPolicy } from "../policy/gating_policy.ts";
import { gatingDecision } from "../trace/gating_decision.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import type { StepMetrics } from "../engine/engine.ts";
import { type BaselineState, RewardBaseline } from "./baseline.ts";
import { headOf, needsValues, type Objective, type ObjectiveChoice, OBJECTIVES, writeGain } from "./objective.ts";

/** Settings of a {@link SingleStepTrainer}; every one has a default. */
export interface SingleStepConfig {
  /** Step size of AdamW; 1e-4. */
  readonly learningRate: number;
  /** Factor of the entropy bonus; 0.01. */
  readonly entropyCoef: number;
  /** Largest norm of the gradient, 0 for none; 1. */
  readonly clipGradNorm: number;
  /** Decoupled weight decay of AdamW; 0.01. */
  readonly weightDecay: number;
  /** Share of the old baseline kept at each step; 0.99. */
  readonly baselineDecay: number;
  /** Whether advantages are divided by the rewards' standard deviation; true. */
  readonly normalizeAdvantage: boolean;
  /** Smallest standard deviation divided by; 0.1. */
  readonly minVariance: number;
  /** Largest importance weight; 20. */
  readonly importanceClip: number;
  /** Largest importance weight of a reward model's error, for `doubly_robust`; 3. */
  readonly residualClip: number;
  /** What is maximised; `auto`, which `update` and `updateBatch` take as `reinforce`. */
  readonly objective: ObjectiveChoice;
}

/** The defaults of {@link SingleStepConfig}. */
export const SINGLE_STEP_DEFAULTS: SingleStepConfig = {
  learningRate: 1e-4,
  entropyCoef: 0.01,
  clipGradNorm: 1,
  weightDecay: 0.01,
  baselineDecay: 0.99,
  normalizeAdvantage: true,
  minVariance: 0.1,
  importanceClip: 20,
  residualClip: 3,
  objective: "auto",
};

/** What one update measured, before the step. */
export interface UpdateMetrics {
  /** The whole loss, entropy bonus included. */
  readonly loss: number;
  /** `loss - entropyLoss`: what the objective alone costs. */
  readonly policyLoss: number;
  /** `-entropyCoef * entropy`. */
  readonly entropyLoss: number;
  /** Mean reward of the trained traces. */
  readonly reward: number;
  /** Mean advantage, after normalisation. */
  readonly advantage: number;
  /** Mean reward less the baseline before the update. */
  readonly rawAdvantage: number;
  /** The baseline after the update. */
  readonly baseline: number;
  /** Mean entropy of the policy in nats. */
  readonly entropy: number;
  /** Norm of the gradient before clipping. */
  readonly gradNorm: number;
  /** Standard deviation of the latest rewards, at least `minVariance`; what `normalizeAdvantage` divides by. */
  readonly rewardStd: number;
  /** Steps taken so far, this one included. */
  readonly numUpdates: number;
  /** Traces trained on. */
  readonly batchSize: number;
  /** Why traces were left out; they moved nothing. */
  readonly skipped: readonly SkipReason[];
}

/** What {@link SingleStepTrainer.getStats} tells. */
export interface TrainerStats {
  /** Steps taken so far, those before a resumption included. */
  readonly numUpdates: number;
  /** Exponential moving mean of the rewards; 0.5 before the first. */
  readonly baseline: number;
  /** Standard deviation of the remembered rewards, at least `minVariance`; 0.1 before the second. */
  readonly rewardStd: number;
  /** How many rewards are remembered for `rewardStd`, at most 100. */
  readonly rewardHistoryLength: number;
  /** The settings in force, defaults filled in. */
  readonly config: SingleStepConfig;
}

/** All that a trainer remembers besides the engine's state; goes into the checkpoint. */
export interface TrainerState extends BaselineState {
  /** Steps taken so far. */
  readonly numUpdates: number;
}

/** What the visits of {@link SingleStepTrainer.trainRows} measured. */
export interface VisitMetrics extends StepMetrics {
  /** Mean reward of each step's rows. */
  readonly reward: Float32Array;
  /** The baseline after each step. */
  readonly baseline: Float32Array;
}

/** Trains a policy by off-policy REINFORCE, or another objective, one small batch at a time. */
export class SingleStepTrainer {
  /** The policy that is trained. */
  readonly policy: GatingPolicy;
  /** The settings in force. */
  readonly config: SingleStepConfig;
  #baseline: RewardBaseline;
  #numUpdates = 0;

  /** Throws when a setting is not a number that makes sense. */
  constructor(options: { policy: GatingPolicy; config?: Partial<SingleStepConfig>; state?: TrainerState }) {
    this.policy = options.policy;
    this.config = { ...SINGLE_STEP_DEFAULTS, ...options.config };
    checkConfig(this.config);
    this.#baseline = new RewardBaseline(this.config, options.state);
    this.#numUpdates = options.state?.numUpdates ?? 0;
  }

  /** What must be remembered, besides the engine's state, to go on exactly here. */
  get state(): TrainerState {
    return { ...this.#baseline.state, numUpdates: this.#numUpdates };
  }

  /** One step on one trace. A trace that cannot teach is named in `skipped` and moves nothing. */
  update(trace: ExecutionTrace, feedback: MultilevelFeedback): Promise<UpdateMetrics> {
    return this.updateBatch([[trace, feedback]]);
  }

  /** One step on the mean loss of several traces. Throws on an empty list and on objectives that fit a reward model. */
  async updateBatch(
    pairs: readonly (readonly [trace: ExecutionTrace, feedback: MultilevelFeedback])[],
  ): Promise<UpdateMetrics> {
    if (pairs.length === 0) {
      throw new RlcfError("usage", "cannot update: found an empty batch, wanted at least one trace with feedback");
    }
    const builder = new EpisodeSetBuilder(pairs.length, {
      inputDim: this.policy.shape.inputDim,
      experts: this.policy.experts,
      feedbackWeighting: "none",
    });
    const skipped: SkipReason[] = [];
    for (const [i, [trace, feedback]] of pairs.entries()) {
      const decision = gatingDecision(trace);
      const reason = builder.add({
        traceId: String(i),
        queryId: trace.queryId,
        logKind: decision.kind,
        gatingWeights: decision.weights,
        gatingLogProb: decision.logProb,
        embedding: decision.embedding,
        score: feedback.overallScore(),
        levelScores: {
          retrieval: feedback.levelScore("retrieval") ?? null,
          reasoning: feedback.levelScore("reasoning") ?? null,
          synthesis: feedback.levelScore("synthesis") ?? null,
        },
        userAuthority: 1,
        userId: feedback.userId,
      });
      if (reason !== undefined) skipped.push(reason);
    }
    const episodes = builder.build();
    if (episodes.size === 0) return this.#idle(skipped);
    const before = this.#baseline.baseline;
    await this.policy.engine.upload(episodes.embeddings);
    // A single trace cannot be asked for a reward model: `auto` means REINFORCE, whose gain covers mixtures too.
    const objective = this.config.objective === "auto" ? "reinforce" : this.config.objective;
    const rows = Uint32Array.from({ length: episodes.size }, (_, i) => i);
    const metrics = await this.trainRows({ episodes, rows, batchSize: episodes.size, objective });
    return this.#metrics(metrics, episodes, before, skipped);
  }

  /**
   * Visits rows of an uploaded set in the given order, a step for every `batchSize` of them.
   *
   * The rewards are logged, so baseline and advantages of all steps are known before the first: nothing is read back
   * from the device in between.
   *
   * @param visit `episodes`: the set whose embeddings the engine holds; `weightScale`: factor on the sample weights, 1
   * by default; `valuesNE`: [N, E] the reward model's values where the objective needs them
   */
  async trainRows(visit: {
    episodes: EpisodeSet;
    rows: Uint32Array;
    batchSize: number;
    objective: Objective;
    weightScale?: number | undefined;
    valuesNE?: Float32Array | undefined;
  }): Promise<VisitMetrics> {
    const { episodes, rows, batchSize, objective, valuesNE, weightScale = 1 } = visit;
    if (needsValues(objective) && valuesNE === undefined) {
      throw new RlcfError(
        "usage",
        `objective ${objective} fits a reward model to a whole log: use a training session, not update()`,
      );
    }
    const experts = episodes.experts.length;
    const coefficients = new Float32Array(rows.length * experts);
    const reward = new Float32Array(Math.ceil(rows.length / batchSize));
    const baselines = new Float32Array(reward.length);
    for (let start = 0; start < rows.length; start += batchSize) {
      const batch = rows.subarray(start, start + batchSize);
      const rewards = Float64Array.from(batch, (row) => episodes.rewards[row]!);
      const baseline = this.#baseline.baseline;
      const advantages = this.#baseline.advantagesOf(rewards);
      reward[start / batchSize] = rewards.reduce((sum, value) => sum + value, 0) / rewards.length;
      baselines[start / batchSize] = this.#baseline.baseline;
      for (const [i, row] of batch.entries()) {
        const gainE = coefficients.subarray((start + i) * experts, (start + i + 1) * experts);
        const { importanceClip, residualClip } = this.config;
        writeGain(episodes, row, {
          objective,
          advantage: advantages[i]!,
          baseline,
          importanceClip,
          residualClip,
          valuesNE,
        }, gainE);
      }
    }
    const metrics = await this.policy.engine.train({
      head: headOf(objective),
      rows,
      coefficients,
      targets: new Float32Array(rows.length),
      sampleWeights: Float32Array.from(rows, (row) => episodes.sampleWeights[row]! * weightScale),
      batchSize,
      entropyCoef: this.config.entropyCoef,
      optimizer: this.config,
    });
    this.#numUpdates += reward.length;
    return { ...metrics, reward, baseline: baselines };
  }

  /** Counters and the settings in force. */
  getStats(): TrainerStats {
    return {
      numUpdates: this.#numUpdates,
      baseline: this.#baseline.baseline,
      rewardStd: this.#baseline.rewardStd,
      rewardHistoryLength: this.#baseline.state.rewardWindow.length,
      config: this.config,
    };
  }

  #metrics(
    step: VisitMetrics,
    episodes: EpisodeSet,
    baselineBefore: number,
    skipped: readonly SkipReason[],
  ): UpdateMetrics {
    const { normalizeAdvantage, entropyCoef } = this.config;
    const reward = episodes.rewards.reduce((sum, value) => sum + value, 0) / episodes.size;
    const rawAdvantage = reward - baselineBefore;
    const entropyLoss = -entropyCoef * step.entropy[0]!;
    return {
      loss: step.loss[0]!,
      policyLoss: step.loss[0]! - entropyLoss,
      entropyLoss,
      reward,
      advantage: normalizeAdvantage ? rawAdvantage / this.#baseline.rewardStd : rawAdvantage,
      rawAdvantage,
      baseline: this.#baseline.baseline,
      entropy: step.entropy[0]!,
      gradNorm: step.gradNorm[0]!,
      rewardStd: this.#baseline.rewardStd,
      numUpdates: this.#numUpdates,
      batchSize: episodes.size,
      skipped,
    };
  }

  /** The metrics of an update that had nothing to learn from. */
  #idle(skipped: readonly SkipReason[]): UpdateMetrics {
    const zeros = { loss: 0, policyLoss: 0, entropyLoss: 0, reward: 0, advantage: 0, rawAdvantage: 0, entropy: 0 };
    const { baseline, rewardStd } = this.#baseline;
    return { ...zeros, baseline, gradNorm: 0, rewardStd, numUpdates: this.#numUpdates, batchSize: 0, skipped };
  }
}

function checkConfig(config: SingleStepConfig): void {
  if (!OBJECTIVES.includes(config.objective)) {
    throw new RlcfError(
      "usage",
      `cannot build the trainer: objective is ${config.objective}, wanted one of ${OBJECTIVES.join(", ")}`,
    );
  }
  const within = (name: keyof SingleStepConfig, wanted: string, holds: (value: number) => boolean): void => {
    const value = config[name] as number;
    if (!Number.isFinite(value) || !holds(value)) {
      throw new RlcfError("usage", `cannot build the trainer: ${name} is ${value}, wanted ${wanted}`);
    }
  };
  within("learningRate", "a number > 0", (value) => value > 0);
  within("entropyCoef", "a number >= 0", (value) => value >= 0);
  within("clipGradNorm", "a number >= 0", (value) => value >= 0);
  within("weightDecay", "a number >= 0", (value) => value >= 0);
  within("baselineDecay", "a number from 0 to below 1", (value) => value >= 0 && value < 1);
  within("minVariance", "a number > 0", (value) => value > 0);
  within("importanceClip", "a number >= 1", (value) => value >= 1);
  within("residualClip", "a number >= 0", (value) => value >= 0);
}
