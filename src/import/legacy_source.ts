/**
 * The original's database, opened so that it cannot be written to, read in pages by primary key: memory holds one page,
 * no transaction stays open, and services may go on writing.
 *
 * @module
 */
import { type Kysely, type RawBuilder, sql } from "kysely";
import { RlcfError } from "../base/errors.ts";
import type { Explanation } from "../store/database.ts";
import { parseDatabaseUrl } from "../store/url.ts";
import {
  LEGACY_COLUMNS,
  LEGACY_REQUIRED,
  type LegacyRow,
  type LegacyTable,
  type LegacyTables,
  type LegacyValue,
} from "./legacy_tables.ts";
import { openReadOnly, reading, type ReadOnlyDatabase } from "./read_only.ts";

/** Feedback on one page of traces, in pages of its own: one trace may have any number. */
const FEEDBACK_PER_PAGE = 500;
/** A row has up to four embeddings as text, some 60 kB together. */
const TRACES_PER_PAGE = 200;
const ROWS_PER_PAGE = 100;
/** Rows of the original, in pages by id. */
export class LegacySource implements AsyncDisposable {
  readonly #db: Kysely<LegacyTables>;
  readonly #explain: (error: unknown) => Explanation | undefined;
  readonly #columns: ReadonlyMap<string, ReadonlySet<string>>;
  /** Where it is, with any password masked. */
  readonly location: string;

  private constructor(opened: ReadOnlyDatabase, columns: ReadonlyMap<string, ReadonlySet<string>>) {
    this.#db = opened.db;
    this.#explain = opened.explain;
    this.#columns = columns;
    this.location = opened.location;
  }

  /**
   * Opens a database of the original for reading.
   *
   * @throws RlcfError `usage` for a URL of another form, a file that is not there, or a database that the original did
   * not write; `database` if it cannot be read
   */
  static async open(url: string): Promise<LegacySource> {
    const opened = openReadOnly(parseDatabaseUrl(url));
    try {
      const columns = await reading(opened, () => columnsOf(opened));
      checkTables(columns, opened.location);
      return new LegacySource(opened, columns);
    } catch (thrown) {
      await opened.db.destroy();
      throw thrown;
    }
  }

  /** Whether the table is there. */
  has(table: LegacyTable): boolean {
    return this.#columns.has(table);
  }

  /** All rows of a table, in pages; none if the table is not there. */
  pages<T extends LegacyTable>(table: T): AsyncGenerator<readonly LegacyRow<T>[], void> {
    return this.#keyset(table, sql`true`, table === "rlcf_traces" ? TRACES_PER_PAGE : ROWS_PER_PAGE);
  }

  /** Which of some traces have feedback. */
  async judged(traceIds: readonly string[]): Promise<Set<string>> {
    const query = sql<{ id: string }>`select distinct cast(trace_id as text) as id from rlcf_feedback
      where trace_id in (${sql.join(traceIds)})`;
    const { rows } = await this.#attempt(() => query.execute(this.#db));
    return new Set(rows.map(({ id }) => id));
  }

  /** The feedback on some traces, in pages. */
  feedbackOn(traceIds: readonly string[]): AsyncGenerator<readonly LegacyRow<"rlcf_feedback">[], void> {
    return this.#keyset("rlcf_feedback", sql`trace_id in (${sql.join(traceIds)})`, FEEDBACK_PER_PAGE);
  }

  /** The feedback whose trace is not there, in pages. */
  orphans(): AsyncGenerator<readonly LegacyRow<"rlcf_feedback">[], void> {
    const traced = sql`select 1 from rlcf_traces where rlcf_traces.id = rlcf_feedback.trace_id`;
    return this.#keyset("rlcf_feedback", sql`not exists (${traced})`, FEEDBACK_PER_PAGE);
  }

  /** Closes the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#db.destroy();
  }

  /** The rows that meet a condition, in pages in the order of their ids: each page goes on where the last one ended. */
  async *#keyset<T extends LegacyTable>(
    table: T,
    condition: RawBuilder<unknown>,
    limit: number,
  ): AsyncGenerator<readonly LegacyRow<T>[], void> {
    const there = this.#columns.get(table);
    if (there === undefined) return;
    const columns = LEGACY_COLUMNS[table].map((name) => {
      const value = sql.ref(`${table}.${name}`);
      // PostgreSQL has JSONB and perhaps UUIDs; as text both databases give the same.
      const asText = /_json$|^id$|_id$|^training_metrics$/.test(name) ? sql`cast(${value} as text)` : value;
      return sql`${there.has(name) ? asText : sql`null`} as ${sql.ref(name)}`;
    });
    let after: string | undefined;
    while (true) {
      const later = after === undefined ? sql`true` : sql`${sql.ref(`${table}.id`)} > ${after}`;
      const query = sql<LegacyRow<T>>`select ${sql.join(columns)} from ${sql.table(table)}
        where ${condition} and ${later} order by ${sql.ref(`${table}.id`)} limit ${limit}`;
      const { rows } = await this.#attempt(() => query.execute(this.#db));
      if (rows.length > 0) yield rows;
      if (rows.length < limit) return;
      after = String((rows.at(-1) as { readonly id: LegacyValue }).id);
    }
  }

  #attempt<R>(work: () => Promise<R>): Promise<R> {
    return reading({ location: this.location, explain: this.#explain }, work);
  }
}

/** Whether a database can be read and is one of the original; where it cannot be, whoever opens it says why. */
export async function isLegacy(url: string): Promise<boolean> {
  try {
    await using _source = await LegacySource.open(url);
    return true;
  } catch (thrown) {
    if (thrown instanceof RlcfError) return false;
    throw thrown;
  }
}

/** The columns of the tables that are there. */
async function columnsOf({ dialect, db }: ReadOnlyDatabase): Promise<Map<string, Set<string>>> {
  const columns = new Map<string, Set<string>>();
  for (const table of Object.keys(LEGACY_COLUMNS)) {
    const { rows } = dialect === "sqlite"
      ? await sql<{ name: string }>`select name from pragma_table_info(${table})`.execute(db)
      : await sql<{ name: string }>`select attname as name from pg_attribute
          where attrelid = to_regclass(${table}) and attnum > 0 and not attisdropped`.execute(db);
    if (rows.length > 0) columns.set(table, new Set(rows.map(({ name }) => name)));
  }
  return columns;
}

function checkTables(columns: ReadonlyMap<string, ReadonlySet<string>>, location: string): void {
  for (const [table, required] of Object.entries(LEGACY_REQUIRED)) {
    const missing = required.filter((name) => !columns.get(table)?.has(name));
    if (missing.length === 0) continue;
    const isOurs = columns.get(table)?.has("log_kind") === true || columns.get(table)?.has("feedback") === true;
    throw new RlcfError(
      "usage",
      `cannot import from ${location}: found ${
        isOurs ? "a database of rlcf itself" : `no ${table}.${missing.join(", ")}`
      }, ` +
        "wanted one that MERL-T wrote",
    );
  }
}
