/**
 * What a training session tells when it is over. The field names are those of `train --json`.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { OutsideWindow } from "../episodes/window.ts";
import type { GateReport } from "../evaluate/gate.ts";
import type { Interval } from "../evaluate/bootstrap.ts";
import type { EstimatorName, ValueEstimate } from "../evaluate/policy_value.ts";
import type { TrajectoryEstimatorName, TrajectoryValue } from "../evaluate/trajectory_value.ts";
import type { FallbackReport } from "./fallbacks.ts";
import type { ReasonCounts } from "./training_log.ts";

/**
 * What a policy would earn, a {@link ValueEstimate} where it decides once and a {@link TrajectoryValue} where it acts step by
 * step: each has the estimators that it can have.
 */
export type PolicyValue =
  & Readonly<Partial<Record<EstimatorName | TrajectoryEstimatorName, number | null>>>
  & Pick<ValueEstimate | TrajectoryValue, "effective_sample_size" | "episodes" | "not_identified" | "diagnostics">
  & {
    /** 95% intervals over users. */
    readonly intervals: Readonly<Partial<Record<EstimatorName | TrajectoryEstimatorName, Interval | null>>>;
  };

/** What the holdout says about the new policy. */
export interface EvaluationReport {
  /** Episodes held out. */
  readonly holdout: number;
  /** Mean logged reward on them: what the logging policies earned. */
  readonly logged_value: number | null;
  /** The new policy. */
  readonly candidate: PolicyValue | null;
  /** The policy that was active before. */
  readonly active: PolicyValue | null;
  readonly active_version: string | null;
  /** What this way of judging cannot do, in words; absent where routings are judged, of which the README tells. */
  readonly limits?: readonly string[];
  /** The gate's verdict, whatever the rule of activation makes of it. */
  readonly gate: GateReport;
}

/** The result of a completed session. */
export interface TrainReport {
  readonly status: "completed";
  readonly policy_type: string;
  readonly version: string;
  readonly parent_version: string | null;
  readonly activated: boolean;
  /** One plain sentence. */
  readonly activation_reason: string;
  readonly session_id: string;
  /** The backend at the end; `fallbacks` says whether it was another one before. */
  readonly backend: string;
  readonly device: string;
  /** Why training began on its backend, in words; a machine on which the same holds chooses the same. */
  readonly backend_reason: string;
  /** Changes of backend that a failing GPU forced; empty in the usual case. */
  readonly fallbacks: readonly FallbackReport[];
  readonly checkpoint: { readonly path: string; readonly sha256: string };
  readonly episodes: {
    /** Feedback rows in the window, usable or not. */
    readonly available: number;
    /** Episodes trained on. */
    readonly trained: number;
    /** Episodes held out. */
    readonly holdout: number;
    /** Feedback rows (traversals, where those are learned from) left out, by reason. */
    readonly skipped: ReasonCounts;
    /** Feedback rows that the window left out by their date. */
    readonly outside_window: OutsideWindow;
  };
  /** Optimizer steps of this session. */
  readonly updates: number;
  readonly metrics: JsonObject;
  readonly evaluation: EvaluationReport;
  readonly throughput: {
    readonly load_rows_per_s: number;
    readonly train_episodes_per_s: number;
    readonly wall_s: number;
  };
}

/** How far the reward model of a session is, which is fitted before the first step. */
export interface FitProgress {
  /** The version that is to be trained. */
  readonly version: string;
  /** From 0 to 1, roughly; it begins anew where users were found who contradict the rest. */
  readonly done: number;
}

/** How far a session is; told after every few steps. */
export interface TrainProgress {
  /** The version that is being trained. */
  readonly version: string;
  /** Episodes visited, over all passes. */
  readonly episodes: number;
  /** Episodes to visit. */
  readonly total: number;
  /** Moving mean of the rewards. */
  readonly reward: number;
  /** Mean entropy of the latest steps in nats. */
  readonly entropy: number;
  readonly loss: number;
  readonly episodesPerSecond: number;
}
