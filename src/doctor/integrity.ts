/**
 * Whether the database is whole: its pages, its references, at most one active version.
 *
 * @module
 */
import { quoted } from "../base/shell.ts";
import { type Check, type Finding, some } from "./finding.ts";
import { inspectionOf } from "./patient.ts";

/** The check. */
export const integrityCheck: Check = {
  area: "integrity",
  needsTables: true,
  examine: async (patient): Promise<Finding[]> => {
    const inspection = inspectionOf(patient);
    const flaws = await inspection.checkIntegrity();
    const strays = await inspection.countStrays();
    const doubles = await inspection.listDoubleActives();
    const restore = inspection.dialect === "sqlite"
      ? `Restore the file from a backup, or rescue its rows: sqlite3 ${
        quoted(inspection.location.replace("sqlite:///", ""))
      } .recover | sqlite3 NEW_FILE`
      : "Restore the table from a backup, or add the constraint again (src/store/migrations.ts has it).";
    const error = { area: "integrity", severity: "error" } as const;
    return [
      ...flaws.map((flaw): Finding => ({
        ...error,
        code: "database",
        what: `${inspection.location}: ${flaw}`,
        cause: "The file was damaged, or something else than rlcf changed the tables.",
        mend: restore,
      })),
      ...strays.feedback === 0 ? [] : [{
        ...error,
        what: `${some(strays.feedback, "feedback row")} of traces that are not stored`,
        cause: "Traces were deleted behind rlcf's back; training never sees this feedback.",
        mend: "Store the traces again under their ids (rlcf ingest), or remove the rows by SQL: " +
          "delete from rlcf_feedback where trace_id not in (select id from rlcf_traces)",
      }],
      ...strays.checkpoints === 0 ? [] : [{
        ...error,
        severity: "warning" as const,
        what: `${some(strays.checkpoints, "checkpoint")} of training sessions that are not stored`,
        cause: "Sessions were deleted behind rlcf's back; the versions work, but nobody can say how they were made.",
        mend: "Restore training_sessions from a backup.",
      }],
      ...doubles.map((type): Finding => ({
        ...error,
        what: `more than one version of ${type} is active`,
        cause: "The index that forbids it is gone, and something else than rlcf wrote the table.",
        mend:
          `By SQL: update policy_checkpoints set is_active = false where policy_type = '${type}'; then rlcf policy ` +
          "activate VERSION",
      })),
    ];
  },
};
