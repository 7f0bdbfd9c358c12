/**
 * Writing the files of an export: each whole or not at all, and never over a file that is there unless that is wanted.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { messageOf, RlcfError } from "../base/errors.ts";

/**
 * Throws unless every path is free, or holds a plain file and `force`.
 *
 * @throws RlcfError("usage") naming the first one that is not
 */
export async function checkFree(paths: readonly string[], force: boolean): Promise<void> {
  for (const path of paths) {
    let found: Deno.FileInfo;
    try {
      found = await Deno.lstat(path);
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) continue;
      throw cannotWrite(path, messageOf(thrown), thrown);
    }
    if (!found.isFile) throw cannotWrite(path, found.isDirectory ? "it is a directory" : "it is no plain file");
    if (!force) throw cannotWrite(path, "the file exists already", undefined, "--force replaces it.");
  }
}

/** Writes a file in place of an earlier one; its directory is created if it is not there. */
export async function writeWhole(path: string, content: Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.tmp-${basename(path)}-${crypto.randomUUID().slice(0, 8)}`);
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeFile(temporary, content, { createNew: true });
    await Deno.rename(temporary, path);
  } catch (thrown) {
    await Deno.remove(temporary).catch(() => {});
    throw cannotWrite(path, messageOf(thrown), thrown);
  }
}

function cannotWrite(path: string, cause: string, thrown?: unknown, hint?: string): RlcfError {
  return new RlcfError("usage", `cannot write the export to ${path}: ${cause}`, {
    hint: hint ?? "--output names a place that can be written.",
    cause: thrown,
  });
}
