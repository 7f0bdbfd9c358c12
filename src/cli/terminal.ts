/**
 * The two streams: results go to stdout, everything said to a person goes to stderr.
 *
 * @module
 */
import { maskedUrl } from "../base/secrets.ts";

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
 * What a terminal takes for a command (C0 and C1 but tab and newline, DEL), and what turns the direction of the text
 * around it (the bidirectional controls of Unicode, UAX 9).
 */
// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
/** The only commands that the program itself puts into a text: bold, dim and their end. */
// deno-lint-ignore no-control-regex
const OWN_STYLES = /(\x1b\[[012]m)/;

/** A URL that may hold a password: one that was typed in the wrong place is repeated by the message about it. */
const URLS = /\b(?!sqlite)[a-z][a-z0-9+.-]*:\/\/[^\s"'`]+/gi;

/** The text without the passwords of the URLs in it. */
export function withoutPasswords(text: string): string {
  return text.replace(URLS, (url) => maskedUrl(url));
}

/**
 * The text with every control character spelled out, as in `\u001b`: data that was logged by somebody else must not
 * move the cursor, set a title or hide a part of a message. In JSON this spelling means the same character.
 */
export function visible(text: string): string {
  return text.replace(CONTROLS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The same on one line: nobody's data may look like a line of the program. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll("\n", "\\n");
}

/**
 * A result, one line on stdout. Control characters are spelled out in JSON, and on a terminal; only a file's name on
 * its way to another program stays as it is.
 *
 * @throws ReaderGone or OutputError if it cannot be written
 */
export function printResult(line: string): void {
  const shown = line.startsWith("{") || Deno.stdout.isTerminal() ? visible(line) : line;
  try {
    writeAll(Deno.stdout, `${shown}\n`);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.BrokenPipe) throw new ReaderGone("stdout was closed");
    const cause = thrown instanceof Error ? thrown.message : String(thrown);
    throw new OutputError(`cannot write the result to stdout: ${cause}`);
  }
}

/**
 * Something for a person, one line on stderr; newlines in front leave lines empty, any other is spelled out. The work
 * goes on where nobody can read it any more.
 */
export function say(line = ""): void {
  const [empty] = /^\n*/.exec(line)!;
  sayRaw(`${empty}${shown(line.slice(empty.length), visibleLine)}\n`);
}

/** The same of a text of several lines. */
export function sayText(text: string): void {
  sayRaw(`${shown(text, visible)}\n`);
}

/** Shows a text in place of the last line, which ends nowhere; an empty one removes it. */
export function sayInPlace(text: string): void {
  sayRaw(`\r\x1b[K${visibleLine(text)}`);
}

/** The text without passwords, and without control characters but those of {@link bold} and {@link dim}. */
function shown(text: string, spelled: (part: string) => string): string {
  const safe = withoutPasswords(text);
  if (!isStyled()) return spelled(safe);
  return safe.split(OWN_STYLES).map((part, i) => i % 2 === 1 ? part : spelled(part)).join("");
}

function sayRaw(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // A closed or full stderr is no reason to stop a training session, and there is nowhere else to tell.
  }
}

/** Whether bold and dim are shown. */
function isStyled(): boolean {
  return isWatched() && !Deno.noColor;
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
  return isStyled() && text !== "" ? `\x1b[1m${text}\x1b[0m` : text;
}

/** The text in grey on a terminal; as it is elsewhere, and where `NO_COLOR` is set. */
export function dim(text: string): string {
  return isStyled() && text !== "" ? `\x1b[2m${text}\x1b[0m` : text;
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
}
