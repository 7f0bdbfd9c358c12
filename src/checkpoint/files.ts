/**
 * Files and directories that survive a crash, and failures of the disk as errors that say what to do.
 *
 * @module
 */
import { messageOf, RlcfError } from "../base/errors.ts";

/** What to do about the failures that an operator can mend, by the system's error code. */
const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: "The disk is full: free some space or choose another checkpoint directory.",
  EDQUOT: "The disk quota is used up: free some space or choose another checkpoint directory.",
  EROFS: "The file system is read-only: choose another checkpoint directory.",
  EACCES: "Give the user that runs rlcf read and write access to the checkpoint directory.",
  EPERM: "Give the user that runs rlcf read and write access to the checkpoint directory.",
  ENOTDIR: "A part of this path is a file where a directory is wanted: choose another checkpoint directory.",
  ENAMETOOLONG: "Choose a checkpoint directory with a shorter path.",
};

/**
 * Runs a piece of disk work. A failure of the system becomes an RlcfError `checkpoint` that names action, path and
 * cause; everything else passes unchanged.
 *
 * @param action what is being done, as in "cannot <action> <path>"
 */
export async function onDisk<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const hint = hintFor(thrown);
    if (hint === undefined && codeOf(thrown) === undefined) throw thrown;
    throw new RlcfError("checkpoint", `cannot ${action} ${path}: ${messageOf(thrown)}`, {
      cause: thrown,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** The system's code of a failure (`ENOSPC`, ...); undefined when the system did not cause it. */
export function codeOf(thrown: unknown): string | undefined {
  // Deno sets `code` on every error that comes from a system call, and declares it nowhere.
  if (!(thrown instanceof Error) || thrown instanceof RlcfError) return undefined;
  const code = (thrown as Error & { readonly code?: unknown }).code;
  return typeof code === "string" ? code : undefined;
}

/** Like {@link onDisk}, with undefined as the result where the file or directory is not there. */
export async function unlessMissing<T>(action: string, path: string, work: () => Promise<T>): Promise<T | undefined> {
  return await onDisk(action, path, async () => {
    try {
      return await work();
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return undefined;
      throw thrown;
    }
  });
}

/** Writes a new file and returns when its content is on the disk. Fails if the file exists. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await onDisk("write", path, async () => {
    using file = await Deno.open(path, { write: true, createNew: true });
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
    await file.sync();
  });
}

/**
 * Puts a directory's entries on the disk, so that files created or renamed in it are found after a crash. Windows
 * cannot open directories and some network file systems refuse to sync them; there the file system decides when.
 */
export async function syncDirectory(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  await onDisk("sync directory", path, async () => {
    using directory = await Deno.open(path, { read: true });
    try {
      await directory.sync();
    } catch (thrown) {
      // fsync(2): EINVAL is "bound to a special file which does not support synchronization". EIO or ENOSPC are real.
      if (!["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(codeOf(thrown) ?? "")) throw thrown;
    }
  });
}

function hintFor(thrown: unknown): string | undefined {
  if (thrown instanceof Deno.errors.NotCapable) {
    return "Start Deno with --allow-read and --allow-write for the checkpoint directory.";
  }
  return HINTS[codeOf(thrown) ?? ""];
}
