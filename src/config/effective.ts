/**
 * The configuration in force as a table: what `train --dry-run` shows.
 *
 * @module
 */
import { maskedUrl } from "../base/secrets.ts";
import type { ResolvedConfig } from "./resolve.ts";
import { camelCase, settings } from "./schema.ts";
import type { SettingKey } from "./schema.ts";
import type { SettingValue } from "./setting.ts";

/** One setting in force. */
export interface ConfigRow {
  /** Full name, e.g. `training.learning_rate`. */
  readonly key: SettingKey;
  /** Its value; a password in a URL is masked. */
  readonly value: SettingValue;
  /** `flag --x`, `environment RLCF_X`, `file path:line` or `default`. */
  readonly source: string;
  /** What its number counts, or an empty text. */
  readonly unit: string;
  /** What it means. */
  readonly help: string;
}

/** All settings with their values and sources, in the order of the file. */
export function effectiveConfig({ config, sources }: ResolvedConfig): ConfigRow[] {
  return [...settings].map(([key, setting]) => {
    const value = valueOf(config, key);
    return {
      key,
      value: key === "database.url" && typeof value === "string" ? maskedUrl(value) : value,
      source: sources[key],
      unit: setting.unit ?? "",
      help: setting.help,
    };
  });
}

function valueOf(config: ResolvedConfig["config"], key: SettingKey): SettingValue {
  const [section, name] = key.split(".").map(camelCase) as [string, string];
  return (config as Readonly<Record<string, Readonly<Record<string, SettingValue>>>>)[section]![name]!;
}
