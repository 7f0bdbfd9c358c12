/**
 * What is wrong with a configuration. Problems are gathered and reported together, so that a file is mended in one go.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { settingOf } from "./schema.ts";
import type { SettingKey } from "./schema.ts";
import type { SettingValue } from "./setting.ts";

/** More problems than this are counted, not listed. */
const LISTED = 20;

/** The problems found so far. */
export class Problems {
  readonly #lines: string[] = [];
  #count = 0;

  /**
   * Notes a problem.
   *
   * @param where `path:line:column`, `environment RLCF_X` or `flag --x`
   * @param what what was found there and what was wanted; asked for only while problems are still listed, so that a
   *   file of nothing but mistakes is not slow to refuse
   */
  add(where: string, what: () => string): void {
    this.#count++;
    if (this.#lines.length < LISTED) this.#lines.push(`${where}: ${what()}`);
  }

  /** The value that a setting makes of the one given at this place, or undefined when that is not wanted: a problem. */
  read(key: SettingKey, value: unknown, where: string): SettingValue | undefined {
    const setting = settingOf(key);
    const read = setting.read(value);
    if (read === undefined) this.add(where, () => `${key}: found ${setting.found(value)}, wanted ${setting.wanted}`);
    return read;
  }

  /** Throws an {@link RlcfError} of code `usage` that lists them, one a line, if there are any. */
  throwIfAny(): void {
    if (this.#count === 0) return;
    const action = "cannot use the configuration";
    if (this.#count === 1) throw new RlcfError("usage", `${action}: ${this.#lines[0]}`);
    const more = this.#count > LISTED ? [`and ${this.#count - LISTED} more`] : [];
    throw new RlcfError("usage", `${action}, ${this.#count} problems:\n${[...this.#lines, ...more].join("\n")}`);
  }
}
