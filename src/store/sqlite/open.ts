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

/** The file, which is created if it is not there, or a new database in memory. Opened by the first query. */
export function openSqlite({ path, location }: SqliteTarget): Database {
  const db = new Kysely<Tables>({ dialect: new NodeSqliteDialect(() => connect(path)) });
  return {
    dialect: "sqlite",
    location,
    db,
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

/**
 * Bytes of a page in a new file: four traces with their embeddings, where SQLite's default of 4096 holds one or cuts it
 * in two. Training then reads a fifth faster. A file that exists keeps its own.
 */
const PAGE_SIZE = 16_384;

/**
 * Write-ahead log, so that readers and the one writer do not stop each other; `synchronous = full`, because with less
 * a power cut may take back feedback that was already acknowledged.
 */
async function connect(path: string): Promise<DatabaseSync> {
  const connection = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true });
  try {
    connection.exec(`pragma page_size = ${PAGE_SIZE}`);
    const mode = await whenUnlocked(() => connection.prepare("pragma journal_mode").get()?.journal_mode);
    if (mode === "delete") await whenUnlocked(() => useWriteAheadLog(connection));
    connection.exec("pragma synchronous = full");
    return connection;
  } catch (error) {
    connection.close();
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
