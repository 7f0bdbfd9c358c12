/**
 * PostgreSQL's binary rows (`copy ... with (format binary)`) in the row language of `tables.ts`, value for value what
 * `types.ts` makes of the text form.
 *
 * A message holds one row: the number of fields as int16, then each field's length as int32 (-1 for null) and its
 * bytes; all integers big-endian. Before the first row stand a signature and a header, after the last one a row of -1
 * fields. See "COPY, Binary Format" in PostgreSQL's manual.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { ColumnType, RowValues } from "../database.ts";

const SIGNATURE = "PGCOPY\n\xff\r\n\0";
/** Milliseconds from 1970 to 2000, from where PostgreSQL counts. */
const EPOCH_MS = 946_684_800_000;

/** The rows of binary COPY, decoded one message after another. */
export class BinaryRows {
  readonly #types: readonly ColumnType[];
  readonly #rows: RowValues[] = [];
  #started = false;
  #ended = false;

  /** @param types of the columns, in their order */
  constructor(types: readonly ColumnType[]) {
    this.#types = types;
  }

  /** Adds the rows of a message. Copies what it keeps: pg uses the message's memory again. */
  add(message: Buffer): void {
    let at = this.#started ? 0 : headerLength(message);
    this.#started = true;
    while (at < message.length) {
      const fields = message.readInt16BE(at);
      at += 2;
      if (fields === -1) {
        this.#ended = true;
      } else {
        at = this.#addRow(message, at, fields);
      }
    }
  }

  /** All rows. Throws if the end has not come. */
  finish(): readonly RowValues[] {
    if (!this.#ended) throw new Error("binary COPY ended without its trailer");
    return this.#rows;
  }

  #addRow(message: Buffer, start: number, fields: number): number {
    const types = this.#types;
    if (fields !== types.length) throw new Error(`binary COPY: found ${fields} fields, wanted ${types.length}`);
    const row = new Array<RowValues[number]>(fields);
    let at = start;
    for (let i = 0; i < fields; i++) {
      const length = message.readInt32BE(at);
      at += 4;
      row[i] = length === -1 ? null : decode(types[i]!, message, at, at + length);
      at += Math.max(0, length);
    }
    this.#rows.push(row);
    return at;
  }
}

function headerLength(message: Buffer): number {
  if (message.toString("latin1", 0, SIGNATURE.length) !== SIGNATURE) {
    throw new Error("binary COPY without its signature");
  }
  // Then come flags, of which none is in use, and the length of an extension.
  return SIGNATURE.length + 8 + message.readInt32BE(SIGNATURE.length + 4);
}

function decode(type: ColumnType, message: Buffer, start: number, end: number): string | number | Uint8Array {
  switch (type) {
    case "text":
      return message.toString("utf8", start, end);
    case "json":
      // The first byte is the version of JSONB's form.
      return message.toString("utf8", start + 1, end);
    case "float":
      return message.readDoubleBE(start);
    case "uuid":
      return uuid(message.toString("hex", start, end));
    case "time":
      return isoFromMicroseconds(message.readInt32BE(start), message.readUInt32BE(start + 4));
    case "bytes":
      return new Uint8Array(message.subarray(start, end));
  }
}

function uuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * Milliseconds, and all six digits where they say more. A float64 counts the microseconds of 285 years only, and a
 * BigInt takes longer than the rest of the row: so the halves `high * 2^32 + low` are divided one after the other.
 */
function isoFromMicroseconds(high: number, low: number): string {
  const left = high * 296 + low;
  const milliseconds = high * 4_294_967 + Math.floor(left / 1000);
  const rest = left - Math.floor(left / 1000) * 1000;
  const text = new Date(EPOCH_MS + milliseconds).toISOString();
  return rest === 0 ? text : `${text.slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}
