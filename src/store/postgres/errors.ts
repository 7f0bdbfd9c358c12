/**
 * PostgreSQL's errors in the user's words.
 *
 * @module
 */
import { messageOf } from "../../base/errors.ts";
import type { Explanation } from "../database.ts";

const NOT_REACHED = "Check that the server runs, and the host and port of the URL.";
const LOST = "Try again; if it happens again, look at the server's log.";

/** When a cause passes by itself; see {@link Explanation}. */
type Passes = NonNullable<Explanation["passes"]>;

/** By SQLSTATE, or by the operating system's code. */
const EXPLANATIONS: Readonly<Record<string, readonly [cause: string, hint: string, passes?: Passes]>> = {
  "28P01": ["the password was refused", "Check user and password of the URL."],
  "28000": ["the server does not let this user in", "Check the user of the URL, and the server's pg_hba.conf."],
  "3D000": ["the database does not exist", "Create it: createdb NAME."],
  "42501": ["the user lacks a privilege", "Grant it, or let the owner of the tables run rlcf once."],
  "3F000": ["the user may use no schema", "As the schema's owner: grant usage on schema public to the user."],
  "53300": ["the server has no connection left", "Close others, or raise max_connections.", "always"],
  // The server has rolled the transaction back.
  "40001": ["another transaction was in the way", LOST, "always"],
  "40P01": ["two transactions waited for each other", LOST, "always"],
  "55P03": ["a lock was not free in time", "Look for a transaction that was left open: pg_stat_activity.", "always"],
  "57014": [
    "the statement was stopped",
    "If it took too long: raise the statement_timeout of the role, the server or the URL.",
  ],
  "25P03": ["the process was stopped inside a transaction, which the server ended", LOST, "always"],
  "57P01": ["the server ended the connection", LOST, "always"],
  "57P02": ["the server crashed", LOST, "always"],
  "57P03": ["the server is not ready yet", "Wait until it has started.", "always"],
  "57P05": ["the server ended an idle connection", LOST, "always"],
  "08000": ["the connection was lost", LOST, "always"],
  "08003": ["the connection was lost", LOST, "always"],
  "08006": ["the connection was lost", LOST, "always"],
  "25006": ["the server only allows reading", "Use the primary server, not a standby."],
  "53100": ["the server's disk is full", "Free some space; nothing of this step was kept."],
  ECONNREFUSED: ["nothing listens there", NOT_REACHED, "once_reached"],
  ENOTFOUND: ["the host is not known", NOT_REACHED, "once_reached"],
  EAI_AGAIN: ["the host's name could not be looked up", NOT_REACHED, "once_reached"],
  ENOENT: ["there is no such socket or file", "Check the host and the sslrootcert of the URL."],
  EHOSTUNREACH: ["the host cannot be reached", NOT_REACHED, "once_reached"],
  ENETUNREACH: ["the network cannot be reached", NOT_REACHED, "once_reached"],
  ETIMEDOUT: ["the server does not answer", NOT_REACHED, "once_reached"],
  ECONNRESET: ["the connection was lost", LOST, "once_reached"],
  EPIPE: ["the connection was lost", LOST, "once_reached"],
};

/** Errors of pg and of the socket that carry no code, and what they mean. */
const MESSAGES: readonly (readonly [RegExp, string, string, Passes?])[] = [
  [
    /due to connection timeout/,
    "no connection in time",
    NOT_REACHED,
    "once_reached",
  ],
  [
    /timeout exceeded when trying to connect/,
    "no connection of the pool was free in time",
    "Raise database.pool_size, or look for what keeps them busy: pg_stat_activity.",
    "always",
  ],
  [
    /^Query read timeout/,
    "the server did not answer a statement in time",
    "Look at its load and its locks; the URL's query_timeout (milliseconds) allows more time.",
    "always",
  ],
  [
    /^Connection terminated|^Client has encountered a connection error|^Client was closed/,
    "the connection was lost",
    LOST,
    "once_reached",
  ],
  [/does not support SSL/, "the server has no encryption", "Use sslmode=disable, or switch encryption on there."],
  [
    /does not match certificate|NotValidForName|not valid for name/i,
    "the server's certificate is for another host",
    "Name the host in the URL as the certificate does.",
  ],
  [/certificate.*expired|Expired/, "the server's certificate has expired", "Have it renewed."],
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
  const mayBeDone = isConnectionLost(first);
  const known = code === undefined ? undefined : EXPLANATIONS[code];
  if (known !== undefined) return { ...explanation(known[0], message, known[1], known[2]), mayBeDone };
  for (const [pattern, cause, hint, passes] of MESSAGES) {
    if (pattern.test(message)) return { ...explanation(cause, message, hint, passes), mayBeDone };
  }
  return code === undefined ? undefined : { cause: `${message} (${code})`, mayBeDone };
}

function explanation(cause: string, message: string, hint: string, passes: Passes | undefined): Explanation {
  return { cause: `${cause} (${message})`, hint, ...(passes === undefined ? {} : { passes }) };
}

/** Whether nothing more can be sent on the connection that reported this, or nobody may wait for an answer on it. */
export function isConnectionLost(error: unknown): boolean {
  const code = codeOf(error);
  // Five characters are a SQLSTATE: the server answered. Of these, only some end the connection.
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && code !== "EPIPE") return /^(?:08|57P0|25P03)/.test(code);
  return true;
}

/** Whether the user may not do what was tried. */
export function isPrivilegeMissing(error: unknown): boolean {
  return codeOf(error) === "42501";
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
