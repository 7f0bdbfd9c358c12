/**
 * JSON as checkpoints need it. `JSON.parse` keeps the last of two equal keys without a word, so that two readers of
 * one file can see different contents; and `JSON.stringify` turns NaN into null. Here both are errors.
 *
 * @module
 */
import { messageOf, RlcfError } from "../base/errors.ts";

/** Deeper nesting and more parts than any of our files has are refused before parsing builds objects of them. */
const MAX_DEPTH = 32;
const MAX_PARTS = 65_536;

/**
 * The value of a JSON text in UTF-8.
 *
 * @param where the file, for the message
 * @throws RlcfError `checkpoint` for invalid UTF-8 or JSON, a key that appears twice in one object, the key
 * `__proto__`, nesting deeper than 32, or more than 65,536 keys, objects and arrays together
 */
export function parseJson(bytes: Uint8Array, where: string): unknown {
  let objection: string | undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    objection = objectionTo(text);
    if (objection === undefined) return JSON.parse(text);
  } catch (thrown) {
    const reason = thrown instanceof TypeError ? "not valid UTF-8" : messageOf(thrown);
    throw new RlcfError("checkpoint", `cannot read ${where}: ${reason}, wanted valid JSON`, { cause: thrown });
  }
  throw new RlcfError("checkpoint", `cannot read ${where}: ${objection}`);
}

/**
 * A value as JSON text in which every number is the number that was given, and which {@link parseJson} accepts.
 *
 * @param what the value in words, for the message
 * @throws RlcfError `checkpoint` for a number that is not finite, or for what parseJson refuses
 */
export function stringifyExactly(value: unknown, what: string): string {
  const text = JSON.stringify(value, (key, field: unknown) => {
    if (typeof field === "number" && !Number.isFinite(field)) {
      throw new RlcfError("checkpoint", `cannot write ${what}: ${key} is ${field}, wanted a finite number`);
    }
    return field;
  });
  parseJson(new TextEncoder().encode(text), what);
  return text;
}

/**
 * What is wrong with the keys or the depth of a JSON text. The scan looks at brackets, commas and texts only. For valid
 * JSON that finds every key; invalid JSON may pass here and is refused by JSON.parse afterwards.
 */
function objectionTo(text: string): string | undefined {
  // One entry per open bracket: the keys seen in an object, undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let keyIsNext = false;
  let parts = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === "{" || character === "[") {
      open.push(character === "{" ? new Set() : undefined);
      parts++;
      if (open.length > MAX_DEPTH) return `nested deeper than ${MAX_DEPTH} levels`;
      keyIsNext = character === "{";
    } else if (character === "}" || character === "]") {
      open.pop();
      keyIsNext = false;
    } else if (character === ",") {
      keyIsNext = open.at(-1) !== undefined;
    } else if (character === '"') {
      const end = endOfText(text, i);
      if (keyIsNext) {
        const key = JSON.parse(text.slice(i, end + 1)) as string;
        const keys = open.at(-1)!;
        if (key === "__proto__") return "the key __proto__ is not allowed";
        if (keys.has(key)) return `the key ${JSON.stringify(key.slice(0, 80))} appears twice`;
        keys.add(key);
        parts++;
        keyIsNext = false;
      }
      i = end;
    }
    if (parts > MAX_PARTS) return `more than ${MAX_PARTS} keys, objects and arrays`;
  }
  return undefined;
}

/** The index of the quote that closes the text opened at `start`; the end of the whole when none does. */
function endOfText(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i;
  }
  return text.length;
}
