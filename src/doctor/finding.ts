/**
 * What an examination finds, and what a check is.
 *
 * @module
 */
import type { ErrorCode } from "../base/errors.ts";
import type { Patient } from "./patient.ts";

/** What is examined. */
export type Area =
  | "database"
  | "integrity"
  | "history"
  | "log"
  | "clock"
  | "leases"
  | "sessions"
  | "checkpoints"
  | "leftovers"
  | "directory"
  | "permissions"
  | "configuration"
  | "backends"
  | "secrets";

/** `error`: something does not work, or will not; `warning`: it works, but should be looked at; `note`: good to know. */
export type Severity = "error" | "warning" | "note";

/** Something that was found. */
export interface Finding {
  /** What was examined. */
  readonly area: Area;
  /** How bad it is; a note is no finding in the sense of the exit code. */
  readonly severity: Severity;
  /** What is wrong, in one sentence. */
  readonly what: string;
  /** Why, or what follows from it. */
  readonly cause: string;
  /** A command that mends it, or what to do where no command does; null where there is nothing to do. */
  readonly mend: string | null;
  /** What kind of failure it is, where it is one that stops other commands. */
  readonly code?: ErrorCode;
  /** Mends it without losing anything; returns what was done. */
  readonly fix?: () => Promise<string>;
}

/** One thing to look at. */
export interface Check {
  /** What it examines. */
  readonly area: Area;
  /** Whether it reads the tables, and so is left out where they are not there. */
  readonly needsTables: boolean;
  /** Looks, and changes nothing. */
  readonly examine: (patient: Patient) => Promise<Finding[]> | Finding[];
}

/** The command by which whatever can be mended without loss is mended. */
export const FIX_COMMAND = "rlcf doctor --fix";

/** A number with its noun, e.g. `1 trace`, `2,000 traces`. */
export function some(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}
