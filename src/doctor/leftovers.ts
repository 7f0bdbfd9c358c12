/**
 * What crashes have left in the checkpoint directory: half-written versions, and whole ones that no row refers to.
 *
 * Several databases may share a directory. A version that this database does not know is therefore touched only where
 * the session that made it is one of this database's.
 *
 * @module
 */
import { join } from "node:path";
import { MANIFEST_FILE } from "../checkpoint/checkpoint.ts";
import { type DirectoryContent, listDirectory, policyTypeOf, setAside } from "../checkpoint/leftovers.ts";
import { verifyCheckpoint } from "../checkpoint/load.ts";
import { sweepTemporaries } from "../checkpoint/retention.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { type Check, type Finding, FIX_COMMAND, some } from "./finding.ts";
import { livingHolders } from "./leases.ts";
import { inspectionOf } from "./patient.ts";

/** Temporary directories older than this belong to nobody; a training sweeps by the same rule. */
const SWEEP_AFTER_MS = 60 * 60 * 1000;

/** The check of what was half written; it needs no database. */
export const temporariesCheck: Check = {
  area: "leftovers",
  needsTables: false,
  examine: async ({ config }): Promise<Finding[]> => {
    const root = config.checkpoint.directory;
    const old = (await listDirectory(root))?.temporaries.filter(({ writtenMs }) => {
      return Date.now() - writtenMs >= SWEEP_AFTER_MS;
    }) ?? [];
    if (old.length === 0) return [];
    return [{
      area: "leftovers",
      severity: "warning",
      what: `${some(old.length, "temporary directory").replace("directorys", "directories")} left in ${root}`,
      cause:
        "A process was killed while it wrote or deleted a version. They only take space; the next training removes " +
        `them: ${old.map(({ name }) => name).join(", ")}`,
      mend: FIX_COMMAND,
      fix: async () => `removed ${(await sweepTemporaries(root, SWEEP_AFTER_MS)).join(", ") || "nothing"}`,
    }];
  },
};

/** The check of what no row refers to. */
export const orphansCheck: Check = {
  area: "leftovers",
  needsTables: true,
  examine: async (patient): Promise<Finding[]> => {
    const { store, listLeases } = inspectionOf(patient);
    const root = patient.config.checkpoint.directory;
    const content = await listDirectory(root);
    const orphans = await orphansIn(content, store);
    if (orphans.length === 0) return [];
    const training = livingHolders(await listLeases()).map(({ policyType }) => policyType);
    const sessions = new Set((await store.listTrainingSessions(undefined, Infinity)).map(({ id }) => id));
    return await Promise.all(orphans.map(async (name): Promise<Finding> => {
      const session = await sessionOf(root, name);
      const isOurs = session !== null && sessions.has(session);
      // Its row is written a moment after its directory.
      const isWritten = training.includes(policyTypeOf(name)!);
      if (isOurs && !isWritten) return ownOrphan(root, name, store);
      const problems = await verifyCheckpoint(root, name);
      if (problems.length === 0) {
        return {
          area: "leftovers",
          severity: "note",
          what: `${name} in ${root} is not in this database`,
          cause: isOurs
            ? "A training is at work, and may be about to store it."
            : "It was made by a session that this database does not know: another database shares the directory.",
          mend: null,
        };
      }
      return {
        area: "leftovers",
        severity: "warning",
        what: `${name} in ${root} is not in this database, and it is broken`,
        cause: problems.join("; "),
        mend: `If no other database uses the directory: rm -r ${join(root, name)}`,
      };
    }));
  },
};

function ownOrphan(root: string, name: string, store: RLCFPersistence): Finding {
  return {
    area: "leftovers",
    severity: "warning",
    what: `${name} in ${root} has no row in the database`,
    cause:
      "A training of this database was killed between writing the files and storing the row, or between removing " +
      "the row and the files. Without a row it does not count.",
    mend: FIX_COMMAND,
    fix: async () => {
      await using _taken = await store.acquireLease(policyTypeOf(name)!);
      const stillThere = await orphansIn(await listDirectory(root), store);
      if (!stillThere.includes(name)) return `left ${name} alone: it has a row now, or is gone`;
      return `moved ${name} to ${await setAside(root, name)}`;
    },
  };
}

async function orphansIn(content: DirectoryContent | null, store: RLCFPersistence): Promise<string[]> {
  const known = new Set((await store.listPolicyCheckpoints()).map((row) => row.stateDictPath));
  return content?.published.filter((name) => !known.has(name)) ?? [];
}

/** The session that a manifest names, as far as it can be read. */
async function sessionOf(root: string, name: string): Promise<string | null> {
  try {
    const manifest: unknown = JSON.parse(await Deno.readTextFile(join(root, name, MANIFEST_FILE)));
    const session = (manifest as { readonly session_id?: unknown } | null)?.session_id;
    return typeof session === "string" ? session : null;
  } catch {
    // Missing or no JSON: whose it is cannot be told.
    return null;
  }
}
