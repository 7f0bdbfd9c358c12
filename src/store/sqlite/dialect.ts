/**
 * Kysely on Deno's `node:sqlite`. Kysely's own SQLite driver is written for better-sqlite3 and begins transactions
 * deferred, which fails with "database is locked" as soon as two processes read and then write.
 *
 * @module
 */
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteDialect,
} from "kysely";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import type { RowValues } from "../database.ts";
import { whenUnlocked } from "./busy.ts";

/** SQLite through `node:sqlite`. */
export class NodeSqliteDialect extends SqliteDialect {
  readonly #open: () => Promise<DatabaseSync>;

  /** @param open opens the connection, when the first query needs it; the dialect closes it */
  constructor(open: () => Promise<DatabaseSync>) {
    // The base class supplies compiler and introspector only; its driver is never created.
    super({ database: () => Promise.reject(new Error("unused")) });
    this.#open = open;
  }

  /** Our driver instead of the one for better-sqlite3. */
  override createDriver(): NodeSqliteDriver {
    return new NodeSqliteDriver(this.#open);
  }

  /** Our adapter. */
  override createAdapter(): SqliteAdapter {
    return new TransactionalDdlAdapter();
  }
}

/** Says what is true of SQLite and Kysely denies: DDL is transactional. The migrator then works inside one lock. */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** One connection; Kysely's mutex gives it to one query or transaction at a time. */
class NodeSqliteDriver implements Driver {
  readonly #open: () => Promise<DatabaseSync>;
  #connection: NodeSqliteConnection | undefined;

  constructor(open: () => Promise<DatabaseSync>) {
    this.#open = open;
  }

  async init(): Promise<void> {
    this.#connection = new NodeSqliteConnection(await this.#open());
  }

  acquireConnection(): Promise<DatabaseConnection> {
    return Promise.resolve(this.#connection!);
  }

  releaseConnection(): Promise<void> {
    return Promise.resolve();
  }

  /** Takes the write lock at once, so that nothing that was read can change before it is written. */
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("commit"));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // Some errors (a full disk) have ended the transaction already; a second error would hide the first.
    if (this.#connection!.database.isTransaction) await connection.executeQuery(CompiledQuery.raw("rollback"));
  }

  destroy(): Promise<void> {
    this.#connection!.database.close();
    return Promise.resolve();
  }
}

/** The connection; `provideConnection` of a Kysely on {@link NodeSqliteDialect} gives it out. */
export class NodeSqliteConnection implements DatabaseConnection {
  /** The open database. */
  readonly database: DatabaseSync;
  /** The latest statement of {@link readArrays}. */
  #arrays: { readonly sql: string; readonly statement: ReturnType<DatabaseSync["prepare"]> } | undefined;

  /** @param database open; closed by the driver */
  constructor(database: DatabaseSync) {
    this.database = database;
  }

  /**
   * Runs a query and gives its rows as arrays, which costs half of what objects cost. The statement is kept for the next
   * page, which asks with other parameters only: preparing it takes as long as reading fifteen rows.
   */
  readArrays({ sql, parameters }: CompiledQuery): Promise<readonly RowValues[]> {
    return whenUnlocked(() => {
      if (this.#arrays?.sql !== sql) {
        this.#arrays = { sql, statement: this.database.prepare(sql) };
        this.#arrays.statement.setReturnArrays(true);
      }
      const { statement } = this.#arrays;
      // The types know of rows as objects only.
      return statement.all(...parameters as readonly SQLInputValue[]) as unknown as RowValues[];
    });
  }

  /** Runs a query and gives its rows as objects. */
  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    return await whenUnlocked(() => {
      const statement = this.database.prepare(sql);
      const values = parameters as readonly SQLInputValue[];
      if (statement.columns().length > 0) return { rows: statement.all(...values) as R[] };
      const { changes } = statement.run(...values);
      return { rows: [], numAffectedRows: BigInt(changes) };
    });
  }

  /** Refuses. */
  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("streaming holds the only connection; read in keyset pages instead");
  }
}
