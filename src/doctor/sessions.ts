/**
 * Whether every session that is said to run has a process that runs it.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { Lease, LeaseHolder, RLCFPersistence, TrainingSession } from "../store/persistence.ts";
import { type Check, type Finding, FIX_COMMAND } from "./finding.ts";
import { livingHolders } from "./leases.ts";
import { inspectionOf } from "./patient.ts";

/** The check. */
export const sessionsCheck: Check = {
  area: "sessions",
  needsTables: true,
  examine: async (patient): Promise<Finding[]> => {
    const inspection = inspectionOf(patient);
    const holders = livingHolders(await inspection.listLeases());
    const sessions = await inspection.store.listTrainingSessions(undefined, Infinity);
    return sessions.filter(({ status }) => status === "running")
      .filter((session) => !holders.some((holder) => isOwn(session, holder)))
      .map((session) => deadSession(session, inspection.store));
  },
};

function deadSession(session: TrainingSession, store: RLCFPersistence): Finding {
  const { id, policyType, startedAt, host, processId } = session;
  return {
    area: "sessions",
    severity: "warning",
    what: `session ${id} of ${startedAt} (${policyType}) is said to run, but nobody runs it`,
    cause:
      `Process ${processId ?? "unknown"} on host ${host ?? "unknown"} ended without closing it and holds no lease. ` +
      "What it had saved, if anything, rlcf train --resume takes up.",
    mend: FIX_COMMAND,
    fix: async () => {
      // With the lease in hand nobody trains. Where another one trains, the session is dead if it is not that one's:
      // whoever ran it has lost the lease.
      await using taken = await leaseUnlessHeld(store, policyType);
      const holder = taken === undefined ? await store.getLeaseHolder(policyType) : undefined;
      if (holder === null || holder !== undefined && isOwn(session, holder)) {
        return `left session ${id} as it is: the training was handed over during the examination`;
      }
      const now = (await store.listTrainingSessions(policyType, Infinity)).find((one) => one.id === id);
      if (now?.status !== "running") return `left session ${id} as it is: it has been closed in the meantime`;
      await store.failTrainingSession(id, "the process ended without closing the session");
      return `marked session ${id} as failed`;
    },
  };
}

/** Undefined where another trainer holds the lease. */
async function leaseUnlessHeld(store: RLCFPersistence, policyType: string): Promise<Lease | undefined> {
  try {
    return await store.acquireLease(policyType);
  } catch (error) {
    if (error instanceof RlcfError && error.code === "lease_held") return undefined;
    throw error;
  }
}

function isOwn(session: TrainingSession, holder: LeaseHolder): boolean {
  return holder.policyType === session.policyType && holder.host === session.host &&
    holder.processId === session.processId;
}
