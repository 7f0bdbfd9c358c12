/**
 * Writing a report: whole or not at all, and never over somebody else's file.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { messageOf, RlcfError } from "../base/errors.ts";

/** Bytes at the start of a file in which the marker of a report stands. */
const HEAD = 256;

/**
 * Writes a report in place of an earlier one.
 *
 * @param marker what an earlier report has near its start
 * @param force whether any other file may be replaced as well
 * @throws RlcfError("usage") where another file has the name, or the directory cannot be written
 */
export async function writeReport(path: string, page: string, marker: string, force: boolean): Promise<void> {
  await checkReplaceable(path, marker, force);
  const temporary = join(dirname(path), `.tmp-${basename(path)}-${crypto.randomUUID().slice(0, 8)}`);
  try {
    await Deno.writeTextFile(temporary, page, { createNew: true });
    await Deno.rename(temporary, path);
  } catch (thrown) {
    await Deno.remove(temporary).catch(() => {});
    throw cannotWrite(path, thrown);
  }
}

/** Throws unless the path is free, or holds an earlier report, or any file and `force`. */
export async function checkReplaceable(path: string, marker: string, force: boolean): Promise<void> {
  let found: Deno.FileInfo;
  try {
    found = await Deno.stat(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return;
    throw cannotWrite(path, thrown);
  }
  if (!found.isFile) throw cannotWrite(path, new Error(`it is ${found.isDirectory ? "a directory" : "no plain file"}`));
  if (!force && !(await headOf(path)).includes(marker)) {
    throw new RlcfError("usage", `cannot write the report to ${path}: another file has this name`, {
      hint: "Name another file with --output, or replace this one with --force.",
    });
  }
}

async function headOf(path: string): Promise<string> {
  try {
    using file = await Deno.open(path);
    const bytes = new Uint8Array(HEAD);
    const read = await file.read(bytes) ?? 0;
    return new TextDecoder().decode(bytes.subarray(0, read));
  } catch (thrown) {
    throw cannotWrite(path, thrown);
  }
}

function cannotWrite(path: string, thrown: unknown): RlcfError {
  return new RlcfError("usage", `cannot write the report to ${path}: ${messageOf(thrown)}`, {
    hint: "--output FILE names a file in a directory that exists and can be written.",
    cause: thrown,
  });
}
