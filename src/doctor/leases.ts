/**
 * Who holds the right to train, and who held it and died.
 *
 * @module
 */
import type { LeaseState } from "../store/inspection.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { type Check, type Finding, FIX_COMMAND } from "./finding.ts";
import { inspectionOf } from "./patient.ts";

/** The check. */
export const leasesCheck: Check = {
  area: "leases",
  needsTables: true,
  examine: async (patient): Promise<Finding[]> => {
    const inspection = inspectionOf(patient);
    return (await inspection.listLeases()).flatMap((lease) => leaseFindings(lease, inspection.store));
  },
};

/** What the state of a lease means. */
export function leaseFindings(lease: LeaseState, store: Pick<RLCFPersistence, "acquireLease">): Finding[] {
  const { holder: { policyType, processId, host, acquiredAt, expiresAt }, live, released, orphaned } = lease;
  if (released) return [];
  if (live && !orphaned) {
    return [{
      area: "leases",
      severity: "note",
      what: `process ${processId} on host ${host} has been training ${policyType} since ${acquiredAt}`,
      cause: `It holds the lease until ${expiresAt} and renews it as long as it lives.`,
      mend: null,
    }];
  }
  return [{
    area: "leases",
    severity: "warning",
    what: `process ${processId} on host ${host} ended without letting go of the lease of ${policyType}`,
    cause:
      `It held it since ${acquiredAt} and was killed, or lost the database. The next training takes the lease over.`,
    mend: FIX_COMMAND,
    fix: async () => {
      // Taking and letting go is all that can be wrong about it, and safe where another trainer was faster.
      await using _taken = await store.acquireLease(policyType);
      return `released the lease of ${policyType}`;
    },
  }];
}

/** The holders that live and train. */
export function livingHolders(leases: readonly LeaseState[]): LeaseState["holder"][] {
  return leases.filter(({ live, released, orphaned }) => live && !released && !orphaned).map(({ holder }) => holder);
}
