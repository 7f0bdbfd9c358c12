/**
 * Checks on values on their way into the database, so that both databases refuse the same things with the same words.
 * Left alone, SQLite turns NaN into NULL and cuts text at NUL, and PostgreSQL fails with an error of its own.
 *
 * @module
 */
import { expectNumber, expectText, expectTimestamp, type JsonObject, unwanted } from "../base/check.ts";

/** Largest integer of a column; PostgreSQL's `integer`. */
const MAX_INTEGER = 2 ** 31 - 1;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The id in lower case, as both databases give it back, or undefined if it is no UUID (and so the id of no row). */
export function uuidOrUndefined(id: string): string | undefined {
  return UUID.test(id) ? id.toLowerCase() : undefined;
}

/** The id in lower case; a random one if none was given. */
export function newId(id: string | undefined, where: string): string {
  if (id === undefined) return crypto.randomUUID();
  const uuid = typeof id === "string" ? uuidOrUndefined(id) : undefined;
  return uuid ?? unwanted(id, where, "a UUID");
}

/** A name: not empty, at most `maxLength` characters, valid Unicode without NUL. */
export function nameOf(value: unknown, where: string, maxLength = 255): string {
  const text = expectText(value, where, maxLength);
  if (!text.isWellFormed()) unwanted(value, where, "valid Unicode (found half of a surrogate pair)");
  return text;
}

/** A name, or null where it is null or undefined. */
export function optionalName(value: unknown, where: string, maxLength = 255): string | null {
  return value === undefined || value === null ? null : nameOf(value, where, maxLength);
}

/** A text of any length that may be empty, or null where it is null or undefined. */
export function optionalText(value: unknown, where: string): string | null {
  return value === undefined || value === null || value === "" ? value ?? null : nameOf(value, where, Infinity);
}

/** A whole number from 0 that fits the column. */
export function countOf(value: unknown, where: string, max = MAX_INTEGER): number {
  const number = expectNumber(value, where, 0, max);
  if (!Number.isInteger(number)) unwanted(value, where, "a whole number");
  return number;
}

/** Rows to return at most: a whole number from 0, or Infinity. */
export function limitOf(value: number, where: string): number {
  return value === Infinity ? Number.MAX_SAFE_INTEGER : countOf(value, where, Number.MAX_SAFE_INTEGER);
}

/** An ISO 8601 date in the stored form, or undefined where there is none. */
export function optionalTime(value: string | null | undefined, where: string): string | undefined {
  return value === undefined || value === null ? undefined : expectTimestamp(value, where);
}

/** The object as JSON text. Throws where JSON or PostgreSQL's JSONB would lose or refuse something, naming the place. */
export function jsonText(value: JsonObject | readonly unknown[], where: string): string {
  checkJson(value, where);
  return JSON.stringify(value);
}

function checkJson(value: unknown, where: string): void {
  switch (typeof value) {
    case "number":
      if (!Number.isFinite(value)) unwanted(value, where, "a finite number");
      return;
    case "string":
      checkJsonText(value, where);
      return;
    case "object":
      if (value === null) return;
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) {
          // Embeddings are long: the name of an entry is made only where it is needed.
          if (typeof value[i] !== "number" || !Number.isFinite(value[i])) checkJson(value[i], `${where}[${i}]`);
        }
        return;
      }
      for (const [key, field] of Object.entries(value)) {
        checkJsonText(key, `a key of ${where}`);
        checkJson(field, `${where}.${key}`);
      }
      return;
    case "bigint":
    case "function":
    case "symbol":
      unwanted(value, where, "a JSON value");
  }
}

function checkJsonText(text: string, where: string): void {
  if (text.includes("\0")) unwanted(text, where, "a text without NUL");
  if (!text.isWellFormed()) unwanted(text, where, "valid Unicode (found half of a surrogate pair)");
}
