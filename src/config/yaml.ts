/**
 * A configuration file's text, read into the values that it gives and the place of each.
 *
 * Only what a configuration needs of YAML 1.2 is taken: one document, a mapping of sections to mappings of keys. The
 * tree is walked by hand, two levels deep, and aliases are refused instead of followed, so that no text can make the
 * reading long: a bomb of nested aliases is never unfolded.
 *
 * @module
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Node, YAMLMap } from "yaml";
import { maskedUrl } from "../base/secrets.ts";
import { foundIn } from "./setting.ts";
import { nearest } from "./nearest.ts";
import type { Problems } from "./problems.ts";
import { schema, settings, unusedSections } from "./schema.ts";
import type { SettingKey } from "./schema.ts";
import type { SettingValue } from "./setting.ts";

/** A value that the file gives. */
export interface FileValue {
  /** The value, as its setting reads it. */
  readonly value: SettingValue;
  /** `path:line:column` of the value. */
  readonly place: string;
  /** `path:line` of the value. */
  readonly line: string;
}

/** What a configuration file holds. */
export interface FileContent {
  /** The values given, by setting. */
  readonly values: ReadonlyMap<SettingKey, FileValue>;
  /** One sentence for each thing that is accepted but has no effect. */
  readonly notices: readonly string[];
}

/** One entry of a mapping. */
interface Entry {
  readonly name: string;
  readonly key: unknown;
  readonly value: unknown;
}

/**
 * Reads a configuration file.
 *
 * @param text content of the file
 * @param path its name in messages
 * @param problems where everything that is wrong is noted; what was readable is still returned
 */
export function readConfigText(text: string, path: string, problems: Problems): FileContent {
  return new FileReader(text, path, problems).read();
}

/** What V8 says where nesting has used up the stack; the parser takes it for a flaw of the text. */
const TOO_DEEP = /call stack|stack overflow/i;

class FileReader {
  readonly #text: string;
  readonly #path: string;
  readonly #problems: Problems;
  readonly #lines = new LineCounter();
  readonly #values = new Map<SettingKey, FileValue>();
  readonly #notices: string[] = [];

  constructor(text: string, path: string, problems: Problems) {
    this.#text = text;
    this.#path = path;
    this.#problems = problems;
  }

  read(): FileContent {
    const root = this.#parse();
    if (isMap(root)) {
      for (const entry of this.#entries(root, "the file")) this.#readSection(entry);
    } else if (!isNothing(root)) {
      this.#problem(root, () => `found ${this.#found(root)}, wanted sections such as "training:"`);
    }
    return { values: this.#values, notices: this.#notices };
  }

  /** The document's root, or null when the text is not YAML. */
  #parse(): unknown {
    // Keys are checked for duplicates in #entries: here the time would grow with the square of their number.
    const document = parseDocument(this.#text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false });
    const flaws = [...document.errors, ...document.warnings];
    // Where the parser's stack ended, hundreds of flaws follow from the first one.
    const tooDeep = flaws.find(({ message }) => TOO_DEEP.test(message));
    for (const flaw of tooDeep === undefined ? flaws : [tooDeep]) {
      this.#problems.add(this.#placeOf(flaw.pos[0]), () => flawOf(flaw));
    }
    return flaws.length > 0 ? null : document.contents;
  }

  #readSection({ name, key, value }: Entry): void {
    const isUnused = Object.hasOwn(unusedSections, name);
    if (!isUnused && !Object.hasOwn(schema, name)) {
      this.#problem(key, () => `found the section ${quoted(name)}, wanted ${this.#sectionFor(name)}`);
      return;
    }
    // A section whose keys are all commented out is left with null.
    if (isNothing(value)) return;
    if (!isMap(value)) {
      this.#problem(value, () => `${name}: found ${this.#found(value)}, wanted the section's keys, one a line`);
      return;
    }
    if (isUnused) {
      const line = `${this.#path}:${this.#lines.linePos(offsetOf(key)).line}`;
      this.#notices.push(`${line}: ${name} is a section of the original that rlcf does not use`);
    }
    const known = isUnused ? unusedSections[name]! : Object.keys(schema[name as keyof typeof schema]);
    for (const entry of this.#entries(value, name)) {
      if (!known.includes(entry.name)) {
        this.#problem(entry.key, () => {
          return `found the key ${quoted(entry.name)} in ${name}, wanted ${keyFor(entry.name, name, known)}`;
        });
      } else if (!isUnused) {
        this.#readValue(`${name}.${entry.name}` as SettingKey, entry);
      }
    }
  }

  #readValue(setting: SettingKey, entry: Entry): void {
    const items = isSeq(entry.value) ? entry.value.items : [entry.value];
    const alias = items.find(isAlias);
    if (alias !== undefined) {
      this.#problem(alias, () => `${setting}: found an alias, wanted the value itself`);
      return;
    }
    // `? key` without a colon has no value at all, not even an empty one: its place is the key's.
    const { line, col } = this.#lines.linePos(offsetOf(entry.value ?? entry.key));
    const place = `${this.#path}:${line}:${col}`;
    const value = this.#problems.read(setting, plainValue(entry.value), place);
    if (value !== undefined) this.#values.set(setting, { value, place, line: `${this.#path}:${line}` });
  }

  /** The entries of a mapping without those whose key came before. */
  #entries(map: YAMLMap<unknown, unknown>, where: string): Entry[] {
    const firsts = new Map<string, Entry>();
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : this.#found(key);
      const first = firsts.get(name);
      if (first === undefined) {
        firsts.set(name, { name, key, value });
      } else {
        this.#problem(key, () => {
          const { line } = this.#lines.linePos(offsetOf(first.key));
          return `found the key ${quoted(name)} again, wanted it once in ${where} (it is on line ${line})`;
        });
      }
    }
    return [...firsts.values()];
  }

  #sectionFor(name: string): string {
    const home = [...settings.keys()].find((key) => key.endsWith(`.${name}`));
    if (home !== undefined) return `it under its section, as ${home}`;
    const guess = nearest(name, [...Object.keys(schema), ...Object.keys(unusedSections)]);
    return `one of ${Object.keys(schema).join(", ")}${guess === undefined ? "" : `; did you mean ${guess}?`}`;
  }

  #found(node: unknown): string {
    return isAlias(node) ? "an alias" : foundIn(plainValue(node));
  }

  #problem(node: unknown, what: () => string): void {
    this.#problems.add(this.#placeOf(offsetOf(node)), what);
  }

  #placeOf(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    // An empty text has no lines to count.
    return `${this.#path}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  }
}

/** What a node stands for; a mapping only as an object without fields, because no setting takes one. */
function plainValue(node: unknown): unknown {
  if (isScalar(node)) return node.value;
  if (isSeq(node)) return node.items.map((item) => isScalar(item) ? item.value : {});
  return node === null ? null : {};
}

function isNothing(node: unknown): boolean {
  return node === null || node === undefined || isScalar(node) && node.value === null;
}

function offsetOf(node: unknown): number {
  return (node as Node | null | undefined)?.range?.[0] ?? 0;
}

/** A name from the file, short enough for a message. */
function quoted(name: string): string {
  const text = maskedUrl(name);
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
}

function flawOf({ code, message }: { readonly code: string; readonly message: string }): string {
  if (code === "MULTIPLE_DOCS") return "found a second document, wanted one";
  if (TOO_DEEP.test(message)) return "found hundreds of levels of nesting, wanted two";
  return `not valid YAML: ${maskedUrl(message).replaceAll(/\s+/g, " ").slice(0, 200)}`;
}

function keyFor(name: string, section: string, known: readonly string[]): string {
  const guess = nearest(name, known);
  if (guess !== undefined) return `one of its keys; did you mean ${guess}?`;
  const home = [...settings.keys()].find((key) => key.endsWith(`.${name}`));
  return home === undefined ? `one of ${known.join(", ")}` : `it in its section, as ${home} (not ${section})`;
}
