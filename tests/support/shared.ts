/**
 * Golden numbers and data sets lie beside the repository in `../shared`; they are not part of it. Tests that need them
 * are ignored where the folder is absent.
 *
 * @module
 */
const root = new URL("../../../shared/", import.meta.url);

/** Whether the folder of golden numbers and data sets is there. */
export const hasShared: boolean = exists(root);

/** The URL of a file in `../shared`, e.g. `golden/gae.json`. */
export function sharedUrl(name: string): URL {
  return new URL(name, root);
}

/** The parsed JSON of a file in `../shared`. */
export async function readShared<T>(name: string): Promise<T> {
  return JSON.parse(await Deno.readTextFile(sharedUrl(name))) as T;
}

function exists(url: URL): boolean {
  try {
    Deno.statSync(url);
    return true;
  } catch {
    return false;
  }
}
