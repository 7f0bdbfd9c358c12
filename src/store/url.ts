/**
 * Database URLs, in the forms of SQLAlchemy (which the services use) and of libpq.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { maskedUrl } from "../base/secrets.ts";

/** A SQLite database. */
export interface SqliteTarget {
  /** Tells the two kinds apart. */
  readonly dialect: "sqlite";
  /** Path of the file, or `:memory:`. */
  readonly path: string;
  /** For messages. */
  readonly location: string;
}

/** A PostgreSQL database. */
export interface PostgresTarget {
  /** Tells the two kinds apart. */
  readonly dialect: "postgres";
  /** URL as the driver takes it. */
  readonly url: string;
  /** The password as the server gets it, empty if none; to keep it out of messages. */
  readonly password: string;
  /** For messages, with the password masked. */
  readonly location: string;
}

/** Where the data is. */
export type DatabaseTarget = SqliteTarget | PostgresTarget;

const FORMS = "sqlite:///relative.db, sqlite:////absolute.db, sqlite:// (in memory) or " +
  "postgresql://user:password@host:5432/database";
const ESCAPE_HINT = "Write the characters : / ? # [ ] @ % of a password as %3A %2F %3F %23 %5B %5D %40 %25.";
const SSL_MODES = ["disable", "prefer", "require", "verify-ca", "verify-full", "no-verify"];

/**
 * Reads a database URL: `sqlite[+driver]://`, `sqlite[+driver]:///relative.db`, `sqlite[+driver]:////absolute.db`,
 * `:memory:`, `postgresql[+driver]://` or `postgres://`. A driver's name, as in `postgresql+asyncpg`, is ignored.
 *
 * Of the parameters of a PostgreSQL URL, `sslmode` (also written `ssl`, as asyncpg has it) decides about encryption:
 * none or `disable` means plaintext; `no-verify` encrypts and trusts any server; all others encrypt and verify the
 * certificate and the host's name. `connect_timeout` (seconds), `query_timeout` and `statement_timeout` (milliseconds)
 * limit the time of a connection, of an answer and, on the server, of a statement. The others are the driver's, e.g.
 * `host`, `application_name`, `sslrootcert`.
 *
 * @throws RlcfError("usage") naming the accepted forms; the message never holds a password
 */
export function parseDatabaseUrl(url: string): DatabaseTarget {
  if (url === ":memory:") return sqlite(":memory:");
  const scheme = /^(sqlite|postgres(?:ql)?)(?:\+\w+)?:\/\//i.exec(url);
  if (scheme === null || url.includes("\0")) return refuse(url, `wanted ${FORMS}`);
  const rest = url.slice(scheme[0].length);
  return scheme[1]!.toLowerCase() === "sqlite" ? parseSqlite(url, rest) : parsePostgres(url, rest);
}

function parseSqlite(url: string, rest: string): SqliteTarget {
  if (rest === "" || rest === "/" || rest === "/:memory:") return sqlite(":memory:");
  if (!rest.startsWith("/")) {
    return refuse(url, "found two slashes, wanted sqlite:///relative.db or sqlite:////absolute.db");
  }
  if (rest.includes("?")) return refuse(url, "found parameters, wanted none after the path of a SQLite file");
  return sqlite(rest.slice(1));
}

function sqlite(path: string): SqliteTarget {
  return { dialect: "sqlite", path, location: path === ":memory:" ? "sqlite://" : `sqlite:///${path}` };
}

function parsePostgres(url: string, rest: string): PostgresTarget {
  const match = /^([^/?#]*)(\/[^?#]*)?(\?[^#]*)?(#.*)?$/s.exec(rest);
  if (match === null) return refuse(url, `wanted ${FORMS}`);
  const [, authority = "", path = "", query = "", fragment = ""] = match;
  // An unescaped / ? or # in the password ends the authority too early: the @ then stands in a later part.
  const lostAt = path.includes("@") || (query.includes("@") && !authority.includes("@"));
  if (fragment !== "" || lostAt) return refuse(url, "found a character that must be escaped", ESCAPE_HINT);
  const at = authority.lastIndexOf("@");
  const [user = "", ...password] = authority.slice(0, Math.max(at, 0)).split(":");
  const port = /:([^\]]*)$/.exec(authority.slice(at + 1))?.[1] ?? "";
  if (!/^\d*$/.test(port) || Number(port) > 65535) {
    return refuse(url, "found a port that is not a number from 0 to 65535", ESCAPE_HINT);
  }
  const decoded = [user, password.join(":"), path].map(decode);
  if (decoded.includes(undefined)) return refuse(url, "found a % that does not start an escape", ESCAPE_HINT);
  const parameters = new URLSearchParams(query);
  settleEncryption(url, parameters);
  for (const name of ["connect_timeout", "query_timeout", "statement_timeout"]) {
    const value = parameters.get(name);
    if (value !== null && !/^[1-9]\d{0,8}$/.test(value)) refuse(url, `found no ${name}, wanted a whole number from 1`);
  }
  const text = parameters.toString();
  return {
    dialect: "postgres",
    url: `postgresql://${authority}${path}${text === "" ? "" : `?${text}`}`,
    password: parameters.get("password") ?? decoded[1]!,
    location: maskedUrl(url),
  };
}

/** Says `verify-full` where the driver does so anyway, since it otherwise prints a warning about its future. */
function settleEncryption(url: string, parameters: URLSearchParams): void {
  const ssl = parameters.get("ssl");
  if (ssl !== null && (SSL_MODES.includes(ssl) || ssl === "allow")) {
    parameters.delete("ssl");
    if (!parameters.has("sslmode")) parameters.set("sslmode", ssl);
  }
  const mode = parameters.get("sslmode");
  if (mode === null || parameters.get("uselibpqcompat") === "true") return;
  if (!SSL_MODES.includes(mode)) refuse(url, `found an unknown sslmode, wanted one of ${SSL_MODES.join(", ")}`);
  if (mode !== "disable" && mode !== "no-verify") parameters.set("sslmode", "verify-full");
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function refuse(url: string, why: string, hint?: string): never {
  const found = maskedUrl(url);
  const shown = found.length > 200 ? `${found.slice(0, 200)}...` : found;
  throw new RlcfError(
    "usage",
    `cannot use the database URL ${JSON.stringify(shown)}: ${why}`,
    hint === undefined ? {} : { hint },
  );
}
