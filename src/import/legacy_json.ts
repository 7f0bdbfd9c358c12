/**
 * JSON as Python's writer makes it, which writes bare NaN and Infinity where JSON has no numbers.
 *
 * @module
 */
import { unusable } from "./legacy_reasons.ts";
import type { LegacyValue } from "./legacy_tables.ts";

/** A parsed JSON column. */
export interface PythonJson {
  /** The value; bare NaN and infinities are null. */
  readonly value: unknown;
  /** How many of them there were. */
  readonly notFinite: number;
}

/**
 * Reads a JSON column; SQL's NULL and the text `null` are both null.
 *
 * @throws Unusable `not_json` for anything that Python would not read either
 */
export function readPythonJson(text: LegacyValue, column: string): PythonJson {
  if (text === null) return { value: null, notFinite: 0 };
  const json = String(text);
  try {
    return { value: JSON.parse(json), notFinite: 0 };
  } catch {
    // Most rows never come here: looking for the bare words costs more than parsing.
  }
  const repaired = withoutBareWords(json);
  try {
    return { value: JSON.parse(repaired.text), notFinite: repaired.count };
  } catch (thrown) {
    return unusable("not_json", `${column} is not JSON: ${(thrown as Error).message}`);
  }
}

/** The text with `NaN`, `Infinity` and `-Infinity` outside of strings replaced by `null`. */
function withoutBareWords(text: string): { text: string; count: number } {
  const parts: string[] = [];
  let [count, done] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') {
      i = endOfString(text, i);
      continue;
    }
    const word = ["NaN", "-Infinity", "Infinity"].find((bare) => text.startsWith(bare, i));
    if (word === undefined) continue;
    parts.push(text.slice(done, i), "null");
    i += word.length - 1;
    done = i + 1;
    count++;
  }
  parts.push(text.slice(done));
  return { text: parts.join(""), count };
}

/** The index of the quote that closes the string opened at `start`; the end of the text when none does. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i;
  }
  return text.length;
}
