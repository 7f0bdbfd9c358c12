/**
 * The kinds of settings. A {@link Setting} holds everything there is to say about one setting: its default, the values
 * it takes, its unit, its help text, and where else than in the file it can be given.
 *
 * @module
 */
import { describe } from "../base/check.ts";
import { maskedUrl } from "../base/secrets.ts";

/** A value that a setting can have. */
export type SettingValue = string | number | boolean | null | readonly string[];

/** What every setting declares, whatever its kind. */
export interface Declaration<T> {
  /** The value when nothing else gives one. */
  readonly default: T;
  /** What the setting means, in one line; the comment in the shipped file and the text of `--help`. */
  readonly help: string;
  /** What its number counts or measures, e.g. `days`. */
  readonly unit?: string;
  /** The environment variable that can give it. */
  readonly environment?: string;
  /** Its command line flag, where that is not `--` and the key with dashes. */
  readonly flag?: string;
  /** The file goes before the environment (database.url alone; everywhere else the environment goes first). */
  readonly fileBeforeEnvironment?: boolean;
}

/** One setting whose values are of type `T`. */
export interface Setting<T extends SettingValue> extends Declaration<T> {
  /** The values it takes, as the end of the sentence "wanted ...". */
  readonly wanted: string;
  /** The value to use, or undefined when the one given is not wanted. */
  read(value: unknown): T | undefined;
  /** What the text of an environment variable or flag stands for; {@link Setting.read} judges the result. */
  fromText(text: string): unknown;
  /** What was found in the place of a wanted value; never shows a password. */
  found(value: unknown): string;
}

/** Bounds of a number. */
export interface Bounds {
  /** Smallest value. */
  readonly min?: number;
  /** Largest value. */
  readonly max?: number;
  /** Every value is larger than this. */
  readonly above?: number;
  /** Every value is smaller than this. */
  readonly below?: number;
}

/** A whole number. */
export function integer(declaration: Declaration<number> & Bounds): Setting<number> {
  const inBounds = (value: number): boolean => Number.isSafeInteger(value) && isWithin(value, declaration);
  return {
    ...withDefaults(declaration),
    wanted: `an integer${phraseOf(declaration)}`,
    read: (value) => typeof value === "number" && inBounds(value) ? value + 0 : undefined,
    fromText: numberFromText,
  };
}

/** The size of a hidden layer: 0 for none, else a whole number of at least 2, because a second layer has half of it. */
export function layerWidth(declaration: Declaration<number> & { readonly max: number }): Setting<number> {
  const width = integer({ ...declaration, min: 0 });
  return {
    ...width,
    wanted: `0 or an integer from 2 to ${declaration.max}`,
    read: (value) => value === 1 ? undefined : width.read(value),
  };
}

/** A finite number. */
export function decimal(declaration: Declaration<number> & Bounds): Setting<number> {
  return {
    ...withDefaults(declaration),
    wanted: `a number${phraseOf(declaration)}`,
    // `+ 0` turns -0 into 0, which prints alike but does not compare alike.
    read: (value) => typeof value === "number" && isWithin(value, declaration) ? value + 0 : undefined,
    fromText: numberFromText,
  };
}

/** A finite number, or `auto`: rlcf chooses. */
export function decimalOrAuto(declaration: Declaration<number | "auto"> & Bounds): Setting<number | "auto"> {
  return {
    ...withDefaults(declaration),
    wanted: `auto or a number${phraseOf(declaration)}`,
    read: (value) => {
      return value === "auto" || typeof value === "number" && isWithin(value, declaration) ? value : undefined;
    },
    fromText: numberFromText,
  };
}

/** A whole number, or `auto`: rlcf chooses. */
export function integerOrAuto(declaration: Declaration<number | "auto"> & Bounds): Setting<number | "auto"> {
  return {
    ...withDefaults(declaration),
    wanted: `auto or an integer${phraseOf(declaration)}`,
    read: (value) => {
      if (value === "auto") return value;
      return typeof value === "number" && Number.isSafeInteger(value) && isWithin(value, declaration)
        ? value
        : undefined;
    },
    fromText: numberFromText,
  };
}

/** True or false. */
export function toggle(declaration: Declaration<boolean>): Setting<boolean> {
  return {
    ...withDefaults(declaration),
    wanted: "true or false",
    read: (value) => typeof value === "boolean" ? value : undefined,
    fromText: (text) => text === "true" ? true : text === "false" ? false : text,
  };
}

/**
 * One of a few words.
 *
 * @param declaration `synonyms`: other spellings in lower case; where there are any, capitals do not matter either
 */
export function choice<const T extends string>(
  words: readonly T[],
  declaration: Declaration<NoInfer<T>> & { readonly synonyms?: Readonly<Record<string, NoInfer<T>>> },
): Setting<T> {
  const { synonyms, ...rest } = declaration;
  const known = new Map<string, T>([...words.map((word) => [word, word] as const), ...Object.entries(synonyms ?? {})]);
  return {
    ...withDefaults<T>(rest),
    wanted: `one of ${words.join(", ")}`,
    read: (value) => {
      if (typeof value !== "string") return undefined;
      return known.get(synonyms === undefined ? value : value.toLowerCase());
    },
    fromText: (text) => text,
  };
}

/** A text that is not empty, of at most `maxLength` UTF-16 units. */
export function text(declaration: Declaration<string> & { readonly maxLength: number }): Setting<string> {
  return {
    ...withDefaults(declaration),
    wanted: `a text of 1 to ${declaration.maxLength} characters, without NUL`,
    read: (value) => isText(value, declaration.maxLength) ? value : undefined,
    fromText: (given) => given,
  };
}

/** A URL that may hold a password, or null for none. What it leads to is for the room that opens it to judge. */
export function secretUrl(declaration: Declaration<string | null>): Setting<string | null> {
  const maxLength = 4096;
  return {
    ...withDefaults(declaration),
    wanted: `null or a URL of at most ${maxLength} characters, without NUL`,
    read: (value) => value === null || isText(value, maxLength) ? value : undefined,
    fromText: (given) => given,
    found: (value) => typeof value === "string" ? `a text of ${value.length} characters` : describe(value),
  };
}

/** A list of different texts of at most 255 characters; in an environment variable or flag, between commas. */
export function textList(
  declaration: Declaration<readonly string[]> & { readonly min: number; readonly max: number },
): Setting<readonly string[]> {
  const { min, max } = declaration;
  const flaw = (value: readonly unknown[]): string | undefined => {
    if (value.length < min || value.length > max) return `a list of ${value.length}`;
    const odd = value.findIndex((item) => !isText(item, 255));
    if (odd !== -1) return `${foundIn(value[odd])} in the list, as item ${odd + 1}`;
    const twice = value.find((item, i) => value.indexOf(item) !== i);
    return twice === undefined ? undefined : `${foundIn(twice)} twice in the list`;
  };
  return {
    ...withDefaults(declaration),
    wanted: `a list of ${min} to ${max} different texts of 1 to 255 characters`,
    read: (value) => Array.isArray(value) && flaw(value) === undefined ? [...value] as string[] : undefined,
    fromText: (given) => given.split(",").map((item) => item.trim()),
    found: (value) => Array.isArray(value) ? flaw(value) ?? describe(value) : foundIn(value),
  };
}

/** What was found, for a message: a text that holds a password shows it nowhere, not even a misplaced one. */
export function foundIn(value: unknown): string {
  return describe(typeof value === "string" ? maskedUrl(value) : value);
}

function withDefaults<T>(declaration: Declaration<T>): Declaration<T> & { found(value: unknown): string } {
  return { ...declaration, found: foundIn };
}

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === "string" && value.trim() !== "" && value.length <= maxLength && !value.includes("\0") &&
    value.isWellFormed();
}

/** The number that a text spells in decimal digits; else the text itself, so that the error shows what was given. */
function numberFromText(given: string): unknown {
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(given) ? Number(given) : given;
}

/** Whether a number is in the bounds. NaN and the infinities never are: both last comparisons are strict. */
function isWithin(value: number, { min, max, above, below }: Bounds): boolean {
  return value >= (min ?? -Infinity) && value <= (max ?? Infinity) && value > (above ?? -Infinity) &&
    value < (below ?? Infinity);
}

function phraseOf({ min, max, above, below }: Bounds): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  const low = min !== undefined ? `of at least ${min}` : above !== undefined ? `above ${above}` : undefined;
  const high = max !== undefined ? `at most ${max}` : below !== undefined ? `below ${below}` : undefined;
  const bounds = [low, high].filter((bound) => bound !== undefined);
  return bounds.length === 0 ? "" : ` ${bounds.join(" and ")}`;
}
