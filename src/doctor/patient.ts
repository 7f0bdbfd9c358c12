/**
 * What is examined: a configuration, and the database and the directory that it names.
 *
 * @module
 */
import type { Config } from "../config/schema.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import type { StoreInspection } from "../store/inspection.ts";

/** An installation of rlcf. */
export interface Patient {
  /** The settings in force. */
  readonly config: Config;
  /** What the configuration holds that is not used. */
  readonly notices: readonly string[];
  /** The database, with any password masked; as it was named, also where it does not exist. */
  readonly location: string;
  /** The database; null where it is a file that does not exist. */
  readonly inspection: StoreInspection | null;
}

/** The database of a patient that has one. Only checks that need tables ask for it. */
export function inspectionOf({ inspection }: Patient): StoreInspection {
  if (inspection === null) throw new Error("a check that needs tables was made without a database");
  return inspection;
}

/** The store of a patient that has one. */
export function storeOf(patient: Patient): RLCFPersistence {
  return inspectionOf(patient).store;
}
