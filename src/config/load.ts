/**
 * Reads the configuration file and puts the configuration together. Reads one file; writes none.
 *
 * @module
 */
import { messageOf, RlcfError } from "../base/errors.ts";
import { resolveConfig } from "./resolve.ts";
import type { Environment, FlagValues, ResolvedConfig } from "./resolve.ts";

/** The file that is read when none is named, if it exists. */
export const DEFAULT_CONFIG_PATH = "config/rlcf_training.yaml";

/** Larger files are refused: a configuration has a few kilobytes, so it must be some other file. */
const MAX_BYTES = 1024 * 1024;

/** Where {@link loadConfig} finds what it puts together. */
export interface ConfigOrigin {
  /** The file that was asked for; it must exist. */
  readonly path?: string | undefined;
  /** The file read when none was asked for; built-in defaults if it does not exist. */
  readonly fallbackPath?: string;
  /** Values given on the command line. */
  readonly flags?: FlagValues;
  /** The environment. */
  readonly env?: Environment;
}

/**
 * The configuration in force.
 *
 * @throws {RlcfError} `usage`: the file cannot be read, or what is wrong with its content, a flag or a variable
 */
export async function loadConfig(origin: ConfigOrigin = {}): Promise<ResolvedConfig> {
  const { path, fallbackPath = DEFAULT_CONFIG_PATH, flags = {}, env = () => undefined } = origin;
  const text = await readText(path ?? fallbackPath, path === undefined);
  return resolveConfig({ ...(text === undefined ? {} : { file: { path: path ?? fallbackPath, text } }), flags, env });
}

/** The text of the file, or undefined when it does not exist and need not. */
async function readText(path: string, mayBeMissing: boolean): Promise<string | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readUpTo(path, MAX_BYTES + 1);
  } catch (error) {
    const isMissing = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
    if (isMissing && mayBeMissing) return undefined;
    throw new RlcfError(
      "usage",
      `cannot read the configuration ${JSON.stringify(path)}: ${
        isMissing ? "there is no such file" : messageOf(error)
      }`,
      { hint: "name an existing file with --config, or leave --config out to use the defaults", cause: error },
    );
  }
  if (bytes.length > MAX_BYTES) {
    throw new RlcfError("usage", `cannot use the configuration: ${path}: found more than 1 MiB, wanted a YAML file`);
  }
  return decode(bytes, path);
}

/** At most `limit` bytes from the start of a file, which may as well be a pipe or a device without an end. */
async function readUpTo(path: string, limit: number): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(limit);
  let length = 0;
  while (length < limit) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

/** The text that the bytes spell in UTF-8, without a byte order mark. */
function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Decoded with U+FFFD for what is not UTF-8 and encoded again, the bytes differ first where they were wrong.
    const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
    const back = new TextEncoder().encode(lenient.decode(bytes));
    const offset = bytes.findIndex((byte, i) => byte !== back[i]);
    const before = lenient.decode(bytes.subarray(0, offset)).split("\n");
    const byte = bytes[offset]!.toString(16).padStart(2, "0");
    throw new RlcfError(
      "usage",
      `cannot use the configuration: ${path}:${before.length}:${
        before.at(-1)!.length + 1
      }: found the byte 0x${byte}, ` +
        "wanted text in UTF-8",
    );
  }
}
