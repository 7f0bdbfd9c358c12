/**
 * Files that lie beside a checkpoint without being part of it: the manifest does not list them, so that verification
 * passes them over, and they go when the checkpoint goes.
 *
 * @module
 */
import { join } from "node:path";
import { directoryOf } from "./checkpoint.ts";
import { DISK, type Disk, onDisk, syncDirectory, writeDurably } from "./files.ts";

/** The result of the latest benchmark of this checkpoint. */
export const BENCH_FILE = "bench.json";

/**
 * Writes a file into the directory of a checkpoint, in place of an earlier one: whoever opens it finds either the old
 * content or the new one, whole.
 *
 * @param root the checkpoint directory
 * @param path the checkpoint's directory inside it
 * @returns the file's path
 * @throws RlcfError `checkpoint` when the path leads elsewhere or the disk fails
 */
export async function writeBeside(
  root: string,
  path: string,
  name: string,
  content: string,
  disk: Disk = DISK,
): Promise<string> {
  const directory = directoryOf(root, path);
  const target = join(directory, name);
  const temporary = join(directory, `.tmp-${name}-${crypto.randomUUID().slice(0, 8)}`);
  try {
    await writeDurably(temporary, new TextEncoder().encode(content), disk);
    await onDisk("write", target, () => disk.rename(temporary, target));
  } catch (thrown) {
    await disk.remove(temporary).catch(() => {});
    throw thrown;
  }
  await syncDirectory(directory, disk);
  return target;
}
