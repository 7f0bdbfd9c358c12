/**
 * `rlcf import`: what the Python original left, its database and its checkpoints.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { basename } from "node:path";
import { RlcfError } from "../base/errors.ts";
import { quoted } from "../base/shell.ts";
import type { ImportReport, TableCounts } from "../import/import_database.ts";
import { command, type CommonOptions, configured, memoryNotice, openStore } from "./context.ts";
import { PartialFailure } from "./failure.ts";
import { Counter } from "./progress.ts";
import { Rejects } from "./rejects.ts";
import { count, sayTable } from "./table.ts";
import { printResult, say } from "./terminal.ts";

/** Options of an import, of both kinds. */
interface ImportOptions extends CommonOptions {
  readonly from?: string | undefined;
  readonly checkpoint?: string | undefined;
  readonly rejects?: string | undefined;
  readonly dryRun?: true | undefined;
  readonly policyVersion?: string | undefined;
  readonly policyType?: string | undefined;
  readonly activate?: true | undefined;
}

/** The command. */
export function importCommand(): Command {
  const importer = command("import", "take over a database or a checkpoint of MERL-T, the Python original")
    .option("--from <url>", "its database, which is only read; importing it twice adds nothing")
    .option("--rejects <file>", "write rows that cannot be used there, each with the reason (with --from)")
    .option("--checkpoint <file>", "its weights: a file that torch.save wrote, gating_vX.Y.Z.pt")
    .option("--policy-version <version>", "the version they become (default: the file's, else the next one)")
    .option("--policy-type <type>", "which policy they are of; only gating can be imported")
    .option("--activate", "make that version the active one")
    .option("--dry-run", "say what would be done, and write nothing");
  importer.action(async (options) => {
    checkCombination(options);
    if (options.from !== undefined) await importLog(options, options.from);
    else await importWeights(options, options.checkpoint!);
  });
  return importer as unknown as Command;
}

function checkCombination(options: ImportOptions): void {
  const { from, checkpoint } = options;
  if ((from === undefined) === (checkpoint === undefined)) {
    const found = from === undefined ? "neither --from nor --checkpoint" : "both --from and --checkpoint";
    throw new RlcfError("usage", `cannot import: found ${found}, wanted one of them`, {
      hint: "The database first, then the checkpoints: they find their rows by version.",
    });
  }
  const strangers = from === undefined ? ["rejects"] as const : ["policyVersion", "policyType", "activate"] as const;
  const stranger = strangers.find((name) => options[name] !== undefined);
  if (stranger === undefined) return;
  const flag = `--${stranger.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new RlcfError(
    "usage",
    `cannot import: ${flag} goes with ${from === undefined ? "--from" : "--checkpoint"} only`,
  );
}

/** Imports the original's database. */
async function importLog(options: ImportOptions, from: string): Promise<void> {
  const resolved = await configured(options);
  const { isLegacy, LegacySource } = await import("../import/legacy_source.ts");
  const { isSameDatabase } = await import("../import/read_only.ts");
  const target = resolved.config.database.url ?? "sqlite://";
  const { importDatabase } = await import("../import/import_database.ts");
  if (isSameDatabase(from, target)) {
    throw new RlcfError("usage", "cannot import: --from and --database name the same database", {
      hint: "The tables of the two have the same names: give rlcf a database of its own.",
    });
  }
  await using source = await LegacySource.open(from);
  // Opening it as ours would fail too, after changes to a SQLite file's journal.
  if (await isLegacy(target)) {
    throw new RlcfError("usage", `cannot import: --database names a database of MERL-T, wanted one for rlcf`, {
      hint: "The tables of the two have the same names: give rlcf a database of its own.",
    });
  }
  await using store = await openStore(resolved, options.dryRun ? "empty" : "create");
  using rejects = new Rejects(options.rejects, []);
  using counter = new Counter("rows");
  const report = await importDatabase(source, store, {
    dryRun: options.dryRun === true,
    onReject: ({ table, number, reason, text }) => {
      counter.clear();
      rejects.add({ file: table, number, text }, reason);
    },
    onProgress: (rows) => counter.update(rows),
  });
  counter.clear();
  rejects.sayRest();
  const notice = memoryNotice(store, resolved);
  if (notice !== undefined) say(`warning: nothing of this is kept: ${notice}`);
  const result = { status: options.dryRun ? "dry_run" : "imported", from: source.location, ...report };
  if (rejects.count > 0 && usable(report) === 0) {
    const failure = new RlcfError("usage", `cannot import anything: all ${count(rejects.count)} rows were rejected`);
    throw new PartialFailure(failure, { ...report });
  }
  if (options.json) return printResult(JSON.stringify(result));
  show(report, options, store.location);
}

/** Rows that are stored now or were before. */
function usable(report: ImportReport): number {
  return [report.traces, report.feedback, report.sessions, report.checkpoints]
    .reduce((sum, { stored, known }) => sum + stored + known, 0);
}

function show(report: ImportReport, options: ImportOptions, location: string): void {
  const kinds: [string, TableCounts][] = (["traces", "feedback", "sessions", "checkpoints"] as const)
    .map((kind) => [kind, report[kind]]);
  sayTable(
    ["table", "read", options.dryRun ? "would be stored" : "stored", "there already", "rejected"],
    kinds.map(([name, { read, stored, known, rejected }]) => [name, read, stored, known, rejected]),
  );
  for (const [reason, rows] of Object.entries(report.rejected)) say(`rejected, ${reason}: ${count(rows)}`);
  for (const [repair, rows] of Object.entries(report.repaired)) say(`put right, ${repair}: ${count(rows)}`);
  say(options.dryRun ? "nothing was written" : `stored in ${location}`);
  for (const { policy_type, version, path } of report.was_active) {
    say(
      `next: ${policy_type} ${version} was active, and its weights are in a file of their own: ` +
        `rlcf import --checkpoint ${path === null ? "FILE" : quoted(path)} --activate`,
    );
  }
}

/** Imports weights. */
async function importWeights(options: ImportOptions, file: string): Promise<void> {
  const resolved = await configured(options, { "training.policy_type": options.policyType });
  const { config } = resolved;
  const { readTorchCheckpoint, registrationOf } = await import("../import/torch_checkpoint.ts");
  const { registerPolicy } = await import("../session/register_policy.ts");
  const policy = registrationOf(await readTorchCheckpoint(file), basename(file), {
    policyType: config.training.policyType,
    version: options.policyVersion,
  });
  await using store = await openStore(resolved, options.dryRun ? "empty" : "create");
  const registered = await registerPolicy(store, config, policy, options.dryRun === true);
  const { version, outcome, path, sha256 } = registered;
  const { policyType } = config.training;
  const activate = options.activate === true && options.dryRun !== true;
  if (activate) {
    await store.activatePolicy(version, policyType, { by: "import", reason: `imported from ${basename(file)}` });
  }
  const notice = memoryNotice(store, resolved);
  if (notice !== undefined) say(`warning: the version is not kept: ${notice}`);
  if (options.json) {
    return printResult(JSON.stringify({
      status: options.dryRun ? "dry_run" : "imported",
      policy_type: policyType,
      version,
      outcome,
      activated: activate,
      checkpoint: { path, sha256: sha256 === "" ? null : sha256 },
    }));
  }
  if (options.dryRun) return say(`would be stored as ${policyType} ${version} in ${path}; nothing was written`);
  const done = {
    new: `stored ${basename(file)} as ${policyType} ${version}`,
    files: `stored ${basename(file)} as the weights of ${policyType} ${version}, which had none`,
    unchanged: `${policyType} ${version} has these weights already`,
  };
  say(`${done[outcome]}${activate ? "; it is active now" : ""}`);
  if (!activate) say(`next: rlcf policy activate ${quoted(version)}`);
}
