/**
 * Opens the store. What Deno must allow it, besides `--allow-env=RLCF_*`:
 *
 * - SQLite in a file: `--allow-read=FILE --allow-write=FILE`; in memory: nothing.
 * - PostgreSQL: `--allow-net=HOST:PORT` and `--ignore-env`, since the driver looks up variables such as `PGHOST`; with
 *   certificates in files also `--allow-read` of them.
 * - `--allow-sys=hostname` puts the host's name into sessions and leases; without it they say `unknown`.
 *
 * @module
 */
import { DatabasePersistence, type StoreTiming } from "./database_persistence.ts";
import { attempt } from "./errors.ts";
import { migrate } from "./migrate.ts";
import type { RLCFPersistence } from "./persistence.ts";
import { type DatabaseTarget, parseDatabaseUrl } from "./url.ts";

const DEFAULT_POOL_SIZE = 4;
/** A server that is starting, or has no connection left, may answer a moment later; one that is not there will not. */
const PATIENCE_AT_FIRST_MS = 10_000;

/** How to open the store. */
export interface PersistenceOptions extends StoreTiming {
  /** Most connections to PostgreSQL at a time; 4 by default. */
  readonly poolSize?: number | undefined;
  /**
   * What to do where SQLite's file does not exist: `create` it (default), or show an `empty` store and leave the disk
   * as it is, for commands that have nothing to write.
   */
  readonly ifMissing?: "create" | "empty" | undefined;
}

/**
 * Opens the database, brings it to this program's schema and returns the store.
 *
 * @param url `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` (in memory) or
 * `postgresql://user:password@host:5432/name`; by default the environment's `RLCF_ASYNC_DATABASE_URL` where it may be
 * read, else SQLite in memory
 * @throws RlcfError("usage") for a URL of another form; RlcfError("database") if the database cannot be opened or
 * migrated
 */
export async function createPersistence(url?: string, options: PersistenceOptions = {}): Promise<RLCFPersistence> {
  const named = parseDatabaseUrl(url ?? urlFromEnvironment() ?? ":memory:");
  const target = options.ifMissing === "empty" ? emptyIfMissing(named) : named;
  // Each driver is loaded only where it is used: loading pg takes longer than all of `stats` on SQLite.
  const database = target.dialect === "sqlite"
    ? (await import("./sqlite/open.ts")).openSqlite(target)
    : (await import("./postgres/open.ts")).openPostgres(target, options.poolSize ?? DEFAULT_POOL_SIZE);
  try {
    const patience = { ms: options.patienceMs ?? PATIENCE_AT_FIRST_MS, reached: false };
    await attempt(`open ${target.location}`, database, () => migrate(database), patience);
  } catch (error) {
    await database.db.destroy();
    throw error;
  }
  return new DatabasePersistence(database, options);
}

/** A database in memory in place of a SQLite file that is not there. */
function emptyIfMissing(target: DatabaseTarget): DatabaseTarget {
  if (target.dialect !== "sqlite" || target.path === ":memory:") return target;
  try {
    Deno.lstatSync(target.path);
    return target;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return target;
    return { ...target, path: ":memory:", location: `${target.location} (no such file yet)` };
  }
}

function urlFromEnvironment(): string | undefined {
  const permission = { name: "env", variable: "RLCF_ASYNC_DATABASE_URL" } as const;
  if (Deno.permissions.querySync(permission).state !== "granted") return undefined;
  return Deno.env.get(permission.variable) || undefined;
}
