/**
 * Checks for values that come from outside: JSON lines, YAML, rows. Each either returns the value with its type or
 * throws an {@link RlcfError} that names the place, the value found and the value wanted.
 *
 * @module
 */
import { RlcfError } from "./errors.ts";

/** A JSON object whose fields have not been checked yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A short description of a value that was found where another was wanted; never longer than a line. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") {
    const text = JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
    return `the text ${text}`;
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object") return "an object";
  if (typeof value === "function") return "a function";
  return `${typeof value} ${String(value)}`;
}

/** Throws the error for a value that is not what was wanted. */
export function unwanted(value: unknown, where: string, wanted: string): never {
  throw new RlcfError("usage", `${where}: found ${describe(value)}, wanted ${wanted}`);
}

/** The value as a JSON object. */
export function expectObject(value: unknown, where: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) unwanted(value, where, "an object");
  return value as JsonObject;
}

/** The value as an array. */
export function expectArray(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) unwanted(value, where, "an array");
  return value;
}

/**
 * The value as text. NUL is refused because PostgreSQL cannot store it and SQLite cuts the text there.
 *
 * @param maxLength longest text allowed, in UTF-16 units
 */
export function expectText(value: unknown, where: string, maxLength = 255): string {
  if (typeof value !== "string") unwanted(value, where, "a text");
  if (value.length === 0) unwanted(value, where, "a text that is not empty");
  if (value.length > maxLength) unwanted(value, where, `a text of at most ${maxLength} characters`);
  if (value.includes("\0")) unwanted(value, where, "a text without NUL");
  return value;
}

/** The value as a finite number in `[min, max]`. */
export function expectNumber(value: unknown, where: string, min = -Infinity, max = Infinity): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < min || value > max) {
    unwanted(value, where, rangeOf(min, max));
  }
  return value;
}

/**
 * The value as an ISO 8601 date and time; one without a zone is read as UTC. Returned in UTC with milliseconds. Years
 * are those from 1 to 9999: PostgreSQL knows no year 0, and with five digits texts no longer sort as times do.
 */
export function expectTimestamp(value: unknown, where: string): string {
  const wanted = 'a date and time such as "2025-12-30T09:00:00Z"';
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/.test(value)) unwanted(value, where, wanted);
  const zoned = /(?:Z|[+-]\d{2}:?\d{2})$/i.test(value) ? value : `${value}Z`;
  const date = new Date(zoned.replace(" ", "T"));
  if (Number.isNaN(date.getTime())) unwanted(value, where, wanted);
  const text = date.toISOString();
  if (!/^\d{4}-/.test(text) || text.startsWith("0000-")) unwanted(value, where, "a date in the years 0001 to 9999");
  return text;
}

function rangeOf(min: number, max: number): string {
  if (min === -Infinity && max === Infinity) return "a finite number";
  if (max === Infinity) return `a finite number of at least ${min}`;
  if (min === -Infinity) return `a finite number of at most ${max}`;
  return `a number from ${min} to ${max}`;
}
