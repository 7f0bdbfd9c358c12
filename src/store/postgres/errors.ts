/**
 * PostgreSQL's errors in the user's words.
 *
 * @module
 */
import { messageOf } from "../../base/errors.ts";
import type { Explanation } from "../database.ts";

const NOT_REACHED = "Check that the server runs, and the host and port of the URL.";
const LOST = "Try again; if it happens again, look at the server's log.";

/** By SQLSTATE, or by the operating system's code. */
const EXPLANATIONS: Readonly<Record<string, readonly [cause: string, hint: string]>> = {
  "28P01": ["the password was refused", "Check user and password of the URL."],
  "28000": ["the server does not let this user in", "Check the user of the URL, and the server's pg_hba.conf."],
  "3D000": ["the database does not exist", "Create it: createdb NAME."],
  "42501": ["the user lacks a privilege", "Grant it, or let the owner of the database run rlcf once."],
  "53300": ["the server has no connection left", "Close others, or raise max_connections."],
  "57P01": ["the server ended the connection", LOST],
  "57P02": ["the server crashed", LOST],
  "57P03": ["the server is not ready yet", "Wait until it has started."],
  "25006": ["the server only allows reading", "Use the primary server, not a standby."],
  "53100": ["the server's disk is full", "Free some space; nothing of this step was kept."],
  ECONNREFUSED: ["nothing listens there", NOT_REACHED],
  ENOTFOUND: ["the host is not known", NOT_REACHED],
  EAI_AGAIN: ["the host's name could not be looked up", NOT_REACHED],
  ENOENT: ["there is no such socket or file", "Check the host and the sslrootcert of the URL."],
  EHOSTUNREACH: ["the host cannot be reached", NOT_REACHED],
  ENETUNREACH: ["the network cannot be reached", NOT_REACHED],
  ETIMEDOUT: ["the server does not answer", NOT_REACHED],
  ECONNRESET: ["the connection was lost", LOST],
  EPIPE: ["the connection was lost", LOST],
};

/** Errors of pg and of the socket that carry no code, and what they mean. */
const MESSAGES: readonly (readonly [RegExp, string, string])[] = [
  [/^Connection terminated|^Client has encountered a connection error/, "the connection was lost", LOST],
  [/timeout exceeded when trying to connect|due to connection timeout/, "no connection within 10 seconds", NOT_REACHED],
  [/does not support SSL/, "the server has no encryption", "Use sslmode=disable, or switch encryption on there."],
  [/certificate|self.signed/i, "the server's certificate is not trusted", "Name its issuer: sslrootcert=FILE."],
  [/password must be a string/, "the server asks for a password and the URL has none", "Add it: user:password@host."],
  [/already been destroyed|after calling end on the pool/, "it has been closed", "Open a new connection."],
];

/** Translates an error of pg, of the socket below it or of Deno's permissions; undefined for any other. */
export function explainPostgres(error: unknown, password: string): Explanation | undefined {
  if (error instanceof Deno.errors.NotCapable) {
    const [cause = ""] = error.message.split(", run again", 1);
    return { cause, hint: "Allow --allow-net=HOST:PORT, and --ignore-env for what the driver looks up there." };
  }
  // Several addresses of one host were tried: the first failure speaks for all.
  const first = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
  const message = withoutPassword(messageOf(first).split("\n", 1)[0]!, password);
  const code = codeOf(first);
  const known = code === undefined ? undefined : EXPLANATIONS[code];
  if (known !== undefined) return { cause: `${known[0]} (${message})`, hint: known[1] };
  for (const [pattern, cause, hint] of MESSAGES) {
    if (pattern.test(message)) return { cause: `${cause} (${message})`, hint };
  }
  return code === undefined ? undefined : { cause: `${message} (${code})` };
}

/** Whether PostgreSQL refused because a table is not there. */
export function isMissingPostgresTable(error: unknown): boolean {
  return codeOf(error) === "42P01";
}

/** The code of an error that came from outside; a defect of ours has none. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof TypeError || !("code" in error) || typeof error.code !== "string") {
    return undefined;
  }
  return error.code;
}

function withoutPassword(message: string, password: string): string {
  return password === "" ? message : message.replaceAll(password, "***");
}
