/**
 * Whether the files of every version are there and match their hashes.
 *
 * @module
 */
import { quoted } from "../base/shell.ts";
import { verifyCheckpoint } from "../checkpoint/load.ts";
import { isPeriodic } from "../checkpoint/version.ts";
import type { PolicyCheckpoint } from "../store/persistence.ts";
import type { Check, Finding } from "./finding.ts";
import { storeOf } from "./patient.ts";

/** The check. */
export const checkpointsCheck: Check = {
  area: "checkpoints",
  needsTables: true,
  examine: async (patient): Promise<Finding[]> => {
    const store = storeOf(patient);
    const root = patient.config.checkpoint.directory;
    const rows = await store.listPolicyCheckpoints();
    const broken: { readonly row: PolicyCheckpoint; readonly problems: readonly string[] }[] = [];
    for (const row of rows) {
      const problems = await problemsOf(row, root);
      // A training may have removed an old periodic version in the meantime, row first.
      const isStored = problems.length > 0 && await store.getPolicyCheckpoint(row.version, row.policyType) !== null;
      if (isStored) broken.push({ row, problems });
    }
    const intact = rows.filter((row) => !broken.some((one) => one.row === row));
    return broken.map(({ row, problems }) => findingOf(row, problems, intact));
  },
};

async function problemsOf({ stateDictPath, manifestSha256 }: PolicyCheckpoint, root: string): Promise<string[]> {
  if (stateDictPath === null) return ["no files are on record"];
  return await verifyCheckpoint(root, stateDictPath, manifestSha256 ?? undefined);
}

function findingOf(
  { policyType, version, isActive, stateDictPath }: PolicyCheckpoint,
  problems: readonly string[],
  intact: readonly PolicyCheckpoint[],
): Finding {
  const what = `the files of ${policyType} ${version}${isActive ? ", the active version," : ""} are missing or broken`;
  const cause = problems.join("; ");
  const restore = "Restore the directory from a backup.";
  if (!isActive && stateDictPath === null) {
    return {
      area: "checkpoints",
      severity: "note",
      what: `${policyType} ${version} has no files on record`,
      cause: "It was recorded without them, by another program perhaps; it cannot be made active.",
      mend: null,
    };
  }
  if (!isActive && isPeriodic(version)) {
    return {
      area: "checkpoints",
      severity: "note",
      what,
      cause: `${cause}. It is a saved state between versions, whose row goes when training removes expired ones.`,
      mend: null,
    };
  }
  if (!isActive) return { area: "checkpoints", severity: "warning", what, cause, mend: restore };
  const next = intact.find((row) => row.policyType === policyType && !isPeriodic(row.version));
  const mend = next === undefined ? restore : `rlcf policy activate ${quoted(next.version)}`;
  return { area: "checkpoints", severity: "error", code: "checkpoint", what, cause, mend };
}
