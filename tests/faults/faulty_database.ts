/**
 * A database that fails: the n-th call of the driver (a statement, a begin, a commit, a rollback) and, if asked for,
 * every one after it.
 *
 * @module
 */
import {
  CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  Kysely,
  PostgresDialect,
  type QueryCompiler,
  type QueryResult,
} from "kysely";
import { DatabaseSync } from "node:sqlite";
import { DatabasePersistence } from "../../src/store/database_persistence.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { openPostgres } from "../../src/store/postgres/open.ts";
import { CarefulPool, newPool } from "../../src/store/postgres/pool.ts";
import { NodeSqliteDialect } from "../../src/store/sqlite/dialect.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import type { Tables } from "../../src/store/tables.ts";
import { parseDatabaseUrl } from "../../src/store/url.ts";
import type { FaultPlan } from "./faulty_disk.ts";

/**
 * When the fault strikes: `before` the statement is run, or after it, when only the `answer` is lost. The latter takes
 * the connection with it, as on a network.
 */
export type FaultPoint = "before" | "answer";

/** The store of a migrated database whose driver fails by the plan. Nothing is tried again. */
export function openFaulty(url: string, plan: FaultPlan, point: FaultPoint): RLCFPersistence {
  const target = parseDatabaseUrl(url);
  const real = target.dialect === "sqlite" ? openSqlite(target) : openPostgres(target, 4);
  const inner = target.dialect === "sqlite"
    ? new NodeSqliteDialect(() =>
      Promise.resolve(new DatabaseSync(target.path, { timeout: 0, enableForeignKeyConstraints: true }))
    )
    : new PostgresDialect({ pool: new CarefulPool(newPool(target.url, 4, real.explain)) });
  const faults: Faults = { plan, point, error: target.dialect === "sqlite" ? sqliteFault : connectionLost };
  const db = new Kysely<Tables>({ dialect: new FaultyDialect(inner, faults) });
  const closing = db.destroy.bind(db);
  // The healthy twin serves the fast reads, which count as well.
  db.destroy = async () => {
    await real.db.destroy();
    await closing();
  };
  const readArrays: typeof real.readArrays = (query, types) =>
    plan.strikes() ? Promise.reject(faults.error()) : real.readArrays(query, types);
  return new DatabasePersistence({ ...real, db, readArrays }, { patienceMs: 0 });
}

interface Faults {
  readonly plan: FaultPlan;
  readonly point: FaultPoint;
  readonly error: () => Error;
}

function sqliteFault(): Error {
  return Object.assign(new Error("disk I/O error"), { code: "ERR_SQLITE_ERROR" });
}

function connectionLost(): Error {
  return new Error("Connection terminated unexpectedly");
}

class FaultyDialect implements Dialect {
  readonly #inner: Dialect;
  readonly #faults: Faults;

  constructor(inner: Dialect, faults: Faults) {
    this.#inner = inner;
    this.#faults = faults;
  }

  createDriver(): Driver {
    return new FaultyDriver(this.#inner.createDriver(), this.#faults);
  }

  createQueryCompiler(): QueryCompiler {
    return this.#inner.createQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return this.#inner.createAdapter();
  }

  createIntrospector(db: Parameters<Dialect["createIntrospector"]>[0]): DatabaseIntrospector {
    return this.#inner.createIntrospector(db);
  }
}

class FaultyDriver implements Driver {
  readonly #inner: Driver;
  readonly #faults: Faults;

  constructor(inner: Driver, faults: Faults) {
    this.#inner = inner;
    this.#faults = faults;
  }

  init(): Promise<void> {
    return this.#inner.init();
  }

  async acquireConnection(): Promise<FaultyConnection> {
    return new FaultyConnection(await this.#inner.acquireConnection(), this.#faults);
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    const faulty = connection as FaultyConnection;
    await faulty.rollBackIfLost();
    await this.#inner.releaseConnection(faulty.inner);
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    const faulty = connection as FaultyConnection;
    await faulty.run(async () => {
      await this.#inner.beginTransaction(faulty.inner, {});
      faulty.isInTransaction = true;
    });
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const faulty = connection as FaultyConnection;
    await faulty.run(async () => {
      await this.#inner.commitTransaction(faulty.inner);
      faulty.isInTransaction = false;
    });
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const faulty = connection as FaultyConnection;
    await faulty.run(async () => {
      if (faulty.isInTransaction) await this.#inner.rollbackTransaction(faulty.inner);
      faulty.isInTransaction = false;
    });
  }

  destroy(): Promise<void> {
    return this.#inner.destroy();
  }
}

class FaultyConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection;
  readonly #faults: Faults;
  isInTransaction = false;

  constructor(inner: DatabaseConnection, faults: Faults) {
    this.inner = inner;
    this.#faults = faults;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const { plan, point, error } = this.#faults;
    const isStruck = plan.strikes();
    if (isStruck && (point === "before" || plan.count > plan.first)) throw error();
    const result = await work();
    if (isStruck) throw error();
    return result;
  }

  /** What a server does when its client is gone: an open transaction must not hold its locks. */
  async rollBackIfLost(): Promise<void> {
    if (!this.isInTransaction) return;
    this.isInTransaction = false;
    await this.inner.executeQuery(CompiledQuery.raw("rollback"));
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.run(() => this.inner.executeQuery<R>(query));
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("rlcf does not stream");
  }
}
