/**
 * Opens a SQLite database.
 *
 * @module
 */
import { Kysely, type RawBuilder, sql } from "kysely";
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../base/errors.ts";
import type { Database } from "../database.ts";
import type { Tables } from "../tables.ts";
import type { SqliteTarget } from "../url.ts";
import { whenUnlocked } from "./busy.ts";
import { type NodeSqliteConnection, NodeSqliteDialect } from "./dialect.ts";
import { explainSqlite, isMissingSqliteTable } from "./errors.ts";

/** What a file is opened for: to work with it, or to examine it, which leaves it as it is. */
export type SqliteUse = "work" | "examination";

/** The file, which is created if it is not there, or a new database in memory. Opened by the first query. */
export function openSqlite({ path, location }: SqliteTarget, use: SqliteUse = "work"): Database {
  const db = new Kysely<Tables>({ dialect: new NodeSqliteDialect(() => connect(path, use)) });
  return {
    dialect: "sqlite",
    location,
    db,
    rowsPerPage: ROWS_PER_PAGE,
    // Through Kysely's lock: its connection is the only one, and may be inside a transaction.
    readArrays: (query) =>
      db.getExecutor().provideConnection((connection) => (connection as NodeSqliteConnection).readArrays(query)),
    now,
    // Transactions begin with the write lock: they are serial already.
    serialize: () => Promise.resolve(),
    isMissingTable: isMissingSqliteTable,
    explain: explainSqlite,
  };
}

/** Starting a query takes as long as reading ten rows; 800 kB of embeddings of 768 floats still fit into a cache. */
const ROWS_PER_PAGE = 250;

/**
 * Bytes of a page in a new file: four traces with their embeddings, where SQLite's default of 4096 holds one or cuts it
 * in two. Training then reads a fifth faster. A file that exists keeps its own.
 */
const PAGE_SIZE = 16_384;

/**
 * Write-ahead log, so that readers and the one writer do not stop each other; `synchronous = full`, because with less
 * a power cut may take back feedback that was already acknowledged.
 */
async function connect(path: string, use: SqliteUse): Promise<DatabaseSync> {
  const connection = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true });
  try {
    connection.exec(`pragma page_size = ${PAGE_SIZE}`);
    const mode = await whenUnlocked(() => connection.prepare("pragma journal_mode").get()?.journal_mode);
    if (mode === "delete" && use === "work") await whenUnlocked(() => useWriteAheadLog(connection));
    connection.exec("pragma synchronous = full");
    if (path !== ":memory:") await refuseCut(connection, path);
    connection.exec(`pragma cache_size = ${-await whenUnlocked(() => cacheKilobytes(connection))}`);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * Feedback finds its trace by a random key, so the index of the keys, about a hundredth of the file, must be held for
 * training to read fast: SQLite's 2 MB hold it for 40,000 traces, and 64 MiB for over a million.
 */
function cacheKilobytes(connection: DatabaseSync): number {
  const pages = Number(connection.prepare("pragma page_count").get()?.page_count ?? 0);
  const bytes = pages * Number(connection.prepare("pragma page_size").get()?.page_size ?? 0);
  return Math.round(Math.min(64 * 1024, Math.max(2000, bytes / 64 / 1024)));
}

/**
 * SQLite itself notices that the end of a file is missing only when it comes to read there, and would write to the rest.
 * As long as the write-ahead log is not empty, the end may stand there.
 */
async function refuseCut(connection: DatabaseSync, path: string): Promise<void> {
  // With leave for the file alone, nobody can tell what stands in the log.
  if (Deno.permissions.querySync({ name: "read", path: `${path}-wal` }).state !== "granted") return;
  // Twice, since others may just be moving the end from the log to the file.
  for (let look = 0; look < 2; look++) {
    const pages = await whenUnlocked(() => connection.prepare("pragma page_count").get()?.page_count);
    const pageSize = connection.prepare("pragma page_size").get()?.page_size;
    const log = await sizeOf(`${path}-wal`);
    if (log > 0 || await sizeOf(path) >= Number(pages) * Number(pageSize)) return;
  }
  throw new Error("database disk image is malformed: its end is missing");
}

/** Bytes of a file, 0 where it is not there. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

function useWriteAheadLog(connection: DatabaseSync): void {
  try {
    connection.exec("pragma journal_mode = wal");
  } catch (error) {
    // A file that may only be read can still be read, in the mode it has.
    if (!/readonly/.test(messageOf(error))) throw error;
  }
}

function now(secondsFromNow = 0): RawBuilder<string> {
  return sql<string>`strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ${`${secondsFromNow} seconds`})`;
}
