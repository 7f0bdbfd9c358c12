/**
 * The program `rlcf`.
 *
 * @module
 */
import { runProgram } from "./cli/program.ts";

if (import.meta.main) Deno.exit(await runProgram(Deno.args));
