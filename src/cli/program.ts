/**
 * The command line: parses it, runs a command, turns whatever happened into one message and an exit code.
 *
 * @module
 */
import { Command, type Option } from "@commander-js/extra-typings";
import { benchCommand } from "./bench.ts";
import { COMMON_OPTIONS } from "./context.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { evaluateCommand } from "./evaluate.ts";
import { enqueueCommand } from "./enqueue.ts";
import { EXIT_OK } from "./exit_codes.ts";
import { reportFailure } from "./failure.ts";
import { exportCommand } from "./export.ts";
import { importCommand } from "./import.ts";
import { ingestCommand } from "./ingest.ts";
import { jobsCommand } from "./jobs.ts";
import { policyCommand } from "./policy.ts";
import { reportCommand } from "./report.ts";
import { routeCommand } from "./route.ts";
import { serveCommand } from "./serve.ts";
import { statsCommand } from "./stats.ts";
import { printResult, sayText } from "./terminal.ts";
import { trainCommand } from "./train.ts";
import { type Build, FROM_SOURCE, versionText } from "./version.ts";
import { workerCommand } from "./worker.ts";

/**
 * Runs the program and returns its exit code. Never throws.
 *
 * @param build where the program comes from; a packed one knows its commit
 */
export async function runProgram(args: readonly string[], build: Build = FROM_SOURCE): Promise<number> {
  const program = new Command("rlcf")
    .description("turns the traces and feedback of a legal assistant into a better routing policy")
    .version(versionText(build), "-V, --version", "print version, commit, Deno's version and the engines")
    .usage("COMMAND [options]");
  const commands = [
    trainCommand(),
    statsCommand(),
    ingestCommand(),
    importCommand(),
    routeCommand(),
    serveCommand(),
    evaluateCommand(),
    policyCommand(),
    exportCommand(),
    reportCommand(),
    demoCommand(),
    benchCommand(),
    doctorCommand(),
    enqueueCommand(),
    workerCommand(),
    jobsCommand(),
  ];
  for (const command of commands) program.addCommand(command as unknown as Command);
  settle(program as unknown as Command, "rlcf");
  try {
    await program.parseAsync([...args], { from: "user" });
    return EXIT_OK;
  } catch (thrown) {
    return reportFailure(thrown, args.includes("--json"));
  }
}

/** Lets errors of the command line be thrown instead of ending the process, and sends its texts where they belong. */
function settle(command: Command, path: string): void {
  const isGroup = command.commands.length > 0;
  command
    .exitOverride()
    .helpOption("-h, --help", "print this help")
    .showHelpAfterError(
      isGroup
        ? `(${path} --help lists the commands; options such as --json come after the command)`
        : `(${path} --help lists the options)`,
    )
    .configureOutput({
      writeOut: (text) => printResult(text.trimEnd()),
      writeErr: (text) => sayText(text.trimEnd()),
    });
  if (isGroup) command.helpCommand("help [command]", "print the help of a command");
  // What a command is about comes first in its help; sort is stable, so each group keeps its order.
  const isCommon = (option: Option): number => Number(option.helpGroupHeading === COMMON_OPTIONS);
  (command.options as Option[]).sort((a, b) => isCommon(a) - isCommon(b));
  for (const child of command.commands) settle(child as Command, `${path} ${child.name()}`);
}
