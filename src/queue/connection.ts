/**
 * The queue's own connection. Its tables live in a schema of their own, beside those of the store and never joined with
 * them, so this room speaks SQL as the store does.
 *
 * @module
 */
// @ts-types="@types/pg"
import pg from "pg";
import { RlcfError } from "../base/errors.ts";
import { attempt } from "../store/errors.ts";
import { explainPostgres, isMissingPostgresTable, isPrivilegeMissing } from "../store/postgres/errors.ts";
import { newPool } from "../store/postgres/pool.ts";
import { parseDatabaseUrl } from "../store/url.ts";

/** Where the queue's tables are. */
export const QUEUE_SCHEMA = "rlcf_queue";

/** For jobs, heartbeats and the library's own watch at the same time. */
const CONNECTIONS = 3;
/** A restart of the server takes seconds. */
const PATIENCE_MS = 30_000;

/** Runs SQL; values as pg itself reads them (times are Dates). */
export type Query = (text: string, values?: readonly unknown[]) => Promise<{ rows: Record<string, unknown>[] }>;

/** A few connections to the database of the queue, opened by the first query. */
export class QueueConnection implements AsyncDisposable {
  /** The database, with any password masked. */
  readonly location: string;
  readonly #pool: pg.Pool;
  readonly #explain: (error: unknown) => ReturnType<typeof explainPostgres>;

  /**
   * Prepares the connection.
   *
   * @param url of the database; null is SQLite in memory
   * @throws RlcfError `usage` for SQLite: jobs are for many hosts, which share a PostgreSQL
   */
  constructor(url: string | null) {
    const target = parseDatabaseUrl(url ?? "sqlite://");
    if (target.dialect !== "postgres") {
      throw new RlcfError("usage", `cannot use the queue of jobs: found ${target.location}, wanted PostgreSQL`, {
        hint: "Name it with --database or RLCF_ASYNC_DATABASE_URL (postgresql://user:password@host/name). " +
          "On SQLite, rlcf train trains without a queue.",
      });
    }
    this.location = target.location;
    this.#explain = (error) => explainPostgres(error, target.password);
    this.#pool = newPool(target.url, CONNECTIONS, this.#explain);
  }

  /** Runs SQL; what it throws is the driver's. */
  readonly query: Query = async (text, values) => {
    const result = await this.#pool.query({
      text,
      types: pg.types,
      ...(values === undefined ? {} : { values: [...values] }),
    });
    return result as unknown as { rows: Record<string, unknown>[] };
  };

  /** Runs queries in one transaction. */
  async transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let failed = true;
    try {
      await client.query("begin");
      const result = await work(async (text, values) =>
        await client.query({ text, types: pg.types, values: [...values ?? []] }) as unknown as {
          rows: Record<string, unknown>[];
        }
      );
      await client.query("commit");
      failed = false;
      return result;
    } finally {
      // A connection with an open transaction is closed, which rolls back.
      client.release(failed);
    }
  }

  /**
   * Runs something that uses the queue and says what went wrong as the store does.
   *
   * @param action what is being done
   * @param again whether doing it twice does no harm, so that a server that is away is waited for
   */
  attempt<T>(action: string, work: () => Promise<T>, again = true): Promise<T> {
    const database = { explain: this.#explain, adviseOn: (error: unknown) => this.#adviseOn(error) };
    const patience = again ? { ms: PATIENCE_MS, reached: true } : { ms: 0, reached: true };
    return attempt(`${action} in ${this.location}`, database, work, patience);
  }

  /** The cause of an error of the driver in one line, without the password. */
  causeOf(error: unknown): string {
    return this.#explain(error)?.cause ?? (error instanceof Error ? error.message : String(error));
  }

  /** Whether the queue has not been made yet. */
  isMissing(error: unknown): boolean {
    return isMissingPostgresTable(error);
  }

  /** Whether this user may not see it. */
  isHidden(error: unknown): boolean {
    return isPrivilegeMissing(error);
  }

  /** Closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }

  /** The first error is the one to tell, so nothing is thrown here. */
  async #adviseOn(error: unknown): Promise<string | undefined> {
    if (!isPrivilegeMissing(error)) return undefined;
    try {
      const { rows: [row] } = await this.query(
        "select quote_ident(current_user) as me, to_regnamespace($1) is not null as made",
        [QUEUE_SCHEMA],
      );
      const grants = `grant usage on schema ${QUEUE_SCHEMA} to ${row!.me}; ` +
        `grant select, insert, update, delete on all tables in schema ${QUEUE_SCHEMA} to ${row!.me};`;
      return row!.made === true
        ? `What this user lacks, for the owner of the schema ${QUEUE_SCHEMA} to run: ${grants}`
        : `The queue's schema ${QUEUE_SCHEMA} is not there and this user may not create it: let a user who may run ` +
          `rlcf jobs schedules once, and then: ${grants}`;
    } catch {
      return undefined;
    }
  }
}
