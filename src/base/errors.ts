/**
 * The one error class that users of rlcf meet on purpose. Its message says what was being done, what was wrong, what
 * was found, what was wanted and where; its code says what kind of failure it is, which the command line maps to an
 * exit code.
 *
 * @module
 */

/** What kind of failure an {@link RlcfError} is. The command line gives each kind an exit code. */
export type ErrorCode =
  /** A command line, setting or record that cannot be used as it was given. */
  | "usage"
  /** The log holds too little to learn from. */
  | "not_enough_data"
  /** The database cannot be reached, opened, read or written. */
  | "database"
  /** Another trainer holds the lease of this policy type. */
  | "lease_held"
  /** A checkpoint is missing or does not match its manifest. */
  | "checkpoint"
  /** The compute backend that was asked for is not available here. */
  | "backend"
  /** The run was stopped by a signal and its state was saved. */
  | "interrupted";

/** A failure that the user can understand and mend. Anything else that is thrown is a defect of rlcf. */
export class RlcfError extends Error {
  /** Always `RlcfError`, also where a bundler has renamed the class. */
  override readonly name = "RlcfError";
  /** What kind of failure this is. */
  readonly code: ErrorCode;
  /** One sentence that says what to do next, where there is something to do. */
  readonly hint: string | undefined;

  /**
   * Says what the user can mend.
   *
   * @param code kind of failure
   * @param message action, cause, value found, value wanted, and where
   * @param options `hint`: the next step; `cause`: the error underneath
   */
  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** The message of anything that was thrown, for use inside another message. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
