/**
 * From whatever ended a command to one message, one JSON object and an exit code.
 *
 * @module
 */
import { CommanderError } from "@commander-js/extra-typings";
import type { JsonObject } from "../base/check.ts";
import { messageOf, RlcfError } from "../base/errors.ts";
import { EXIT_CODES, EXIT_OK, EXIT_UNEXPECTED, EXIT_USAGE } from "./exit_codes.ts";
import { count } from "./table.ts";
import { OutputError, printResult, ReaderGone, say, sayText, withoutPasswords } from "./terminal.ts";

/** How a message begins that lists problems, one a line. */
const MANY_PROBLEMS = /^cannot use the configuration, \d+ problems:\n/;
/** Characters of a message that are shown. */
const LONGEST_MESSAGE = 5000;

/** A failure that did not take everything with it: `--json` prints what was done beside the error. */
export class PartialFailure extends Error {
  override readonly name = "PartialFailure";
  /** What failed. */
  readonly failure: RlcfError;
  /** What was done, as further fields of the JSON object. */
  readonly done: JsonObject;

  /** @param done fields beside `status` and `error` */
  constructor(failure: RlcfError, done: JsonObject) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.done = done;
  }
}

/** The end of a command that did all it should and whose exit code is its answer; nothing more is printed. */
export class Answer extends Error {
  override readonly name = "Answer";
  /** The exit code. */
  readonly exitCode: number;

  /** @param exitCode what the caller of the program is told */
  constructor(exitCode: number) {
    super(`answered with exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Tells what ended a command, and returns the exit code. With `json`, exactly one object is printed on stdout. */
export function reportFailure(thrown: unknown, json: boolean): number {
  if (thrown instanceof ReaderGone) return EXIT_OK;
  if (thrown instanceof Answer) return thrown.exitCode;
  if (thrown instanceof OutputError) {
    say(`error: ${thrown.message}`);
    return EXIT_UNEXPECTED;
  }
  if (thrown instanceof CommanderError) {
    // Help and version are ends, not failures; the text has been printed.
    if (thrown.exitCode === 0) return EXIT_OK;
    const message = thrown.code === "commander.help" ? "no command was given" : thrown.message.replace(/^error: /, "");
    if (json) printFailure("usage", message, undefined);
    return EXIT_USAGE;
  }
  if (thrown instanceof PartialFailure) return reportRlcfError(thrown.failure, json, thrown.done);
  if (thrown instanceof RlcfError) return reportRlcfError(thrown, json);
  if (thrown instanceof Deno.errors.NotCapable) return reportRlcfError(notAllowed(thrown), json);
  sayText(`unexpected error, please report it: ${thrown instanceof Error ? thrown.stack ?? thrown.message : thrown}`);
  if (json) printFailure("unexpected", messageOf(thrown), undefined);
  return EXIT_UNEXPECTED;
}

function notAllowed(thrown: Error): RlcfError {
  return new RlcfError("usage", `cannot go on, Deno was told not to allow it: ${thrown.message}`, {
    hint: "The README's section on permissions says what a command needs; the tasks of deno.json allow it.",
    cause: thrown,
  });
}

function reportRlcfError(error: RlcfError, json: boolean, done: JsonObject = {}): number {
  const message = `error: ${shortened(error.message)}`;
  // Only a list of problems has several lines; a newline in any other message is somebody's data.
  if (MANY_PROBLEMS.test(error.message)) sayText(message);
  else say(message);
  if (error.hint !== undefined) say(`hint: ${error.hint}`);
  if (json) printFailure(error.code, error.message, error.hint, done);
  return EXIT_CODES[error.code];
}

/** What was found may be long, a message may not. */
function shortened(message: string): string {
  if (message.length <= LONGEST_MESSAGE) return message;
  return `${message.slice(0, LONGEST_MESSAGE)}... (${count(message.length - LONGEST_MESSAGE)} more characters)`;
}

function printFailure(code: string, message: string, hint: string | undefined, done: JsonObject = {}): void {
  const status = code === "interrupted" ? "interrupted" : "failed";
  const error = {
    code,
    message: withoutPasswords(shortened(message)),
    ...(hint === undefined ? {} : { hint: withoutPasswords(hint) }),
  };
  try {
    printResult(JSON.stringify({ status, error, ...done }));
  } catch (thrown) {
    // The exit code of the failure itself is what still can be told.
    if (thrown instanceof OutputError) say(`error: ${thrown.message}`);
    else if (!(thrown instanceof ReaderGone)) throw thrown;
  }
}
