/**
 * `rlcf policy`: the registry of versions.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { RlcfError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import type { PolicyCheckpoint, RLCFPersistence } from "../store/persistence.ts";
import { command, type CommonOptions, configured, memoryNotice, openStore } from "./context.ts";
import { PartialFailure } from "./failure.ts";
import { showVersion } from "./policy_view.ts";
import { sayTable, shortTime } from "./table.ts";
import { printResult, say } from "./terminal.ts";

/** The command and its subcommands. */
export function policyCommand(): Command {
  // A plain command: options of its own would take those meant for the subcommands.
  const policy = new Command("policy").description("list, show, verify, tag and activate versions of the policy");
  for (const sub of [list(), show(), activate(), rollback(), tag(), verify()]) policy.addCommand(sub);
  return policy as unknown as Command;
}

/** The tag of a version that was given none of its own. */
const DEFAULT_TAG = "kept";

type PolicyOptions = CommonOptions & { readonly policyType?: string | undefined };

/** A subcommand with the options that all of them take. */
function subcommand(name: string, summary: string): Command<[], PolicyOptions> {
  return command(name, summary).option(
    "--policy-type <type>",
    "whose versions (gating, react, traversal; default gating)",
  ) as unknown as Command<
    [],
    PolicyOptions
  >;
}

/** Opens the store of a subcommand and runs it. */
async function within(
  options: PolicyOptions,
  work: (store: RLCFPersistence, config: Config) => Promise<void>,
): Promise<void> {
  const resolved = await configured(options, { "training.policy_type": options.policyType });
  await using store = await openStore(resolved, "empty");
  const notice = memoryNotice(store, resolved);
  if (notice !== undefined) say(`note: ${notice}`);
  await work(store, resolved.config);
}

function list(): Command {
  const sub = subcommand("list", "every version, newest first");
  sub.action((options) =>
    within(options, async (store, config) => {
      const rows = await store.listPolicyCheckpoints(config.training.policyType);
      if (options.json) return printResult(JSON.stringify({ checkpoints: rows.map(toJson) }));
      if (rows.length === 0) return say(`no ${config.training.policyType} version is stored in ${store.location}`);
      sayTable(
        ["version", "active", "parent", "episodes", "created (UTC)", "tag"],
        rows.map((row) => [
          row.version,
          row.isActive ? "*" : "",
          row.parentVersion,
          row.trainingEpisodes,
          shortTime(row.createdAt),
          row.tag ?? "",
        ]),
      );
    })
  );
  return sub as unknown as Command;
}

function show(): Command {
  const sub = subcommand("show", "one version with its settings and metrics").argument(
    "[version]",
    "the active one by default",
  );
  sub.action((version, options) =>
    within(options, async (store, config) => {
      const row = await find(store, config.training.policyType, version);
      const activations = (await store.listActivations(row.policyType)).filter(({ toVersion }) =>
        toVersion === row.version
      );
      if (options.json) {
        return printResult(JSON.stringify({
          ...toJson(row),
          config: row.config,
          training_metrics: row.trainingMetrics,
          bench: row.bench,
          activations: activations.map(({ activatedAt, fromVersion, activatedBy, reason }) => ({
            activated_at: activatedAt,
            from_version: fromVersion,
            activated_by: activatedBy,
            reason,
          })),
        }));
      }
      showVersion(row, activations, config.checkpoint.directory);
    })
  );
  return sub as unknown as Command;
}

function activate(): Command {
  const sub = subcommand("activate", "make a version the active one").argument("<version>")
    .option("--reason <text>", "why, for the history", "activated by hand");
  sub.action((version, options) =>
    within(options, async (store, config) => {
      const row = await find(store, config.training.policyType, version);
      await switchTo(store, config, row, options.reason, options.json === true);
    })
  );
  return sub as unknown as Command;
}

function rollback(): Command {
  const sub = subcommand("rollback", "make the previously active version active again")
    .option("--reason <text>", "why, for the history", "rolled back by hand");
  sub.action((options) =>
    within(options, async (store, config) => {
      const { policyType } = config.training;
      const [latest] = await store.listActivations(policyType, 1);
      if (latest === undefined || latest.fromVersion === null) {
        throw new RlcfError("checkpoint", `cannot roll back: no ${policyType} version was active before this one`, {
          hint: `rlcf policy list${flagFor(policyType)} shows the versions; rlcf policy activate${
            flagFor(policyType)
          } VERSION takes any of them.`,
        });
      }
      const row = await find(store, policyType, latest.fromVersion);
      await switchTo(store, config, row, options.reason, options.json === true);
    })
  );
  return sub as unknown as Command;
}

function tag(): Command {
  const sub = subcommand("tag", "keep a version for good: one with a tag is never removed")
    .argument("<version>")
    .argument("[tag]", "its name", DEFAULT_TAG)
    .option("--remove", "take the tag away");
  sub.action((version, name, options) =>
    within(options, async (store, config) => {
      const isRemoval = options.remove === true;
      if (isRemoval && name !== DEFAULT_TAG) {
        throw new RlcfError("usage", `cannot tag ${version}: found a tag and --remove, wanted one of them`);
      }
      const row = await find(store, config.training.policyType, version);
      const given = isRemoval ? null : name;
      await store.tagPolicyCheckpoint(row.version, row.policyType, given);
      if (options.json) {
        return printResult(JSON.stringify({ policy_type: row.policyType, version: row.version, tag: given }));
      }
      if (given === null && row.tag === null) return say(`${row.policyType}: ${row.version} had no tag`);
      say(
        given === null
          ? `${row.policyType}: ${row.version} has lost its tag ${row.tag}; it may be removed as its turn comes`
          : `${row.policyType}: ${row.version} is tagged ${given} and will be kept`,
      );
    })
  );
  return sub as unknown as Command;
}

function verify(): Command {
  const sub = subcommand("verify", "compare the files of versions with their hashes")
    .argument("[version]", "every version by default");
  sub.action((version, options) =>
    within(options, async (store, config) => {
      const { policyType } = config.training;
      const rows = version === undefined
        ? await store.listPolicyCheckpoints(policyType)
        : [await find(store, policyType, version)];
      const results = await Promise.all(
        rows.map(async (row) => {
          // An imported version that was never active here has no weights yet: nothing can be wrong with them.
          const isEmpty = row.stateDictPath === null && !row.isActive && version === undefined;
          return { version: row.version, problems: isEmpty ? [] : await problemsOf(row, config), isEmpty };
        }),
      );
      const broken = results.filter(({ problems }) => problems.length > 0);
      if (!options.json && results.length > 0) {
        sayTable(
          ["version", "verdict"],
          results.map((row) => [
            row.version,
            row.problems.join("; ") || (row.isEmpty ? "no files yet: rlcf import --checkpoint FILE" : "intact"),
          ]),
        );
      }
      if (broken.length > 0) {
        const failure = new RlcfError("checkpoint", `${broken.length} of ${results.length} checkpoints are broken`, {
          hint: `Restore their files from a backup, or activate an intact version: rlcf policy activate${
            flagFor(policyType)
          } VERSION`,
        });
        throw new PartialFailure(failure, { versions: results.map(verdictJson) });
      }
      if (options.json) printResult(JSON.stringify({ status: "intact", versions: results.map(verdictJson) }));
      else if (results.length === 0) say(`no ${policyType} version is stored in ${store.location}`);
    })
  );
  return sub as unknown as Command;
}

function verdictJson({ version, problems }: { version: string; problems: readonly string[] }): {
  version: string;
  problems: readonly string[];
} {
  return { version, problems };
}

/** The flag that a command for this type needs, with a space before it; none for gating. */
function flagFor(policyType: string): string {
  return policyType === "gating" ? "" : ` --policy-type ${policyType}`;
}

/** Activates a version whose files are intact. */
async function switchTo(
  store: RLCFPersistence,
  config: Config,
  row: PolicyCheckpoint,
  reason: string,
  json: boolean,
): Promise<void> {
  const problems = await problemsOf(row, config);
  if (problems.length > 0) {
    throw new RlcfError("checkpoint", `cannot activate ${row.version}: ${problems.join("; ")}`, {
      hint: "The active version was left as it is.",
    });
  }
  const before = await store.getActivePolicy(row.policyType);
  if (!json && before?.version === row.version) {
    return say(`${row.policyType}: ${row.version} is the active one already`);
  }
  await store.activatePolicy(row.version, row.policyType, { reason });
  if (json) {
    return printResult(JSON.stringify({ from_version: before?.version ?? null, to_version: row.version, reason }));
  }
  say(`${row.policyType}: ${row.version} is active now, before it ${before?.version ?? "none"}`);
}

/** The version asked for, or the active one. */
async function find(
  store: RLCFPersistence,
  policyType: string,
  version: string | undefined,
): Promise<PolicyCheckpoint> {
  const row = version === undefined
    ? await store.getActivePolicy(policyType)
    : await store.getPolicyCheckpoint(version, policyType);
  if (row !== null) return row;
  const wanted = version === undefined
    ? `no ${policyType} policy is active`
    : `${policyType} has no version ${version}`;
  throw new RlcfError("checkpoint", `Policy checkpoint not found: ${wanted} in ${store.location}`, {
    hint: `rlcf policy list${flagFor(policyType)} shows the versions that there are.`,
  });
}

async function problemsOf(row: PolicyCheckpoint, config: Config): Promise<string[]> {
  if (row.stateDictPath === null) return ["no files are on record"];
  const { verifyCheckpoint } = await import("../checkpoint/load.ts");
  return await verifyCheckpoint(config.checkpoint.directory, row.stateDictPath, row.manifestSha256 ?? undefined);
}

function toJson(row: PolicyCheckpoint): Record<string, unknown> {
  return {
    policy_type: row.policyType,
    version: row.version,
    active: row.isActive,
    parent_version: row.parentVersion,
    path: row.stateDictPath,
    sha256: row.manifestSha256,
    training_session_id: row.trainingSessionId,
    training_episodes: row.trainingEpisodes,
    tag: row.tag,
    created_at: row.createdAt,
    activated_at: row.activatedAt,
  };
}
