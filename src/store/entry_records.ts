/**
 * Single traces and single feedbacks on their way into the store, many in one transaction, each with its own outcome.
 *
 * @module
 */
import type { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ExecutionTrace } from "../trace/execution_trace.ts";
import type { FeedbackContext, TraceContext } from "./records.ts";

/** A trace to be stored. */
export interface TraceEntry {
  /** Says that this is a trace. */
  readonly kind: "trace";
  /** The trace. */
  readonly trace: ExecutionTrace;
  /** What it is stored with; its id makes storing it again harmless. */
  readonly context: TraceContext & { readonly id: string };
}

/** Feedback to be stored on a trace that is in the store, or in the same list. */
export interface FeedbackEntry {
  /** Says that this is feedback. */
  readonly kind: "feedback";
  /** The trace's id, a UUID. */
  readonly traceId: string;
  /** Makes the feedback on the trace's query: who judges a trace by its id need not know the query's. */
  readonly feedbackOn: (queryId: string) => MultilevelFeedback;
  /** What it is stored with; its id makes storing it again harmless. */
  readonly context: FeedbackContext & { readonly id: string };
}

/** One row to be stored. */
export type StoreEntry = TraceEntry | FeedbackEntry;

/** What became of an entry. */
export type EntryOutcome =
  /** It is new, and stored. */
  | { readonly status: "stored" }
  /** A row with its id was there; nothing was changed. */
  | { readonly status: "duplicate" }
  /** Its trace is not in the store; nothing was stored for this entry. */
  | { readonly status: "unknown_trace" }
  /** It does not fit its trace, as the message says; nothing was stored for this entry. */
  | { readonly status: "refused"; readonly message: string };
