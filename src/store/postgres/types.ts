/**
 * How PostgreSQL's values become the store's row language. Given to each client, never set globally: a program that
 * uses pg for itself keeps its own.
 *
 * @module
 */

/** Reads the text form of a value. */
type Parser = (text: string) => unknown;

/** Parsers by the type's number in `pg_type`; every other type stays text. */
const PARSERS: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [16, (text) => text === "t" ? 1 : 0], // boolean
  [17, bytesFromHex], // bytea
  [20, Number], // bigint
  [21, Number], // smallint
  [23, Number], // integer
  [700, Number], // real
  [701, Number], // double precision
  [1184, isoFromTimestamp], // timestamptz
  [1700, Number], // numeric
]);

/** Gives pg the parser for a type; pg asks for the text format only. */
export const ROW_TYPES = {
  getTypeParser: (typeNumber: number): Parser => PARSERS.get(typeNumber) ?? ((text) => text),
};

function bytesFromHex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.slice(2));
}

/** `2025-12-30 09:00:00.1234+00` as `2025-12-30T09:00:00.123400Z`: milliseconds, and all six digits where they say more. */
function isoFromTimestamp(text: string): string {
  const match = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text);
  // Infinity and dates before Christ, which rlcf never writes.
  if (match === null) return text;
  const [, date, time, fraction = ""] = match;
  return `${date}T${time}.${fraction.padEnd(fraction.length > 3 ? 6 : 3, "0")}Z`;
}
