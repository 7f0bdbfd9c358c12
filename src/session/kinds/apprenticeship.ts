/**
 * What a training session needs to know about a type of policy. The story of a session is told once, in
 * `train_session.ts`; each type fills in what only it can know: how its log is read, what it starts from, how it learns,
 * and how it is judged.
 *
 * @module
 */
import type { JsonObject } from "../../base/check.ts";
import type { Disk } from "../../checkpoint/files.ts";
import type { LoadedCheckpoint } from "../../checkpoint/checkpoint.ts";
import type { Config } from "../../config/schema.ts";
import type { EngineEntry } from "../../engine/create.ts";
import type { EngineUsed } from "../../checkpoint/manifest.ts";
import type { RLCFPersistence, TrainingWindow } from "../../store/persistence.ts";
import type { FallbackReport } from "../fallbacks.ts";
import type { EvaluationReport, FitProgress, TrainProgress } from "../report.ts";
import type { ResumePoint } from "../resume.ts";
import type { SessionLog } from "../training_log.ts";
import type { SessionContext, Snapshot } from "../versions.ts";
import type { TrainingWarning } from "../warnings.ts";

/** Name of a type of policy; each type has versions, a lease and an active version of its own. */
export type PolicyType = Config["training"]["policyType"];

/** How the checkpoints of a type are read, and what of a run they remember. */
export interface Remembered<Saved extends { readonly run: JsonObject }, Cursor> {
  /** The type. */
  readonly policyType: PolicyType;
  /** Sections of the configuration that decide the result of a run. */
  readonly decisiveSections: readonly string[];
  /** Reads a verified checkpoint. Throws RlcfError("checkpoint") if its parts do not fit together. */
  unpack(checkpoint: LoadedCheckpoint): Saved;
  /** Where a run stood. Throws on anything that is not a cursor of this type. */
  cursorFrom(json: JsonObject): Cursor;
}

/** A type of policy, as sessions train it. */
export interface PolicyKind<Log extends SessionLog, Saved extends { readonly run: JsonObject }, Cursor>
  extends Remembered<Saved, Cursor> {
  /** Reads and splits the log of a window, however little it is. */
  readLog(store: RLCFPersistence, config: Config, window: TrainingWindow): Promise<Log>;
  /** Fingerprint of what training depends on. */
  digestOf(log: Log): string;
  /** What to do about feedback that was left out for the reason met most. */
  hintFor(reason: string): string;
  /**
   * Opens the policy that a session trains: that of an interrupted run, of the active version, or fresh weights.
   *
   * @throws RlcfError `checkpoint` where the active version and all of its ancestors are missing or broken
   */
  begin(start: {
    readonly store: RLCFPersistence;
    readonly config: Config;
    readonly log: Log;
    readonly resumed: ResumePoint<Saved, Cursor> | undefined;
    readonly engines: readonly EngineEntry[] | undefined;
    readonly disk: Disk | undefined;
  }): Promise<Apprenticeship>;
}

/** How a version is trained. */
export interface Lessons {
  /** What its periodic versions have in common. */
  readonly context: SessionContext;
  /** The final version that is worked towards. */
  readonly version: string;
  /** Aborted to stop after the current step, or between two sweeps of the reward model, with the state saved. */
  readonly signal: AbortSignal | undefined;
  /** Told how far training is. */
  readonly onProgress: ((progress: TrainProgress) => void) | undefined;
  /** Told how far the reward model is, if one is fitted. */
  readonly onFit: ((progress: FitProgress) => void) | undefined;
}

/** What training left behind. */
export interface Trained {
  /** For the records. */
  readonly metrics: JsonObject;
  /** Episodes visited, over all passes; those of an interrupted run count. */
  readonly visited: number;
  /** Optimizer steps of this session. */
  readonly updates: number;
  /** Episodes visited per second. */
  readonly episodesPerSecond: number;
}

/** A policy from the start of its training to the verdict on it. */
export interface Apprenticeship extends AsyncDisposable {
  /** The version that training starts from, or null for fresh weights. */
  readonly parentVersion: string | null;
  /** The version that the new one is compared with: the active one, or what stands in for it; null for none. */
  readonly activeVersion: string | null;
  /** What is wrong with the way it started. */
  readonly warnings: readonly TrainingWarning[];
  /** What it is computed on now. */
  readonly engine: EngineUsed;
  /** Why this backend was chosen, in words. */
  readonly backendReason: string;
  /** Where an interrupted run goes on, in words; null for a new one. */
  readonly takenUpAt: string | null;
  /** Records what the active policy does with the holdout, before training moves weights that the two may share. */
  observeActive(): Promise<void>;
  /** Trains, with a periodic version for every `save_frequency` episodes of the log. */
  train(lessons: Lessons): Promise<Trained>;
  /**
   * Judges the trained policy on the holdout.
   *
   * @param question which challenger of the active version it is, from 1
   */
  evaluate(question: number): Promise<{
    readonly evaluation: EvaluationReport;
    readonly warnings: readonly TrainingWarning[];
  }>;
  /** A copy of all that a checkpoint keeps. */
  snapshot(): Promise<Snapshot>;
  /** Changes of backend that a failing GPU forced. */
  fallbacks(): FallbackReport[];
}
