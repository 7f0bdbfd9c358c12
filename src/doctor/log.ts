/**
 * Whether traces and feedback agree on which traces were judged.
 *
 * @module
 */
import { type Check, type Finding, FIX_COMMAND, some } from "./finding.ts";
import { inspectionOf } from "./patient.ts";

/** The check. */
export const logCheck: Check = {
  area: "log",
  needsTables: true,
  examine: async (patient): Promise<Finding[]> => {
    const inspection = inspectionOf(patient);
    const { unmarked, marked } = await inspection.countWrongFlags();
    if (unmarked + marked === 0) return [];
    return [{
      area: "log",
      severity: "warning",
      what: `has_feedback is wrong on ${some(unmarked + marked, "trace")}: ${unmarked} judged but not marked, ` +
        `${marked} marked but not judged`,
      cause:
        "Something else than rlcf wrote the tables. Lists of waiting traces and statistics are wrong; training is " +
        "not, it reads the feedback itself.",
      mend: FIX_COMMAND,
      fix: async () => `set has_feedback on ${some(await inspection.mendFlags(), "trace")} by the feedback`,
    }];
  },
};
