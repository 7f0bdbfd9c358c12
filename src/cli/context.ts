/**
 * What every command needs: its options, the configuration in force, the store, and one way to end.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { JsonObject } from "../base/check.ts";
import { effectiveConfig } from "../config/effective.ts";
import { loadConfig } from "../config/load.ts";
import type { FlagValues, ResolvedConfig } from "../config/resolve.ts";
import { type SettingKey, settings } from "../config/schema.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { showLogs } from "./logging.ts";
import { say } from "./terminal.ts";

/** Options that every command takes. */
export type CommonOptions = {
  readonly config?: string | undefined;
  readonly database?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly json?: true | undefined;
};

/** The heading of the options that every command takes. */
export const COMMON_OPTIONS = "Common options:";

/** A command with the options that every command takes, which `--help` lists last. */
export function command(name: string, summary: string): Command<[], CommonOptions> {
  return new Command(name)
    .summary(summary)
    .description(summary)
    .optionsGroup(COMMON_OPTIONS)
    .option("--config <file>", "configuration file (config/rlcf_training.yaml if there is one)")
    .option(
      "--database <url>",
      "sqlite:///file.db, postgresql://user@host/name, ... (environment: RLCF_ASYNC_DATABASE_URL, the place for a " +
        "URL with a password: every user of this machine can read the command line of a process)",
    )
    .option("--log-level <level>", helpOf("logging.level"))
    .option("--json", "print exactly one JSON object on stdout")
    .optionsGroup("Options:") as unknown as Command<[], CommonOptions>;
}

/** Puts the configuration together, shows logs from its level on, and says what a file has that is not used. */
export async function configured(options: CommonOptions, flags: FlagValues = {}): Promise<ResolvedConfig> {
  const resolved = await loadConfig({
    path: options.config,
    flags: { "database.url": options.database, "logging.level": options.logLevel, ...flags },
    env: (name) => Deno.env.get(name),
  });
  await showLogs(resolved.config.logging.level);
  for (const notice of resolved.notices) say(`note: ${notice}`);
  return resolved;
}

/**
 * The store of a configuration. Kysely and a driver are loaded only now, so that `--help` does not wait for them.
 *
 * @param ifMissing what to do where SQLite's file does not exist: commands that only read make none
 */
export async function openStore(
  { config }: ResolvedConfig,
  ifMissing: "create" | "empty" = "create",
): Promise<RLCFPersistence> {
  const { createPersistence } = await import("../store/create.ts");
  const { parseDatabaseUrl } = await import("../store/url.ts");
  const url = config.database.url ?? "sqlite://";
  // Only PostgreSQL is somewhere else: from here on nothing of this process reaches the network.
  if (parseDatabaseUrl(url).dialect === "sqlite") await Deno.permissions.revoke({ name: "net" });
  return await createPersistence(url, { poolSize: config.database.poolSize, ifMissing });
}

/**
 * What to tell a user whose database is in memory, which is empty at every start and gone at every end; undefined for
 * any other.
 */
export function memoryNotice(store: RLCFPersistence, { config }: ResolvedConfig): string | undefined {
  if (store.location !== "sqlite://") return undefined;
  const why = config.database.url === null ? "no database is named, so this one" : "this database";
  return `${why} is in memory: empty at every start, gone at every end; ` +
    "name one with --database, RLCF_ASYNC_DATABASE_URL or database.url in the configuration";
}

/** The configuration as nested JSON in snake_case, with any password masked: for records and for `--dry-run`. */
export function configToJson(resolved: ResolvedConfig): JsonObject {
  const json: Record<string, Record<string, unknown>> = {};
  for (const { key, value } of effectiveConfig(resolved)) {
    const [section, name] = key.split(".") as [string, string];
    (json[section] ??= {})[name] = value;
  }
  return json;
}

/** The help text of the flag that overrides a setting: what it means, the values it takes, and where else it is given. */
export function helpOf(key: SettingKey): string {
  const setting = settings.get(key)!;
  const facts = [
    setting.wanted.replace(/^one of /, ""),
    `default ${setting.default}`,
    ...setting.environment === undefined ? [] : [`environment: ${setting.environment}`],
  ];
  return `${setting.help} (${facts.join("; ")})`;
}
