/**
 * Deleting checkpoints: which periodic ones have had their day, removing one so that nobody ever sees half of it, and
 * sweeping up after crashes.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import { RlcfError } from "../base/errors.ts";
import { directoryOf, MANIFEST_FILE, TEMPORARY_PREFIX } from "./checkpoint.ts";
import { DISK, type Disk, onDisk, syncDirectory, unlessMissing } from "./files.ts";
import { sha256Hex } from "./manifest.ts";
import { compareVersions, isPeriodic } from "./version.ts";

/** A checkpoint as the choice sees it. */
export interface DatedVersion {
  /** Its version, such as `v1.0.2-ep.300`. */
  readonly version: string;
  /** When it was published, ISO 8601 in UTC. */
  readonly createdAt: string;
}

/** How many periodic checkpoints stay, and which versions nothing may remove. */
export interface RetentionRule {
  /** Number of newest periodic checkpoints that stay, at least 0; protected ones among them count. */
  readonly keepLastN: number;
  /** The active, the previously active and the tagged versions. */
  readonly protectedVersions: Iterable<string>;
}

/**
 * The versions to remove, oldest first: the periodic ones (`vX.Y.Z-ep.N`) that are neither among the `keepLastN` newest
 * nor protected. Newest is by time of publication, because after a rollback, or with a version chosen by hand, the
 * latest work need not have the highest number; equal times fall back to version order.
 *
 * @param checkpoints the checkpoints of one policy type, in any order
 */
export function chooseExpired(checkpoints: readonly DatedVersion[], rule: RetentionRule): string[] {
  const { keepLastN } = rule;
  if (!Number.isInteger(keepLastN) || keepLastN < 0) {
    throw new RlcfError("usage", `cannot choose checkpoints: keep_last_n is ${keepLastN}, wanted an integer >= 0`);
  }
  const kept = new Set(rule.protectedVersions);
  const periodic = checkpoints.filter(({ version }) => isPeriodic(version)).toSorted((a, b) =>
    Date.parse(a.createdAt) - Date.parse(b.createdAt) || compareVersions(a.version, b.version)
  );
  return periodic.slice(0, Math.max(0, periodic.length - keepLastN))
    .map(({ version }) => version)
    .filter((version) => !kept.has(version));
}

/**
 * Removes a checkpoint. It gets a temporary name first, so that it disappears at once and whole; then its files go.
 *
 * @param root the checkpoint directory
 * @param path name of the directory inside `root`
 * @returns whether there was one to remove
 * @throws RlcfError `checkpoint` for a path outside `root` or a failure of the disk
 */
export async function removeCheckpoint(root: string, path: string, disk: Disk = DISK): Promise<boolean> {
  const trash = await setAside(root, path, disk);
  if (trash === undefined) return false;
  await syncDirectory(root, disk);
  await removeTree(trash, disk);
  return true;
}

/**
 * Removes a checkpoint, but only the one that is meant: another process may have put its own in this place by now, and
 * then nothing is removed. It is looked at under a name that nobody else uses, and gets its own back if it has to stay.
 *
 * @param sha256 hash of its manifest, as {@link manifestHash} gives it; undefined for one without a manifest
 * @param isUnwanted asked once more, when nobody can see the checkpoint any longer
 * @returns whether it was removed
 * @throws RlcfError as {@link removeCheckpoint}
 */
export async function removeThisCheckpoint(
  root: string,
  path: string,
  sha256: string | undefined,
  isUnwanted: () => Promise<boolean>,
  disk: Disk = DISK,
): Promise<boolean> {
  if (await manifestHash(root, path, disk) !== sha256) return false;
  const trash = await setAside(root, path, disk);
  if (trash === undefined) return false;
  let isMeant = false;
  try {
    isMeant = await hashIn(trash, disk) === sha256 && await isUnwanted();
  } finally {
    if (!isMeant) {
      const directory = directoryOf(root, path);
      await onDisk("put back checkpoint", directory, () => disk.rename(trash, directory));
    }
  }
  if (!isMeant) return false;
  await syncDirectory(root, disk);
  await removeTree(trash, disk);
  return true;
}

/** SHA-256 of a checkpoint's manifest as it is now, whatever state its other files are in; undefined without one. */
export function manifestHash(root: string, path: string, disk: Disk = DISK): Promise<string | undefined> {
  return hashIn(directoryOf(root, path), disk);
}

async function hashIn(directory: string, disk: Disk): Promise<string | undefined> {
  const manifest = join(directory, MANIFEST_FILE);
  const bytes = await unlessMissing("read", manifest, () => disk.readFile(manifest));
  return bytes === undefined ? undefined : sha256Hex(bytes);
}

/** Gives a checkpoint a temporary name, which is returned; undefined if there is none. */
async function setAside(root: string, path: string, disk: Disk): Promise<string | undefined> {
  const directory = directoryOf(root, path);
  const trash = join(root, `${TEMPORARY_PREFIX}trash-${path}-${crypto.randomUUID().slice(0, 8)}`);
  return await unlessMissing("remove checkpoint", directory, async () => {
    await disk.rename(directory, trash);
    return trash;
  });
}

/**
 * Removes the temporary directories that crashed processes left in the checkpoint directory.
 *
 * @param olderThanMs age in milliseconds since the last write; a living process may still be at work in younger ones
 * @param nowMs the current time, milliseconds since 1970
 * @returns the names of the directories removed
 */
export async function sweepTemporaries(
  root: string,
  olderThanMs: number,
  nowMs = Date.now(),
  disk: Disk = DISK,
): Promise<string[]> {
  const removed: string[] = [];
  for (const name of await temporariesIn(root, disk)) {
    const directory = join(root, name);
    const written = await lastWrite(directory, disk);
    if (written === undefined || nowMs - written < olderThanMs) continue;
    await removeTree(directory, disk);
    removed.push(name);
  }
  if (removed.length > 0) {
    getLogger(["rlcf", "checkpoint"]).info("removed {count} temporary directories left in {root}: {removed}", {
      count: removed.length,
      root,
      removed,
    });
  }
  return removed;
}

/** The names of the temporary directories, sorted; none where the checkpoint directory does not exist. */
async function temporariesIn(root: string, disk: Disk): Promise<string[]> {
  const found = await unlessMissing("list checkpoint directory", root, async () => {
    const names: string[] = [];
    for await (const entry of disk.readDir(root)) {
      // A link is never ours, and isDirectory is false for one.
      if (entry.isDirectory && entry.name.startsWith(TEMPORARY_PREFIX)) names.push(entry.name);
    }
    return names.sort();
  });
  return found ?? [];
}

/** The latest change of a directory or a file in it, milliseconds since 1970; undefined when it has gone. */
async function lastWrite(directory: string, disk: Disk): Promise<number | undefined> {
  return await unlessMissing("look at", directory, async () => {
    // Writing into a file does not touch the directory, so the files count as well.
    let latest = (await disk.lstat(directory)).mtime?.getTime() ?? 0;
    for await (const entry of disk.readDir(directory)) {
      const info = await disk.lstat(join(directory, entry.name));
      latest = Math.max(latest, info.mtime?.getTime() ?? 0);
    }
    return latest;
  });
}

/** Deletes a directory and all in it; that another process was faster is no failure. */
async function removeTree(directory: string, disk: Disk): Promise<void> {
  await unlessMissing("delete", directory, () => disk.remove(directory, { recursive: true }));
}
