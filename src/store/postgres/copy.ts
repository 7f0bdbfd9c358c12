/**
 * Reads wide rows by `copy ... to stdout (format binary)`. pg itself asks for every value as text, in which bytes are
 * twice as long and have to be parsed; COPY sends them as they are.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { CompiledQuery } from "kysely";
// @ts-types="@types/pg"
import pg from "pg";
import type { ColumnType, RowValues } from "../database.ts";
import { BinaryRows } from "./binary.ts";

/**
 * Runs a query by COPY on a connection of the pool, which is free again when the last row has come.
 *
 * @param types of the query's columns, in their order
 */
export async function copyArrays(
  pool: pg.Pool,
  query: CompiledQuery,
  types: readonly ColumnType[],
): Promise<readonly RowValues[]> {
  const copy = new CopyToRows(`copy (${withLiterals(query)}) to stdout (format binary)`, types);
  const client = await pool.connect();
  let failed = true;
  try {
    const rows = await client.query(copy).rows;
    failed = false;
    return rows;
  } finally {
    // After an error the connection is closed: the server may be about to close it, which pg learns only later.
    client.release(failed);
  }
}

/** COPY takes no parameters: they are written into the text, quoted by pg. */
function withLiterals({ sql, parameters }: CompiledQuery): string {
  return sql.replace(/\$(\d+)/g, (_, number: string) => {
    const value = parameters[Number(number) - 1];
    if (typeof value === "number") return String(value);
    if (typeof value === "string") return pg.escapeLiteral(value);
    throw new TypeError(`parameter ${number}: found ${typeof value}, wanted a text or a number`);
  });
}

/** A query of pg's own kind: pg calls its methods with what the server answers. */
class CopyToRows implements pg.Submittable {
  /** The rows, when all have come. */
  readonly rows: Promise<readonly RowValues[]>;
  /** Set by pg, which stops its clock for the answer when this is called; it would keep the process and the rows. */
  callback: (() => void) | undefined;
  readonly #text: string;
  readonly #decoder: BinaryRows;
  readonly #settle: PromiseWithResolvers<readonly RowValues[]>;
  #failure: unknown;

  constructor(text: string, types: readonly ColumnType[]) {
    this.#text = text;
    this.#decoder = new BinaryRows(types);
    this.#settle = Promise.withResolvers();
    this.rows = this.#settle.promise;
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#text);
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    // An error thrown here would end the process; the rest of the answer has to be taken off the connection.
    if (this.#failure !== undefined) return;
    try {
      this.#decoder.add(chunk);
    } catch (error) {
      this.#failure = error;
    }
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.callback?.();
    if (this.#failure !== undefined) return this.#settle.reject(this.#failure);
    try {
      this.#settle.resolve(this.#decoder.finish());
    } catch (error) {
      this.#settle.reject(error);
    }
  }

  handleError(error: unknown): void {
    this.callback?.();
    this.#settle.reject(error);
  }
}
