/**
 * Records of another program that keep everything they have: ids, dates, scores.
 *
 * @module
 */
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import type { FeedbackContext, PolicyCheckpoint, TraceContext, TrainingSession } from "./records.ts";

/** A trace with the id that it had. */
export interface ImportedTrace {
  /** The trace; its `createdAt` is the row's. */
  readonly trace: ExecutionTrace;
  /** What it is stored with. */
  readonly context: TraceContext & { readonly id: string };
}

/** Feedback with the id, the date and the score that it had. */
export interface ImportedFeedback {
  /** The trace's id. */
  readonly traceId: string;
  /** The feedback. */
  readonly feedback: MultilevelFeedback;
  /** What it is stored with. */
  readonly context: FeedbackContext & { readonly id: string };
  /** The stored score, in [0, 1], in place of `overallScore()`. */
  readonly score: number;
  /** When the row was made, ISO 8601; what a training window goes by. */
  readonly createdAt: string;
}

/** What is stored in one transaction; rows whose id exists are left as they are. */
export interface ImportBatch {
  /** Traces. */
  readonly traces?: readonly ImportedTrace[];
  /** Feedback on these traces, or on traces that are stored. */
  readonly feedback?: readonly ImportedFeedback[];
  /** Training sessions that are over. */
  readonly sessions?: readonly TrainingSession[];
  /** Checkpoints; all become inactive ones, whatever they were. */
  readonly checkpoints?: readonly PolicyCheckpoint[];
}

/** What can be asked for by id. */
export type StoredKind = "trace" | "feedback" | "session" | "checkpoint";

/** How many rows of each kind were new. */
export interface ImportCounts {
  /** New traces. */
  readonly traces: number;
  /** New feedback. */
  readonly feedback: number;
  /** New sessions. */
  readonly sessions: number;
  /** New checkpoints. */
  readonly checkpoints: number;
}
