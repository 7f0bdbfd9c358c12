/**
 * What lies in a checkpoint directory besides the versions that a database knows: directories that a crash left, and a
 * place where those go that nobody refers to.
 *
 * @module
 */
import { join } from "node:path";
import { directoryOf, TEMPORARY_PREFIX } from "./checkpoint.ts";
import { onDisk, syncDirectory, unlessMissing } from "./files.ts";
import { parseVersion } from "./version.ts";

/** Where directories go that are set aside, inside the checkpoint directory; no version is ever called so. */
export const ASIDE_DIRECTORY = ".set-aside";

/** A directory that is being written or deleted, or was when its process died. */
export interface Temporary {
  /** Its name in the checkpoint directory. */
  readonly name: string;
  /** The latest change in it, milliseconds since 1970. */
  readonly writtenMs: number;
}

/** What lies in a checkpoint directory. */
export interface DirectoryContent {
  /** Names that a version can have, `<policy type>-<version>`. */
  readonly published: readonly string[];
  /** Temporary directories. */
  readonly temporaries: readonly Temporary[];
}

/** Lists a checkpoint directory; null where it does not exist. */
export async function listDirectory(root: string): Promise<DirectoryContent | null> {
  const found = await unlessMissing("list checkpoint directory", root, async () => {
    const [published, temporaries]: [string[], Temporary[]] = [[], []];
    for await (const { name, isDirectory } of Deno.readDir(root)) {
      if (!isDirectory) continue;
      if (name.startsWith(TEMPORARY_PREFIX)) {
        const writtenMs = await lastWrite(join(root, name));
        if (writtenMs !== undefined) temporaries.push({ name, writtenMs });
      } else if (policyTypeOf(name) !== undefined) published.push(name);
    }
    return { published: published.sort(), temporaries };
  });
  return found ?? null;
}

/** The policy type in the name of a version's directory; undefined for any other name. */
export function policyTypeOf(name: string): string | undefined {
  const match = /^([a-z][a-z0-9_]{0,49})-(v.+)$/.exec(name);
  return match !== null && parseVersion(match[2]!) !== undefined ? match[1] : undefined;
}

/**
 * Moves a version's directory out of the way without deleting it: into {@link ASIDE_DIRECTORY}, under its name and a
 * random ending.
 *
 * @returns where it lies now
 * @throws RlcfError `checkpoint` for a path outside `root` or a failure of the disk
 */
export async function setAside(root: string, path: string): Promise<string> {
  const directory = directoryOf(root, path);
  const aside = join(root, ASIDE_DIRECTORY);
  const target = join(aside, `${path}-${crypto.randomUUID().slice(0, 8)}`);
  await onDisk("create directory", aside, () => Deno.mkdir(aside, { recursive: true }));
  await onDisk("set aside", directory, () => Deno.rename(directory, target));
  await syncDirectory(aside);
  await syncDirectory(root);
  return target;
}

/** The latest change of a directory or a file in it; undefined when it has gone. */
async function lastWrite(directory: string): Promise<number | undefined> {
  return await unlessMissing("look at", directory, async () => {
    // Writing into a file does not touch the directory, so the files count as well.
    let latest = (await Deno.lstat(directory)).mtime?.getTime() ?? 0;
    for await (const { name } of Deno.readDir(directory)) {
      latest = Math.max(latest, (await Deno.lstat(join(directory, name))).mtime?.getTime() ?? 0);
    }
    return latest;
  });
}
