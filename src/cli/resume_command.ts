/**
 * The command that takes up an interrupted session, as it can be typed.
 *
 * @module
 */
import { maskedUrl } from "../base/secrets.ts";
import { quoted } from "../base/shell.ts";

/** The options of `train` that a resumed run needs again: where everything is, and what decides its result. */
export interface RepeatedOptions {
  /** The configuration file. */
  readonly config?: string | undefined;
  /** URL of the database; its password is not repeated. */
  readonly database?: string | undefined;
  /** `training.policy_type`. */
  readonly policyType?: string | undefined;
  /** `training.max_episodes`. */
  readonly maxEpisodes?: string | undefined;
  /** `training.epochs`. */
  readonly epochs?: string | undefined;
  /** `compute.backend`. */
  readonly backend?: string | undefined;
  /** `training.seed`. */
  readonly seed?: string | undefined;
  /** False where `--no-activate` was given. */
  readonly activate?: boolean | undefined;
}

/**
 * The command line of `train --resume` with the flags of the interrupted one. The window of the log is part of what was
 * saved, so `--lookback-days` and `--policy-version` are left out. A password becomes `***`, and that is said.
 */
export function resumeCommand(options: RepeatedOptions): string {
  const { config, database, policyType, maxEpisodes, epochs, backend, seed } = options;
  const masked = database === undefined ? undefined : maskedUrl(database);
  const values = {
    "--config": config,
    "--database": masked,
    "--policy-type": policyType,
    "--max-episodes": maxEpisodes,
    "--epochs": epochs,
    "--backend": backend,
    "--seed": seed,
  };
  const words = Object.entries(values).flatMap(([flag, value]) => value === undefined ? [] : [flag, quoted(value)]);
  if (options.activate === false) words.push("--no-activate");
  const command = ["rlcf train --resume", ...words].join(" ");
  return masked === database ? command : `${command} (with the password in place of ***)`;
}
