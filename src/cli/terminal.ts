/**
 * The two streams: results go to stdout, everything said to a person goes to stderr.
 *
 * @module
 */
import Table from "cli-table3";

const encoder = new TextEncoder();

/** Writes all of a text; a reader that has gone away (`| head`) ends the program quietly. */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  try {
    for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
  } catch (thrown) {
    if (thrown instanceof Deno.errors.BrokenPipe) Deno.exit(0);
    throw thrown;
  }
}

/** A result, one line on stdout. */
export function printResult(line: string): void {
  writeAll(Deno.stdout, `${line}\n`);
}

/** Something for a person, one line on stderr. */
export function say(line = ""): void {
  writeAll(Deno.stderr, `${line}\n`);
}

/** Whether a person is watching stderr. */
export function isWatched(): boolean {
  return Deno.stderr.isTerminal();
}

/** A table on stderr; numbers are aligned to the right. */
export function sayTable(head: readonly string[], rows: readonly (readonly (string | number | null)[])[]): void {
  const numeric = head.map((_, column) => rows.length > 0 && rows.every((row) => looksNumeric(row[column])));
  const table = new Table({
    head: [...head],
    colAligns: numeric.map((right) => right ? "right" : "left"),
    // Colours are left to the terminal: the table reads the same in a file.
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(row.map((cell) => cell === null ? "-" : String(cell)));
  say(table.toString());
}

function looksNumeric(cell: string | number | null | undefined): boolean {
  return cell === null || /^[+-]?[\d.,]+%?$/.test(String(cell)) || cell === "-";
}

/** A number with three decimals, `-` for none. */
export function decimals(value: number | null | undefined, digits = 3): string {
  return value === null || value === undefined ? "-" : value.toFixed(digits);
}
