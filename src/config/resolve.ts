/**
 * Which of the values given for a setting holds: flag before environment before file before default. The database URL
 * alone goes flag, file, environment, default, so that a configuration that names its database is not led to another
 * one by the environment of the host.
 *
 * @module
 */
import { Problems } from "./problems.ts";
import { camelCase, flagOf, settingOf, settings } from "./schema.ts";
import type { Config, SettingKey } from "./schema.ts";
import type { SettingValue } from "./setting.ts";
import { readConfigText } from "./yaml.ts";
import type { FileContent } from "./yaml.ts";

/** Values given on the command line, by setting: the text as it was typed, or a value; undefined where not given. */
export type FlagValues = { readonly [K in SettingKey]?: unknown };

/** Looks up an environment variable, e.g. `(name) => Deno.env.get(name)`. One that is empty counts as not set. */
export type Environment = (name: string) => string | undefined;

/** Everything besides the defaults that a configuration is made of. */
export interface ConfigInputs {
  /** The configuration file, if there is one: its name in messages, and its content. */
  readonly file?: { readonly path: string; readonly text: string };
  /** Values given on the command line. */
  readonly flags?: FlagValues;
  /** The environment. */
  readonly env?: Environment;
}

/** A checked configuration and where it comes from. */
export interface ResolvedConfig {
  /** The values. */
  readonly config: Config;
  /** For each setting `flag --x`, `environment RLCF_X`, `file path:line` or `default`. */
  readonly sources: Readonly<Record<SettingKey, string>>;
  /** What the user should hear about: parts of the file that have no effect. */
  readonly notices: readonly string[];
}

/** A value that was given for a setting. */
interface Given {
  readonly value: SettingValue;
  /** As in {@link ResolvedConfig.sources}. */
  readonly source: string;
  /** The place for a problem's message; names the column too. */
  readonly place: string;
}

/**
 * Puts a configuration together and checks it.
 *
 * @throws {RlcfError} `usage`: everything that is wrong with it, with places
 */
export function resolveConfig(inputs: ConfigInputs): ResolvedConfig {
  const problems = new Problems();
  const { file, flags = {}, env = () => undefined } = inputs;
  const content: FileContent = file === undefined
    ? { values: new Map(), notices: [] }
    : readConfigText(file.text, file.path, problems);

  const chosen = new Map<SettingKey, Given>();
  for (const [key, setting] of settings) {
    // All that is given is read, also what another value overrides: a mistake should not wait for its day.
    const [first] = candidates(key, content, { flags, env }, problems);
    chosen.set(key, first ?? { value: setting.default, source: "default", place: "default" });
  }
  problems.throwIfAny();
  agree(chosen, problems, "gating_policy.num_experts", "gating_policy.experts");
  agree(chosen, problems, "react_policy.num_actions", "react_policy.actions");
  problems.throwIfAny();

  return { config: nested(chosen), sources: sourcesOf(chosen), notices: content.notices };
}

/** The values given for a setting, the one that holds first; those it does not take are noted as problems. */
function candidates(
  key: SettingKey,
  content: FileContent,
  { flags, env }: { readonly flags: FlagValues; readonly env: Environment },
  problems: Problems,
): readonly Given[] {
  const setting = settingOf(key);
  const given = (raw: unknown, source: string): Given[] => {
    if (raw === undefined) return [];
    const value = problems.read(key, typeof raw === "string" ? setting.fromText(raw) : raw, source);
    return value === undefined ? [] : [{ value, source, place: source }];
  };
  const flag = given(flags[key], `flag ${flagOf(key)}`);
  const name = setting.environment;
  const environment = name === undefined ? [] : given(env(name) || undefined, `environment ${name}`);
  const entry = content.values.get(key);
  const file = entry === undefined ? [] : [{ value: entry.value, source: `file ${entry.line}`, place: entry.place }];
  if (!setting.fileBeforeEnvironment) return [...flag, ...environment, ...file];
  // null in the file says that the file leaves the choice open.
  return [...flag, ...file.filter(({ value }) => value !== null), ...environment];
}

/** A number (of experts, of actions) follows their names where only these are given; else the two must agree. */
function agree(
  chosen: Map<SettingKey, Given>,
  problems: Problems,
  numberKey: "gating_policy.num_experts" | "react_policy.num_actions",
  namesKey: "gating_policy.experts" | "react_policy.actions",
): void {
  const [numberGiven, namesGiven] = [chosen.get(numberKey)!, chosen.get(namesKey)!];
  const number = numberGiven.value as number;
  const names = namesGiven.value as readonly string[];
  if (number === names.length) return;
  if (numberGiven.source === "default") {
    chosen.set(numberKey, { ...namesGiven, value: names.length });
    return;
  }
  const found = `${numberKey}: found ${number}, wanted ${names.length}`;
  problems.add(numberGiven.place, () => {
    return namesGiven.source === "default"
      ? `${found} (${names.join(", ")}), or the names of all ${number} in ${namesKey}`
      : `${found}, the number of names in ${namesKey} (${namesGiven.place})`;
  });
}

function nested(chosen: ReadonlyMap<SettingKey, Given>): Config {
  const config: Record<string, Record<string, SettingValue>> = {};
  for (const [key, { value }] of chosen) {
    const [section, name] = key.split(".").map(camelCase) as [string, string];
    (config[section] ??= {})[name] = value;
  }
  // Every setting of the schema is there and has been read by its own declaration, which is what Config says.
  return config as unknown as Config;
}

function sourcesOf(chosen: ReadonlyMap<SettingKey, Given>): Readonly<Record<SettingKey, string>> {
  const sources = [...chosen].map(([key, { source }]) => [key, source]);
  return Object.fromEntries(sources) as Record<SettingKey, string>;
}
