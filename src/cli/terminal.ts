/**
 * The two streams: results go to stdout, everything said to a person goes to stderr.
 *
 * @module
 */

const encoder = new TextEncoder();

/** Narrowest terminal that texts are fitted to. */
const NARROWEST = 40;

/** Whoever read stdout has gone away, as `head` does: nothing that is left to print would be read. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

/** A result cannot be written to stdout, e.g. because the disk behind it is full. */
export class OutputError extends Error {
  override readonly name = "OutputError";
}

/**
 * A result, one line on stdout.
 *
 * @throws ReaderGone or OutputError if it cannot be written
 */
export function printResult(line: string): void {
  try {
    writeAll(Deno.stdout, `${line}\n`);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.BrokenPipe) throw new ReaderGone("stdout was closed");
    const cause = thrown instanceof Error ? thrown.message : String(thrown);
    throw new OutputError(`cannot write the result to stdout: ${cause}`);
  }
}

/** Something for a person, one line on stderr. The work goes on where nobody can read it any more. */
export function say(line = ""): void {
  sayPart(`${line}\n`);
}

/** The same without the end of the line. */
export function sayPart(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // A closed or full stderr is no reason to stop a training session, and there is nowhere else to tell.
  }
}

/** Whether a person is watching stderr. */
export function isWatched(): boolean {
  return Deno.stderr.isTerminal();
}

/** Columns of the terminal; unbounded where stderr is a file or a pipe, which nobody wants cut. */
export function columns(): number {
  if (!isWatched()) return Infinity;
  try {
    return Math.max(NARROWEST, Deno.consoleSize().columns);
  } catch {
    return 80;
  }
}

/** The text in bold on a terminal; as it is elsewhere, and where `NO_COLOR` is set. */
export function bold(text: string): string {
  return isWatched() && !Deno.noColor && text !== "" ? `\x1b[1m${text}\x1b[0m` : text;
}

/** The text in grey on a terminal; as it is elsewhere, and where `NO_COLOR` is set. */
export function dim(text: string): string {
  return isWatched() && !Deno.noColor && text !== "" ? `\x1b[2m${text}\x1b[0m` : text;
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
}
