/**
 * All checks, in the order in which they are made and mended: leases before the sessions that hang on them.
 *
 * @module
 */
import { backendsCheck } from "./backends.ts";
import { checkpointsCheck } from "./checkpoints.ts";
import { clockCheck } from "./clock.ts";
import { activeFitCheck, configurationCheck } from "./configuration.ts";
import { databaseCheck } from "./database.ts";
import { directoryCheck } from "./directory.ts";
import type { Check } from "./finding.ts";
import { historyCheck } from "./history.ts";
import { integrityCheck } from "./integrity.ts";
import { leasesCheck } from "./leases.ts";
import { orphansCheck, temporariesCheck } from "./leftovers.ts";
import { logCheck } from "./log.ts";
import { permissionsCheck } from "./permissions.ts";
import { secretsCheck } from "./secrets.ts";
import { sessionsCheck } from "./sessions.ts";

/** Every check of this build; the first decides whether those that need tables are made. */
export const CHECKS: readonly Check[] = [
  databaseCheck,
  integrityCheck,
  historyCheck,
  logCheck,
  clockCheck,
  leasesCheck,
  sessionsCheck,
  checkpointsCheck,
  orphansCheck,
  temporariesCheck,
  directoryCheck,
  permissionsCheck,
  configurationCheck,
  activeFitCheck,
  backendsCheck,
  secretsCheck,
];
