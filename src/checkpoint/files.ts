/**
 * Files and directories that survive a crash, and failures of the disk as errors that say what to do.
 *
 * @module
 */
import { messageOf, RlcfError } from "../base/errors.ts";

/** The operations of the file system that checkpoints are made of; each as Deno's function of that name has it. */
export interface Disk {
  /** Makes a directory. */
  mkdir(path: string, options?: Deno.MkdirOptions): Promise<void>;
  /** Gives a file or directory another name. */
  rename(from: string, to: string): Promise<void>;
  /** Deletes a file or directory. */
  remove(path: string, options?: Deno.RemoveOptions): Promise<void>;
  /** What a path leads to, links followed. */
  stat(path: string): Promise<Deno.FileInfo>;
  /** What a path is, links not followed. */
  lstat(path: string): Promise<Deno.FileInfo>;
  /** A path with every link in it followed. */
  realPath(path: string): Promise<string>;
  /** The entries of a directory. */
  readDir(path: string): AsyncIterable<Deno.DirEntry>;
  /** The content of a file. */
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Opens a file or, for its sync, a directory. */
  open(path: string, options: Deno.OpenOptions): Promise<OpenFile>;
}

/** A file that was opened; closed when disposed. */
export type OpenFile = Pick<Deno.FsFile, "write" | "sync"> & Disposable;

/**
 * The disk itself. The functions of the room take another one, so that tests can let any operation fail; nothing but
 * this object touches Deno's file system here.
 */
export const DISK: Disk = {
  mkdir: (path, options) => Deno.mkdir(path, options),
  rename: (from, to) => Deno.rename(from, to),
  remove: (path, options) => Deno.remove(path, options),
  stat: (path) => Deno.stat(path),
  lstat: (path) => Deno.lstat(path),
  realPath: (path) => Deno.realPath(path),
  readDir: (path) => Deno.readDir(path),
  readFile: (path) => Deno.readFile(path),
  open: (path, options) => Deno.open(path, options),
};

/** What to do about the failures that an operator can mend, by the system's error code. */
const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: "The disk is full: free some space or choose another checkpoint directory.",
  EDQUOT: "The disk quota is used up: free some space or choose another checkpoint directory.",
  EFBIG: "A file may not grow so large here: raise the limit (ulimit -f), or choose another checkpoint directory.",
  EROFS: "The file system is read-only: choose another checkpoint directory.",
  EACCES: "Give the user that runs rlcf read and write access to the checkpoint directory.",
  EPERM: "Give the user that runs rlcf read and write access to the checkpoint directory.",
  ENOTDIR: "A part of this path is a file where a directory is wanted: choose another checkpoint directory.",
  ENAMETOOLONG: "Choose a checkpoint directory with a shorter path.",
};

/** Codes of failures for which Deno sets none, by Linux's numbers (errno.h). */
const NUMBERED: Readonly<Record<string, string>> = { "27": "EFBIG", "122": "EDQUOT" };

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
  if (typeof code === "string") return code;
  // For the rarer failures it names the system's number in the message alone.
  const number = /\(os error (\d+)\)$/.exec(thrown.message)?.[1];
  return number === undefined ? undefined : NUMBERED[number] ?? `OS${number}`;
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
export async function writeDurably(path: string, bytes: Uint8Array, disk: Disk = DISK): Promise<void> {
  await onDisk("write", path, async () => {
    using file = await disk.open(path, { write: true, createNew: true });
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
    await file.sync();
  });
}

/**
 * Puts a directory's entries on the disk, so that files created or renamed in it are found after a crash. Windows
 * cannot open directories and some network file systems refuse to sync them; there the file system decides when.
 */
export async function syncDirectory(path: string, disk: Disk = DISK): Promise<void> {
  if (Deno.build.os === "windows") return;
  await onDisk("sync directory", path, async () => {
    using directory = await disk.open(path, { read: true });
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
