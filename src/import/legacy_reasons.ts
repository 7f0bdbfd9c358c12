/**
 * Why a row of the original cannot be used, and what was put right in those that can.
 *
 * @module
 */

/** Why a row is left out. */
export type RejectReason =
  /** The row's id, or the id of its trace, is no UUID. */
  | "bad_id"
  /** A JSON column holds no JSON. */
  | "not_json"
  /** A score, weight, log probability or embedding holds NaN or infinity. */
  | "not_finite"
  /** A log probability above 0. */
  | "positive_log_prob"
  /** A score or an authority outside of [0, 1]. */
  | "out_of_range"
  /** No date to be found. */
  | "no_date"
  /** Feedback whose trace is not in the database. */
  | "unknown_trace"
  /** Feedback whose trace was left out itself. */
  | "trace_rejected"
  /** Feedback on another query than its trace's. */
  | "other_query"
  /** Feedback without any number, for which the original made up a score of 0.5. */
  | "nothing_given"
  /** A version that the target has already, under another id. */
  | "version_taken"
  /** Anything else that is not as the original writes it; the message says what. */
  | "bad_record";

/** What was put right in a row that is kept. */
export type Repair =
  /** A log probability above 0 by less than 1e-6, as `ln(w + 1e-8)` gives for a weight of 1, became 0. */
  | "log_prob_rounded_to_0"
  /** The stored total or number of actions was not that of the actions. */
  | "totals_recomputed"
  /** `has_feedback` said otherwise than the feedback that there is. */
  | "has_feedback_corrected"
  /** Without a date of its own, the row has the one in its JSON. */
  | "date_from_json"
  /** Without a stored score, the original's formula gave it. */
  | "score_recomputed"
  /** Without a stored authority, it is the original's default, 0.5. */
  | "default_authority"
  /** NaN or infinity in a session's or checkpoint's configuration or metrics became null. */
  | "not_finite_to_null"
  /** A session that was never closed became an interrupted one, ended when it began. */
  | "session_closed"
  /** A checkpoint's session is not there; the checkpoint is kept without one. */
  | "unknown_session_dropped"
  /** More than one version of a type was active; none is after an import. */
  | "several_active";

/** Thrown by the mapping of a row; caught by whoever reads the rows. */
export class Unusable extends Error {
  /** Always `Unusable`, also where a bundler has renamed the class. */
  override readonly name = "Unusable";
  /** The kind of flaw, to be counted. */
  readonly reason: RejectReason;

  /**
   * Says why a row is left out.
   *
   * @param message what was found where, and what was wanted
   */
  constructor(reason: RejectReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Throws {@link Unusable}. */
export function unusable(reason: RejectReason, message: string): never {
  throw new Unusable(reason, message);
}
