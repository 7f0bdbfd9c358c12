/**
 * What the tests of the configuration share: errors as text, and a configuration by setting.
 *
 * @module
 */
import { ok } from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { effectiveConfig } from "../../src/config/effective.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { ConfigInputs, ResolvedConfig } from "../../src/config/resolve.ts";
import type { Config, SettingKey } from "../../src/config/schema.ts";
import type { SettingValue } from "../../src/config/setting.ts";

/** The configuration when nothing is given. */
export function defaultConfig(): Config {
  return resolveConfig({}).config;
}

/** The configuration of a file named `c.yaml` with this text, and whatever else is given. */
export function resolveText(text: string, others: Omit<ConfigInputs, "file"> = {}): ResolvedConfig {
  return resolveConfig({ file: { path: "c.yaml", text }, ...others });
}

/** The message of the usage error that the action must end in. */
export function usageError(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    ok(error instanceof RlcfError && error.code === "usage", `not a usage error: ${error}`);
    return error.message;
  }
  throw new Error("wanted a usage error, but nothing was thrown");
}

/** The problems that a file named `c.yaml` with this text has, one each, without the action they share. */
export function problemsOf(text: string): string[] {
  return usageError(() => resolveText(text)).replace(/^cannot use the configuration(?:: |, \d+ problems:\n)/, "").split(
    "\n",
  );
}

/** The values in force by full name of the setting. */
export function valuesOf(resolved: ResolvedConfig): Record<SettingKey, SettingValue> {
  const rows = effectiveConfig(resolved).map(({ key, value }) => [key, value]);
  return Object.fromEntries(rows) as Record<SettingKey, SettingValue>;
}
