/**
 * The library's public face: records, the policy, its trainer, and the store.
 *
 * A service that asks for routes starts at {@link GatingPolicy} (`sample`, `forward`) and takes the active version from
 * {@link findStoredPolicy}; one that logs them starts at {@link createPersistence}, {@link ExecutionTrace} and
 * {@link MultilevelFeedback}; one that trains by hand at {@link SingleStepTrainer}. Every failure that a user can mend
 * is an {@link RlcfError}.
 *
 * @module
 */
export { type ErrorCode, RlcfError } from "./base/errors.ts";
export type { JsonObject } from "./base/check.ts";
export { type Action, ACTION_TYPES, type ActionJson } from "./trace/action.ts";
export {
  ExecutionTrace,
  type ExecutionTraceJson,
  type ExecutionTraceSummary,
  type Recorded,
} from "./trace/execution_trace.ts";
export { type ReActEpisode, reactEpisode, type ReActStep, type ReActStepRecord } from "./trace/react_episode.ts";
export { computeBaseline, computeReturns, mergeTraces } from "./trace/collections.ts";
export { type GatingDecision, gatingDecision, type LogKind } from "./trace/gating_decision.ts";
export {
  LEVEL_SCORES,
  type LevelFeedback,
  type LevelName,
  type LevelScores,
  type ReasoningFeedback,
  type RetrievalFeedback,
  type SynthesisFeedback,
} from "./feedback/levels.ts";
export {
  MultilevelFeedback,
  type MultilevelFeedbackInit,
  type MultilevelFeedbackJson,
} from "./feedback/multilevel_feedback.ts";
export { aggregateFeedback, feedbackFromRating } from "./feedback/factories.ts";
export type { LevelWeights, Scoring } from "./feedback/scoring.ts";
export {
  DEFAULT_EXPERTS,
  GatingPolicy,
  type GatingPolicyOptions,
  type Routing,
  type SampledExpert,
  type SampleOptions,
} from "./policy/gating_policy.ts";
export {
  REACT_ACTIONS,
  type ReActChoice,
  type ReActOutputs,
  ReActPolicy,
  type ReActPolicyOptions,
} from "./policy/react_policy.ts";
export {
  RELATION_TYPES,
  type Traversal,
  TRAVERSAL_CHOICES,
  TraversalPolicy,
  type TraversalPolicyOptions,
  type TraversalState,
  type TraversalWeights,
  UNKNOWN_RELATION,
} from "./policy/traversal_policy.ts";
export type { StateDict, StateTensor } from "./policy/state_dict.ts";
export {
  SINGLE_STEP_DEFAULTS,
  type SingleStepConfig,
  SingleStepTrainer,
  type TrainerState,
  type TrainerStats,
  type UpdateMetrics,
  type VisitMetrics,
} from "./train/single_step_trainer.ts";
export { PPO_DEFAULTS, type PpoConfig } from "./train/ppo_config.ts";
export { PpoTrainer, type PpoTrainerState } from "./train/ppo_trainer.ts";
export type { PpoCursor, PpoMetrics, PpoSums, PpoUpdate, PpoUpdateOptions } from "./train/ppo_update.ts";
export type { BaselineState } from "./train/baseline.ts";
export type { Objective, ObjectiveChoice } from "./train/objective.ts";
export type {
  BackendName,
  NetworkShape,
  OptimizerSettings,
  PolicyEngine,
  StepMetrics,
  TrainingSegment,
  TrainingState,
} from "./engine/engine.ts";
export type { LossHeadName } from "./loss/heads.ts";
export type { EpisodeSet, SkipCounts, SkipReason } from "./episodes/episode_set.ts";
export { loadTrajectories } from "./episodes/load_trajectories.ts";
export {
  type TrajectoryOptions,
  type TrajectorySet,
  TrajectorySetBuilder,
  type TrajectorySkipCounts,
  type TrajectorySkipReason,
} from "./episodes/trajectory_set.ts";
export {
  type JudgedTrace,
  type TraversalInputs,
  type TraversalSet,
  traversalSet,
  type TraversalSkipReason,
} from "./episodes/traversal_set.ts";
export { type BackendStatus, type EngineEntry, listBackends } from "./engine/create.ts";
export type { EngineFallback } from "./engine/fallback.ts";
export {
  findStoredPolicy,
  findStoredReAct,
  openPolicy,
  openReActPolicy,
  openTraversalPolicy,
  type Stored,
  type StoredPolicy,
  type StoredReAct,
} from "./session/open_policy.ts";
export type { EngineUsed } from "./checkpoint/manifest.ts";
export type { SavedNetwork, SavedPolicy } from "./session/saved_policy.ts";
export type { SavedAgent, SavedReAct } from "./session/saved_react.ts";
export { createPersistence, type PersistenceOptions } from "./store/create.ts";
export type { StoreTiming } from "./store/database_persistence.ts";
export type { LeaseTiming } from "./store/leases.ts";
export type {
  EntryOutcome,
  FeedbackContext,
  FeedbackEntry,
  FeedbackSpan,
  Fence,
  ImportBatch,
  ImportCounts,
  ImportedFeedback,
  ImportedTrace,
  IngestCounts,
  IngestRecord,
  Lease,
  LeaseHolder,
  LogGroup,
  NewPolicyCheckpoint,
  PolicyActivation,
  PolicyCheckpoint,
  RLCFPersistence,
  SessionOutcome,
  SessionStatus,
  StoredKind,
  StoreEntry,
  TraceContext,
  TraceEntry,
  TrainingDataFilter,
  TrainingPair,
  TrainingRow,
  TrainingSession,
  TrainingStats,
  TrainingWindow,
  TrajectoryRow,
} from "./store/persistence.ts";
