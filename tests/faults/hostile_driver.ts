/**
 * Runs the program on many command lines in one process, as fuzzing needs it: a process for each would take its time.
 * Reads a JSON array of command lines from the file that it is given; after each, both streams get a line with a mark,
 * the number and the exit code.
 *
 * @module
 */
import { runProgram } from "../../src/cli/program.ts";

/** What stands in front of number and exit code; nothing that the program writes may hold its first character. */
export const MARK = "\x1e";

if (import.meta.main) {
  const lines = JSON.parse(Deno.readTextFileSync(Deno.args[0]!)) as readonly (readonly string[])[];
  const encoder = new TextEncoder();
  for (const [i, args] of lines.entries()) {
    const code = await runProgram(args);
    const mark = encoder.encode(`${MARK}${i} ${code}\n`);
    Deno.stdout.writeSync(mark);
    Deno.stderr.writeSync(mark);
  }
}
