/**
 * Lines that could not be used: the first ones are shown, all are counted, and a file keeps them if the user wants.
 *
 * @module
 */
import { messageOf, RlcfError } from "../base/errors.ts";
import type { Line } from "./lines.ts";
import { count } from "./table.ts";
import { say, visibleLine } from "./terminal.ts";

/** Bad lines shown on stderr; the rest are only counted. */
const SHOWN = 5;
/** How every line of a file of rejects begins. */
const BEGINNING = '{"file":';

/** One bad line as told by `--json`. */
export interface RejectedLine {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

/** The bad lines of a command. */
export class Rejects implements Disposable {
  readonly #file: Deno.FsFile | undefined;
  readonly #path: string | undefined;
  readonly #first: RejectedLine[] = [];
  #count = 0;

  /**
   * Opens the file at once: better to fail before anything is done. A file that is there already is replaced only if it
   * holds rejects; everything else, such as the input itself, was named by mistake.
   *
   * @param inputs the files that are read
   */
  constructor(path?: string, inputs: readonly string[] = []) {
    this.#path = path;
    if (path === undefined) return;
    try {
      const flaw = flawOf(path, inputs);
      if (flaw !== undefined) throw new Error(flaw);
      this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
    } catch (thrown) {
      const cause = thrown instanceof Deno.errors.NotFound ? "its directory does not exist" : messageOf(thrown);
      throw new RlcfError("usage", `cannot write the rejected lines to ${path}: ${cause}`, { cause: thrown });
    }
  }

  /** How many there were. */
  get count(): number {
    return this.#count;
  }

  /** The first ones. */
  get first(): readonly RejectedLine[] {
    return this.#first;
  }

  /** Takes a bad line. */
  add({ file, number, text }: Line, reason: string): void {
    this.#count++;
    if (this.#first.length < SHOWN) {
      this.#first.push({ file, line: number, reason });
      say(visibleLine(`${file}:${number}: ${reason}`));
    }
    if (this.#file === undefined) return;
    const bytes = new TextEncoder().encode(`${JSON.stringify({ file, line: number, reason, text })}\n`);
    try {
      for (let written = 0; written < bytes.length;) written += this.#file.writeSync(bytes.subarray(written));
    } catch (thrown) {
      throw new RlcfError("usage", `cannot write the rejected lines to ${this.#path}: ${messageOf(thrown)}`, {
        cause: thrown,
      });
    }
  }

  /** Says how many were not shown, and where they are. */
  sayRest(): void {
    const rest = this.#count - this.#first.length;
    if (rest > 0) say(`... and ${count(rest)} more`);
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file?.close();
  }
}

/** Why a file may not be replaced by rejects; undefined if it may. */
function flawOf(path: string, inputs: readonly string[]): string | undefined {
  const found = statOf(path);
  // What is no regular file, such as /dev/stderr, loses nothing by being written to.
  if (found === undefined || !found.isFile) return undefined;
  const isInput = inputs.some((input) => {
    const other = input === "-" ? undefined : statOf(input);
    return other !== undefined && other.dev === found.dev && other.ino === found.ino;
  });
  if (isInput) return "it is one of the files that are read";
  if (found.size === 0) return undefined;
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(BEGINNING.length);
  file.readSync(bytes);
  return new TextDecoder().decode(bytes) === BEGINNING
    ? undefined
    : "found a file of something else, wanted a new file or one of earlier rejects";
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    throw thrown;
  }
}
