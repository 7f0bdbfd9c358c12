/**
 * Whether versions can be written to the checkpoint directory.
 *
 * @module
 */
import { statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { messageOf } from "../base/errors.ts";
import { TEMPORARY_PREFIX } from "../checkpoint/checkpoint.ts";
import type { Config } from "../config/schema.ts";
import { parameterCount } from "../engine/network.ts";
import type { Check, Finding } from "./finding.ts";

/** Space that must be left besides the versions, for the database and everything else. */
const RESERVE_BYTES = 2 ** 26;

/** The check. */
export const directoryCheck: Check = {
  area: "directory",
  needsTables: false,
  examine: async ({ config }): Promise<Finding[]> => {
    const root = config.checkpoint.directory;
    const place = await nearestExisting(root);
    const problem = await writeProblem(place);
    if (problem !== undefined) {
      return [{
        area: "directory",
        severity: "error",
        code: "checkpoint",
        what: `cannot write to the checkpoint directory ${root}`,
        cause: problem,
        mend: `Give the user that runs rlcf write access to ${place}, or name another directory: RLCF_CHECKPOINT_DIR`,
      }];
    }
    const free = await freeBytes(place);
    return free === undefined ? [] : spaceFindings(root, free, bytesWanted(config));
  },
};

/** What too little space means. */
export function spaceFindings(root: string, freeBytes: number, wantedBytes: number): Finding[] {
  if (freeBytes >= wantedBytes) return [];
  const megabytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MiB`;
  return [{
    area: "directory",
    severity: "warning",
    what: `${megabytes(freeBytes)} are free in ${root}, a training may need ${megabytes(wantedBytes)}`,
    cause: "A training whose checkpoint cannot be written fails; versions already published are safe.",
    mend: "Free some space, lower checkpoint.keep_last_n, or name another directory: RLCF_CHECKPOINT_DIR",
  }];
}

/** Space for the periodic versions, the new one and the one being written: weights and two moments, float32. */
function bytesWanted({ gatingPolicy, checkpoint }: Config): number {
  const { inputDim, hiddenDim, experts } = gatingPolicy;
  const parameters = parameterCount({ inputDim, hiddenDim, outputs: experts.length, inputScale: 1 });
  return 12 * parameters * (checkpoint.keepLastN + 2) + RESERVE_BYTES;
}

/** The directory, or the nearest one above it that exists: there it will be made. */
async function nearestExisting(path: string): Promise<string> {
  for (let place = resolve(path);; place = dirname(place)) {
    try {
      await Deno.stat(place);
      return place;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || dirname(place) === place) return place;
    }
  }
}

/** Why nothing can be created in a directory; undefined if it can. Only trying tells: file systems have rules of their own. */
async function writeProblem(directory: string): Promise<string | undefined> {
  try {
    await Deno.remove(await Deno.makeTempDir({ dir: directory, prefix: `${TEMPORARY_PREFIX}doctor-` }));
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Free bytes for this user; undefined where Deno may not say (`--allow-sys=statfs`). */
async function freeBytes(directory: string): Promise<number | undefined> {
  // Deno knows the permission, its types do not.
  const permission = { name: "sys", kind: "statfs" } as unknown as Deno.SysPermissionDescriptor;
  try {
    if (Deno.permissions.querySync(permission).state !== "granted") return undefined;
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
