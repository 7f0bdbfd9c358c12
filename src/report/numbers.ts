/**
 * Numbers and times as a report writes them. Always in the same way, whatever the reader's machine speaks.
 *
 * @module
 */

/** A whole number with its thousands apart, e.g. `14,567`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A value or score on the scale from 0 to 1, e.g. `0.583`; a dash for none. */
export function score(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : withoutMinusZero(value.toFixed(3)).replace("-", "−");
}

/** A difference of scores with its sign, e.g. `+0.021`. */
export function signed(value: number): string {
  const text = score(value);
  return text.startsWith("−") ? text : `+${text}`;
}

/** A share as a whole percentage; one that is not quite nothing or all is never written as such. */
export function percent(share: number): string {
  const rounded = Math.round(100 * share);
  if (share > 0 && rounded === 0) return "<1%";
  if (share < 1 && rounded === 100) return ">99%";
  return `${rounded}%`;
}

/** A time to the minute in UTC, e.g. `30 December 2025, 09:00 UTC`. */
export function moment(timestamp: string): string {
  const date = new Date(timestamp);
  return `${day(timestamp)}, ${date.toISOString().slice(11, 16)} UTC`;
}

/** A day in UTC, e.g. `30 December 2025`. */
export function day(timestamp: string): string {
  const date = new Date(timestamp);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
}

/** `1 user`, `2 users`. */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${whole(number)} ${number === 1 ? one : many}`;
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

const MONTHS = [
  ...["January", "February", "March", "April", "May", "June"],
  ...["July", "August", "September", "October", "November", "December"],
];

function withoutMinusZero(text: string): string {
  return /^-0\.0*$/.test(text) ? text.slice(1) : text;
}
