/**
 * Whether the clocks of the database and of this host agree, and nothing is dated in the future.
 *
 * @module
 */
import { type Check, type Finding, some } from "./finding.ts";
import { inspectionOf } from "./patient.ts";

/** Clocks that differ by less are called equal: a query takes its time, and NTP its tolerance. */
const TOLERATED_MS = 5000;
/** Rows dated up to so far ahead are a clock's drift, not a mistake. */
const TOLERATED_AHEAD_S = 300;

/** The check. */
export const clockCheck: Check = {
  area: "clock",
  needsTables: true,
  examine: async (patient): Promise<Finding[]> => {
    const inspection = inspectionOf(patient);
    const before = Date.now();
    const theirs = await inspection.getClockMs();
    const difference = theirs - (before + Date.now()) / 2;
    const { traces, feedback, latest } = await inspection.countFuture(TOLERATED_AHEAD_S);
    return [
      ...clockFindings(difference),
      ...traces + feedback === 0 ? [] : [
        {
          area: "clock",
          severity: "warning",
          what: `${some(traces, "trace")} and ${
            some(feedback, "feedback row")
          } are dated in the future, up to ${latest}`,
          cause:
            "The clock of the service that wrote them is wrong, or their zone is. A training takes feedback up to " +
            "the moment it starts, so it leaves these out until then.",
          mend: "Correct the clock of that service (timedatectl), then the dates by SQL.",
        } as const,
      ],
    ];
  },
};

/** What a difference between the clocks means. */
export function clockFindings(differenceMs: number): Finding[] {
  if (Math.abs(differenceMs) < TOLERATED_MS) return [];
  const [seconds, direction] = [Math.abs(differenceMs) / 1000, differenceMs > 0 ? "ahead of" : "behind"];
  return [{
    area: "clock",
    severity: "warning",
    what: `the database's clock is ${seconds.toFixed(0)} s ${direction} this host's`,
    cause: "Leases go by the database's clock, the window of a training and the dates of records by the host's.",
    mend: "Let both follow the same time server: timedatectl set-ntp true",
  }];
}
