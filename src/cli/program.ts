/**
 * The command line: parses it, runs a command, turns whatever happened into one message and an exit code.
 *
 * @module
 */
import { Command, CommanderError } from "@commander-js/extra-typings";
import { RlcfError } from "../base/errors.ts";
import { EXIT_CODES, EXIT_OK, EXIT_UNEXPECTED, EXIT_USAGE } from "./exit_codes.ts";
import { demoCommand } from "./demo.ts";
import { ingestCommand } from "./ingest.ts";
import { policyCommand } from "./policy.ts";
import { routeCommand } from "./route.ts";
import { statsCommand } from "./stats.ts";
import { printResult, say } from "./terminal.ts";
import { trainCommand } from "./train.ts";
import { VERSION } from "./version.ts";

/** Runs the program and returns its exit code. Never throws. */
export async function runProgram(args: readonly string[]): Promise<number> {
  const program = new Command("rlcf")
    .description("turns the traces and feedback of a legal assistant into a better routing policy")
    .version(VERSION, "-V, --version")
    .showHelpAfterError("(rlcf --help lists the commands)")
    .configureHelp({ showGlobalOptions: true });
  const commands = [trainCommand(), statsCommand(), ingestCommand(), routeCommand(), policyCommand(), demoCommand()];
  for (const command of commands) program.addCommand(command as unknown as Command);
  quiet(program as unknown as Command);
  try {
    await program.parseAsync([...args], { from: "user" });
    return EXIT_OK;
  } catch (thrown) {
    return report(thrown, args.includes("--json"));
  }
}

/** Lets errors of the command line be thrown instead of ending the process, and sends its texts where they belong. */
function quiet(command: Command): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => printResult(text.trimEnd()),
    writeErr: (text) => say(text.trimEnd()),
  });
  for (const child of command.commands) quiet(child as Command);
}

function report(thrown: unknown, json: boolean): number {
  if (thrown instanceof CommanderError) {
    // Help and version are ends, not failures; the text has been printed.
    if (thrown.exitCode === 0) return EXIT_OK;
    if (json) printFailure("usage", thrown.message.replace(/^error: /, ""), undefined);
    return EXIT_USAGE;
  }
  if (thrown instanceof RlcfError) {
    say(`error: ${thrown.message}`);
    if (thrown.hint !== undefined) say(`hint: ${thrown.hint}`);
    if (json) printFailure(thrown.code, thrown.message, thrown.hint);
    return EXIT_CODES[thrown.code];
  }
  say(`unexpected error, please report it: ${thrown instanceof Error ? thrown.stack ?? thrown.message : thrown}`);
  if (json) printFailure("unexpected", thrown instanceof Error ? thrown.message : String(thrown), undefined);
  return EXIT_UNEXPECTED;
}

function printFailure(code: string, message: string, hint: string | undefined): void {
  const status = code === "interrupted" ? "interrupted" : "failed";
  printResult(JSON.stringify({ status, error: { code, message, ...(hint === undefined ? {} : { hint }) } }));
}
