/**
 * Reading JSON lines of any number without holding them, and refusing lines that are too long.
 *
 * @module
 */
import { messageOf, RlcfError } from "../base/errors.ts";
import { say } from "./terminal.ts";

/** Longer lines are refused: a trace with a large embedding has some hundred kilobytes. */
export const MAX_LINE_BYTES = 32 * 1024 * 1024;
/** A line that has no end by then is none: the file is something else, such as a device, and may never end. */
const MAX_SKIPPED_BYTES = 2 * 1024 * 1024 * 1024;

/** One line of a file. */
export interface Line {
  /** The file, or `stdin`. */
  readonly file: string;
  /** Counted from 1. */
  readonly number: number;
  /** The line; null if it was longer than {@link MAX_LINE_BYTES} or no UTF-8. */
  readonly text: string | null;
  /** Why text is null. */
  readonly problem?: string;
}

/**
 * Opens every file once, so that a mistyped name is told before anything is done with the files in front of it.
 *
 * @throws RlcfError("usage") naming the first one that cannot be read
 */
export async function checkReadable(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    // A named pipe can be opened once only: closing it again would end its writer.
    if (path !== "-" && !await isPipe(path)) (await open(path)).close();
  }
}

/**
 * The lines of a file, or of stdin for `-`. Empty ones are left out, and so is a byte order mark at the start of one.
 *
 * @throws RlcfError("usage") for a file that cannot be read, also in the middle, and for one without ends of lines
 */
export async function* linesOf(path: string): AsyncGenerator<Line> {
  const file = path === "-" ? "stdin" : path;
  if (path === "-" && Deno.stdin.isTerminal()) say("reading lines from the terminal; Ctrl-D ends them");
  const stream = path === "-" ? Deno.stdin.readable : (await open(path)).readable;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let [number, length] = [0, 0];
  let parts: Uint8Array[] = [];
  let tooLong = false;

  const take = (): Line | undefined => {
    number++;
    const [held, long] = [parts, tooLong];
    [parts, length, tooLong] = [[], 0, false];
    if (long) return { file, number, text: null, problem: `the line is longer than ${MAX_LINE_BYTES} bytes` };
    try {
      const text = decoder.decode(joined(held)).trim();
      return text === "" ? undefined : { file, number, text };
    } catch {
      return { file, number, text: null, problem: "the line is not UTF-8" };
    }
  };

  let isFirst = true;
  for await (const chunk of readable(stream, file)) {
    if (isFirst && chunk[0] === 0x1f && chunk[1] === 0x8b) {
      throw new RlcfError("usage", `cannot read ${file}: found a gzip file, wanted JSON lines`, {
        hint: `gunzip -c ${path === "-" ? "FILE" : path} | rlcf ... - reads what is in it.`,
      });
    }
    isFirst = false;
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      if (!tooLong) parts.push(chunk.subarray(start, end));
      const line = take();
      if (line !== undefined) yield line;
      start = end + 1;
    }
    length += chunk.length - start;
    if (length > MAX_LINE_BYTES) [tooLong, parts] = [true, []];
    if (length > MAX_SKIPPED_BYTES) {
      throw new RlcfError("usage", `cannot read ${file}: found no end of line in 2 GiB, wanted JSON lines`, {
        hint: `Line ${number + 1} is where it begins; every line before it was read.`,
      });
    }
    if (!tooLong && start < chunk.length) parts.push(chunk.slice(start));
  }
  if (parts.length > 0 || tooLong) {
    const line = take();
    if (line !== undefined) yield line;
  }
}

/** The JSON value of a line; throws RlcfError("usage") if it is none. */
export function parseLine(line: Line): unknown {
  if (line.text === null) throw new RlcfError("usage", line.problem!);
  try {
    return JSON.parse(line.text);
  } catch (thrown) {
    throw new RlcfError("usage", `the line is not JSON: ${(thrown as Error).message}`, { cause: thrown });
  }
}

/** The chunks of a file; one that fails in the middle is told as what it is, a file that cannot be read. */
async function* readable(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  file: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read().catch((thrown: unknown) => {
        throw new RlcfError("usage", `cannot read ${file}: ${messageOf(thrown)}`, { cause: thrown });
      });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function isPipe(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFifo === true;
  } catch {
    // Opening it says what is wrong.
    return false;
  }
}

async function open(path: string): Promise<Deno.FsFile> {
  try {
    const file = await Deno.open(path);
    if (!(await file.stat()).isDirectory) return file;
    file.close();
    throw new Error("found a directory, wanted a file of JSON lines");
  } catch (thrown) {
    const cause = thrown instanceof Deno.errors.NotFound ? "there is no such file" : (thrown as Error).message;
    throw new RlcfError("usage", `cannot read ${path}: ${cause}`, { cause: thrown });
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
