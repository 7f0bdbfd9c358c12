/**
 * What the program's exit code says.
 *
 * @module
 */
import type { ErrorCode } from "../base/errors.ts";

/** Everything went well. */
export const EXIT_OK = 0;
/** A defect of rlcf. */
export const EXIT_UNEXPECTED = 1;
/** The command line, the configuration or a record cannot be used. */
export const EXIT_USAGE = 2;

/** The exit code of each kind of failure. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  usage: EXIT_USAGE,
  not_enough_data: 3,
  database: 4,
  lease_held: 5,
  checkpoint: 6,
  backend: 7,
  interrupted: 130,
};
