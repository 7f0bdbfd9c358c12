/**
 * The connections to PostgreSQL. pg's own pool gives a connection that has just failed to the next user, and Kysely loses
 * one for good when its first query fails; here a connection on which something went wrong below SQL is closed.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from "kysely";
// @ts-types="@types/pg"
import pg from "pg";
import type { Explanation } from "../database.ts";
import { isConnectionLost } from "./errors.ts";
import { ROW_TYPES } from "./types.ts";

/** For a new connection, and for a place in the pool; `connect_timeout` of the URL, in seconds, overrides it. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * For the answer to one statement: a server or network that says nothing more must not hold a process for ever. Longer
 * than any statement of rlcf takes; `query_timeout` of the URL overrides it.
 */
const ANSWER_TIMEOUT_MS = 120_000;

/**
 * The settings that the row language relies on, whatever the server's or the user's defaults are; and an end to
 * transactions whose process was stopped, since their locks would stop everybody. Sent as a query, because connection
 * poolers refuse unknown settings at start-up.
 */
const SETTINGS = "select set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO, YMD', false), " +
  "set_config('bytea_output', 'hex', false), set_config('extra_float_digits', '1', false), " +
  "set_config('idle_in_transaction_session_timeout', '60s', false)";

/** pg's pool, which connects to nothing before the first query. */
export function newPool(
  url: string,
  poolSize: number,
  explain: (error: unknown) => Explanation | undefined,
): pg.Pool {
  // libpq's own parameter, which pg does not know.
  const seconds = new URLSearchParams(/\?(.*)$/s.exec(url)?.[1] ?? "").get("connect_timeout");
  const pool = new pg.Pool({
    query_timeout: ANSWER_TIMEOUT_MS,
    connectionString: url,
    max: poolSize,
    types: ROW_TYPES,
    connectionTimeoutMillis: seconds === null ? CONNECT_TIMEOUT_MS : 1000 * Number(seconds),
    keepAlive: true,
    // Idle connections do not keep the process alive.
    allowExitOnIdle: true,
    application_name: "rlcf",
  });
  const logger = getLogger(["rlcf", "store"]);
  const log = (error: Error): void => {
    logger.warn("A connection to PostgreSQL was lost: {cause}", { cause: explain(error)?.cause ?? error.name });
  };
  // Without both listeners a server that stops ends this process.
  pool.on("error", log);
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** The pool as Kysely takes it. */
export class CarefulPool implements PostgresPool {
  /** The options of pg's pool. */
  readonly options: object;
  readonly #pool: pg.Pool;
  readonly #settled = new WeakSet<pg.PoolClient>();

  /** @param pool closed by {@link end} */
  constructor(pool: pg.Pool) {
    this.#pool = pool;
    this.options = pool.options;
  }

  /** A connection with our settings. */
  async connect(): Promise<PostgresPoolClient> {
    const client = await this.#pool.connect();
    if (!this.#settled.has(client)) {
      try {
        await client.query(SETTINGS);
      } catch (error) {
        client.release(true);
        throw error;
      }
      this.#settled.add(client);
    }
    return new CarefulClient(client);
  }

  /** Closes all connections. */
  end(): Promise<void> {
    return this.#pool.end();
  }
}

/** A connection for one user, from `connect` to `release`. */
class CarefulClient implements PostgresPoolClient {
  readonly #client: pg.PoolClient;
  #failure: { readonly error: unknown } | undefined;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  query(): never;
  async query<R>(sql?: string, parameters?: readonly unknown[]): Promise<PostgresQueryResult<R>> {
    // The rollback after a lost connection: the first error says what happened, and the server has rolled back already.
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      return await this.#client.query(sql!, [...parameters ?? []]) as unknown as PostgresQueryResult<R>;
    } catch (error) {
      if (isConnectionLost(error)) this.#failure = { error };
      throw error;
    }
  }

  release(discard?: boolean): void {
    this.#client.release(discard === true || this.#failure !== undefined);
  }
}
