/**
 * SQLite's errors in the user's words. `node:sqlite` gives all of them one code, so the message decides.
 *
 * @module
 */
import { messageOf } from "../../base/errors.ts";
import type { Explanation } from "../database.ts";
import { isLocked } from "./busy.ts";

/** What each message of SQLite means here. */
const EXPLANATIONS: readonly (readonly [RegExp, string, string?])[] = [
  [
    /^unable to open database file/,
    "the file cannot be opened",
    "Check that the path is a file, not a directory, that its directory exists, and that both may be written.",
  ],
  [/file is not a database/, "the file is not a SQLite database", "Check the path; nothing was changed."],
  [/malformed|corrupt/, "the file is damaged", "Restore it from a backup, or try `sqlite3 FILE .recover`."],
  [
    /readonly|read-only/,
    "the file may only be read",
    "Make the file and its directory writable for this user.",
  ],
  [/disk is full/, "the disk is full", "Free some space; nothing of this step was kept."],
  [
    /disk I\/O error/,
    "the disk failed, is full, or does not allow files of this size",
    "Look at its space, at the limits of this user and at the system's log; nothing of this step was kept.",
  ],
  [/^database is not open|already been destroyed/, "it has been closed", "Open a new connection."],
];

/** Translates an error of `node:sqlite`, or of Deno's permissions; undefined for any other. */
export function explainSqlite(error: unknown): Explanation | undefined {
  const message = messageOf(error);
  if (error instanceof Deno.errors.NotCapable) {
    const [cause = ""] = message.split(", run again", 1);
    return { cause, hint: "Allow it: --allow-read=DIR --allow-write=DIR." };
  }
  if (isLocked(error)) {
    return {
      cause: "it is locked by another process, and was for a minute",
      hint: "Wait for the other process to finish, or stop it.",
    };
  }
  for (const [pattern, cause, hint] of EXPLANATIONS) {
    if (pattern.test(message)) return { cause, ...(hint === undefined ? {} : { hint }) };
  }
  return isSqliteError(error) ? { cause: message } : undefined;
}

/** Whether SQLite refused because a table is not there. */
export function isMissingSqliteTable(error: unknown): boolean {
  return isSqliteError(error) && messageOf(error).startsWith("no such table");
}

function isSqliteError(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR";
}
