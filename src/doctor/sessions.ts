/**
 * Whether every session that is said to run has a process that runs it.
 *
 * @module
 */
import type { RLCFPersistence, TrainingSession } from "../store/persistence.ts";
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
    return sessions.filter(({ status }) => status === "running").flatMap((session) => {
      const holder = holders.find(({ policyType }) => policyType === session.policyType);
      const isOwn = holder?.host === session.host && holder?.processId === session.processId;
      return isOwn ? [] : [deadSession(session, holder !== undefined, inspection.store)];
    });
  },
};

function deadSession(session: TrainingSession, isTrained: boolean, store: RLCFPersistence): Finding {
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
      // With the lease in hand no trainer can start in between; where another one trains, this session is not its own.
      await using _taken = isTrained ? undefined : await store.acquireLease(policyType);
      await store.failTrainingSession(id, "the process ended without closing the session");
      return `marked session ${id} as failed`;
    },
  };
}
