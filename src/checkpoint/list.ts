/**
 * What is published in a checkpoint directory, whether or not a database knows it.
 *
 * @module
 */
import { DISK, type Disk, unlessMissing } from "./files.ts";
import { parseVersion } from "./version.ts";

/** The versions of a policy type that have a directory; none where the checkpoint directory does not exist. */
export async function publishedVersions(
  root: string,
  policyType: string,
  disk: Disk = DISK,
): Promise<string[]> {
  const prefix = `${policyType}-`;
  const found = await unlessMissing("list checkpoint directory", root, async () => {
    const versions: string[] = [];
    for await (const { name } of disk.readDir(root)) {
      const version = name.slice(prefix.length);
      if (name.startsWith(prefix) && parseVersion(version) !== undefined) versions.push(version);
    }
    return versions;
  });
  return found ?? [];
}
