/**
 * Policies that decide once and are judged for it, in a training session: the GatingPolicy, and the TraversalPolicy, each
 * of whose decisions is an episode of its own. They differ in how their log is read and in what their network is.
 *
 * @module
 */
import { expectNumber } from "../../base/check.ts";
import type { Config } from "../../config/schema.ts";
import { episodesDigest } from "../../episodes/digest.ts";
import type { RLCFPersistence, TrainingWindow } from "../../store/persistence.ts";
import type { RunCursor } from "../../train/training_run.ts";
import { fallbackReports } from "../fallbacks.ts";
import { type Contestant, evaluateOnHoldout, routeHoldout } from "../holdout_evaluation.ts";
import { type PassesResult, trainPasses } from "../passes.ts";
import { type SavedPolicy, unpackPolicy } from "../saved_policy.ts";
import { type FreshPolicy, type StartingPoint, startingPoint } from "../starting_point.ts";
import type { TrainingLog } from "../training_log.ts";
import { snapshotOf } from "../versions.ts";
import { warningsOf } from "../warnings.ts";
import type { Apprenticeship, Lessons, PolicyKind, PolicyType } from "./apprenticeship.ts";

/** A type of policy that decides once. */
export type RoutingKind = PolicyKind<TrainingLog, SavedPolicy, RunCursor>;

/** What tells one such type from another. */
export interface RoutingTask {
  /** The type. */
  readonly policyType: PolicyType;
  /** See `Remembered.decisiveSections`. */
  readonly decisiveSections: readonly string[];
  /** See `PolicyKind.readLog`. */
  readLog(store: RLCFPersistence, config: Config, window: TrainingWindow): Promise<TrainingLog>;
  /** See `PolicyKind.hintFor`. */
  hintFor(reason: string): string;
  /** The policy with fresh weights that the configuration asks for. */
  fresh(config: Config): FreshPolicy;
  /** See `EvaluationReport.limits`. */
  readonly limits?: readonly string[] | undefined;
}

/** The type as sessions train it. */
export function routingKind(task: RoutingTask): RoutingKind {
  return {
    policyType: task.policyType,
    decisiveSections: task.decisiveSections,
    unpack: unpackPolicy,
    cursorFrom: (json) => ({
      epoch: expectNumber(json.epoch, "run.epoch", 0),
      position: expectNumber(json.position, "run.position", 0),
    }),
    readLog: (store, config, window) => task.readLog(store, config, window),
    digestOf: ({ episodes }) => episodesDigest(episodes),
    hintFor: (reason) => task.hintFor(reason),
    begin: async ({ store, config, log, resumed, engines, disk }) => {
      const { policyType, limits } = task;
      const fresh = task.fresh(config);
      const start = await startingPoint({ store, config, policyType, fresh, resumed, engines, disk });
      return new RoutingApprenticeship({ config, log, start, cursor: resumed?.cursor, limits });
    },
  };
}

class RoutingApprenticeship implements Apprenticeship {
  readonly #config: Config;
  readonly #log: TrainingLog;
  readonly #start: StartingPoint;
  readonly #cursor: RunCursor | undefined;
  readonly #limits: readonly string[] | undefined;
  #active: Contestant | null = null;
  #trained: PassesResult | undefined;

  constructor(parts: {
    readonly config: Config;
    readonly log: TrainingLog;
    readonly start: StartingPoint;
    readonly cursor: RunCursor | undefined;
    readonly limits: readonly string[] | undefined;
  }) {
    this.#config = parts.config;
    this.#log = parts.log;
    this.#start = parts.start;
    this.#cursor = parts.cursor;
    this.#limits = parts.limits;
  }

  get parentVersion(): string | null {
    return this.#start.parentVersion;
  }

  get activeVersion(): string | null {
    return this.#start.activeVersion;
  }

  get warnings(): Apprenticeship["warnings"] {
    return this.#start.warnings;
  }

  get engine(): Apprenticeship["engine"] {
    const { backend, device } = this.#start.policy.engine;
    return { backend, device };
  }

  get backendReason(): string {
    return this.#start.backendReason;
  }

  get takenUpAt(): string | null {
    return this.#cursor === undefined ? null : `pass ${this.#cursor.epoch + 1}, episode ${this.#cursor.position + 1}`;
  }

  async observeActive(): Promise<void> {
    this.#active = await this.#start.routeActive(this.#log.episodes, this.#log.split.holdout);
  }

  async train(lessons: Lessons): Promise<PassesResult> {
    const { relations, trainer, policy } = this.#start;
    return this.#trained = await trainPasses({
      ...lessons,
      config: this.#config,
      trainingLog: this.#log,
      trainer,
      digest: episodesDigest(this.#log.episodes),
      hiddenDim: policy.shape.hiddenDim,
      relations,
      cursor: this.#cursor,
    });
  }

  async evaluate(question: number): ReturnType<Apprenticeship["evaluate"]> {
    const { policy, activeVersion, parentBaseline, trainer } = this.#start;
    const routingNE = await routeHoldout(policy, this.#log.episodes, this.#log.split.holdout);
    const evaluation = await evaluateOnHoldout({
      trainingLog: this.#log,
      candidateNE: routingNE,
      active: this.#active,
      activeVersion,
      rewardModel: this.#trained?.rewardModel,
      question,
      levelMargin: this.#config.evaluation.levelMargin,
      seed: this.#config.training.seed,
    });
    const warnings = warningsOf({
      trainingLog: this.#log,
      routingNE,
      parent: parentBaseline,
      baseline: trainer.state,
      contradictions: this.#trained?.contradictions ?? [],
    });
    return { evaluation: this.#limits === undefined ? evaluation : { ...evaluation, limits: this.#limits }, warnings };
  }

  snapshot(): ReturnType<typeof snapshotOf> {
    return snapshotOf(this.#start.trainer, this.#start.relations);
  }

  fallbacks(): ReturnType<Apprenticeship["fallbacks"]> {
    return fallbackReports(this.#start.policy, this.#trained?.visitedBefore ?? 0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#start[Symbol.asyncDispose]();
  }
}
