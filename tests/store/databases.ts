/**
 * Registers the same test on SQLite (a file) and on a PostgreSQL server, each with an empty database.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { createPersistence } from "../../src/store/create.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { postgresForTests, queryPostgres } from "../support/postgres.ts";

/** What a test of the store gets. */
export interface TestStore {
  /** The store, open and migrated. */
  readonly store: RLCFPersistence;
  /** URL of the store's database, for further connections. */
  readonly url: string;
  /** Opens the same database once more; the test disposes of it. */
  reopen(): Promise<RLCFPersistence>;
  /** Runs SQL behind the store's back. Write no values that the two databases spell differently. */
  query(text: string): Promise<Record<string, unknown>[]>;
}

/** An empty database, not yet opened. */
interface EmptyDatabase extends AsyncDisposable {
  readonly url: string;
  query(text: string): Promise<Record<string, unknown>[]>;
}

const postgres = await postgresForTests();

/** Registers one test for each database. The store is closed afterwards, whatever the test did. */
export function testOnEach(name: string, test: (on: TestStore) => Promise<void>): void {
  testOnEachEmpty(name, async ({ url, query }) => {
    await using store = await createPersistence(url);
    await test({ store, url, query, reopen: () => createPersistence(url) });
  });
}

/** Registers one test for each database, which is empty and not yet opened. */
export function testOnEachEmpty(name: string, test: (on: EmptyDatabase) => Promise<void>): void {
  Deno.test(`sqlite: ${name}`, async () => {
    await using database = emptySqlite();
    await test(database);
  });
  if ("reason" in postgres) {
    Deno.test.ignore(`postgres: ${name} (${postgres.reason})`, () => {});
    return;
  }
  Deno.test(`postgres: ${name}`, async () => {
    await using database = await postgres.createDatabase();
    await test({
      url: database.url,
      query: (text) => queryPostgres(database.url, text),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  });
}

/** All of an async iterable. */
export function collect<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  return Array.fromAsync(pages).then((all) => all.flat());
}

function emptySqlite(): EmptyDatabase {
  const directory = Deno.makeTempDirSync({ prefix: "rlcf-store-" });
  const path = `${directory}/store.db`;
  return {
    url: `sqlite:///${path}`,
    query: (text) => {
      using database = new DatabaseSync(path, { timeout: 5000, enableForeignKeyConstraints: false });
      return Promise.resolve(database.prepare(text).all() as Record<string, unknown>[]);
    },
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}
