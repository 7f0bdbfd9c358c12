/**
 * An open database: Kysely on one dialect, and the few things on which the dialects differ.
 *
 * @module
 */
import type { CompiledQuery, Kysely, RawBuilder, Transaction } from "kysely";
import type { Tables } from "./tables.ts";

/** Why the database refused, in the user's words. */
export interface Explanation {
  /** The cause in one line. */
  readonly cause: string;
  /** What to do about it. */
  readonly hint?: string;
  /**
   * Whether it passes by itself, so that trying again is worth it: `always`, or only `once_reached`, where the server had
   * answered before (an address at which nobody ever answered is more likely wrong). Absent: it stays as it is.
   */
  readonly passes?: "always" | "once_reached";
  /** Whether what was asked for may be done all the same, now or later: no answer came. */
  readonly mayBeDone?: boolean;
}

/** What a column holds; PostgreSQL's binary rows do not say it themselves. */
export type ColumnType = "uuid" | "time" | "float" | "text" | "json" | "bytes";

/** A row in the row language of `tables.ts`, its values in the order of the query's columns. */
export type RowValues = readonly (string | number | Uint8Array | null)[];

/** An open database. */
export interface Database {
  /** Which database it is. */
  readonly dialect: "sqlite" | "postgres";
  /** Its URL with any password masked. */
  readonly location: string;
  /** The query builder. */
  readonly db: Kysely<Tables>;
  /** Rows of a page where many are read: what is lost to starting a query no longer counts, and memory is small. */
  readonly rowsPerPage: number;
  /**
   * Runs a query for many or wide rows in the driver's fastest way, around Kysely: values come as arrays, and bytes as
   * the driver has them, each in memory of its own. The same values as `executeQuery` gives. Not inside a transaction of
   * `db`, which it would not be part of.
   *
   * @param types of the query's columns, in their order
   */
  readArrays(query: CompiledQuery, types: readonly ColumnType[]): Promise<readonly RowValues[]>;
  /** SQL for the database's own clock, some seconds from now. Leases use it, because hosts' clocks differ. */
  now(secondsFromNow?: number): RawBuilder<string>;
  /** Lets only one transaction at a time go on among those that name the same thing, until it ends. */
  serialize(transaction: Transaction<Tables>, name: string): Promise<void>;
  /** Whether the driver threw this because a table is not there. */
  isMissingTable(error: unknown): boolean;
  /** Translates what the driver threw; undefined if the driver did not throw it. */
  explain(error: unknown): Explanation | undefined;
  /** What to do about an error, where the database itself knows more than the error says; never throws. */
  adviseOn?(error: unknown): Promise<string | undefined>;
}
