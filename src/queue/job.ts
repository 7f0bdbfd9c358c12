/**
 * What a training job says: which type of policy, and which settings differ from those of the host that runs it. A job
 * never says where the data is or where checkpoints go: that is each host's own configuration, and a password has no
 * place in a table.
 *
 * @module
 */
import { expectObject, expectText, type JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { nearest } from "../config/nearest.ts";
import { resolveConfig } from "../config/resolve.ts";
import { type Config, type SettingKey, settings } from "../config/schema.ts";
import type { SettingValue } from "../config/setting.ts";

/** Name of a type of policy. */
export type PolicyType = Config["training"]["policyType"];

/** Settings of a job and their values; all others are those of the host that runs it. */
export type Overrides = { readonly [K in SettingKey]?: SettingValue };

/** A request to train. */
export interface TrainingJob {
  /** Which policy to train. */
  readonly policyType: PolicyType;
  /** What differs from the host's configuration. */
  readonly overrides: Overrides;
  /** Train only on traces that this version routed; null for all. */
  readonly policyVersion: string | null;
}

/** What only the host may decide, and how a job says its type of policy. */
const NOT_OF_A_JOB: Readonly<Record<string, string>> = {
  "training.policy_type": "give it with --policy-type",
  "database.url": "each host has its own; a job never holds a URL",
  "database.pool_size": "each host has its own",
  "checkpoint.directory": "each host has its own",
  "logging.level": "each host has its own",
};

/** The settings that a job may override. */
export const JOB_SETTINGS: readonly SettingKey[] = [...settings.keys()].filter((key) => !(key in NOT_OF_A_JOB));

/**
 * A setting that a job may have.
 *
 * @param where the option or record that names it, for the message
 * @throws RlcfError `usage`, with the nearest known name; the text may be anything and is shown only where it is short
 */
export function jobSetting(name: string, where: string): SettingKey {
  if ((JOB_SETTINGS as readonly string[]).includes(name)) return name as SettingKey;
  const own = NOT_OF_A_JOB[name];
  if (own !== undefined) throw new RlcfError("usage", `cannot use ${where}: a job cannot set ${name}: ${own}`);
  const near = nearest(name, JOB_SETTINGS);
  throw new RlcfError(
    "usage",
    `cannot use ${where}: found an unknown setting ${JSON.stringify(name.slice(0, 80))}, wanted one of the ` +
      "configuration, e.g. training.seed",
    near === undefined ? {} : { hint: `Did you mean ${near}?` },
  );
}

/** The value that a setting makes of a text or a value. Throws RlcfError("usage") if it is not wanted. */
export function jobValue(key: SettingKey, given: unknown, where: string): SettingValue {
  const setting = settings.get(key)!;
  const raw = typeof given === "string" ? setting.fromText(given) : given;
  const value = setting.read(raw);
  if (value !== undefined) return value;
  throw new RlcfError("usage", `cannot use ${where}: ${key}: found ${setting.found(raw)}, wanted ${setting.wanted}`);
}

/** Reads `training.seed=3`. */
export function parseAssignment(text: string, option: string): readonly [SettingKey, string] {
  const equals = text.indexOf("=");
  if (equals <= 0) {
    throw new RlcfError(
      "usage",
      `cannot use ${option}: found ${JSON.stringify(text.slice(0, 80))}, wanted NAME=VALUE, e.g. training.seed=3`,
    );
  }
  const name = text.slice(0, equals);
  return [jobSetting(name, `${option} ${name.slice(0, 80)}`), text.slice(equals + 1)];
}

/** Throws RlcfError("usage") unless the overrides go together; what a host adds is checked there. */
export function checkTogether(policyType: string, overrides: Overrides): PolicyType {
  return resolveConfig({ flags: { "training.policy_type": policyType, ...overrides } }).config.training.policyType;
}

/** The job as it is kept in the queue. */
export function jobToJson({ policyType, overrides, policyVersion }: TrainingJob): JsonObject {
  return { policy_type: policyType, set: overrides, policy_version: policyVersion };
}

/**
 * The job of a row. Rows can be written by others, so everything is checked as if it had been typed.
 *
 * @throws RlcfError `usage`
 */
export function jobFromJson(json: unknown): TrainingJob {
  const row = expectObject(json, "job");
  const overrides: Record<string, SettingValue> = {};
  for (const [name, value] of Object.entries(expectObject(row.set ?? {}, "job.set"))) {
    const key = jobSetting(name, "the job");
    overrides[key] = jobValue(key, value, "the job");
  }
  const policyVersion = row.policy_version ?? null;
  return {
    policyType: checkTogether(expectText(row.policy_type, "job.policy_type", 50), overrides),
    overrides,
    policyVersion: policyVersion === null ? null : expectText(policyVersion, "job.policy_version", 50),
  };
}

/** The overrides in one line, e.g. `training.seed=3 training.epochs=2`. */
export function overridesText(set: Readonly<Record<string, unknown>>): string {
  return Object.entries(set).map(([key, value]) => `${key}=${Array.isArray(value) ? value.join(",") : value}`).join(
    " ",
  );
}
