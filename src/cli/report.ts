/**
 * `rlcf report`: one version as a page for lawyers and engineers.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import type { JsonObject } from "../base/check.ts";
import type { ReportData } from "../report/report_data.ts";
import { command, configured, helpOf, memoryNotice, openStore } from "./context.ts";
import { checkReplaceable, writeReport } from "./report_file.ts";
import { bold, printResult, say } from "./terminal.ts";

/** The command. */
export function reportCommand(): Command {
  const report = command("report", "one version as a page to read, print and hand on: value, routing, verdict, data")
    .argument("[version]", "the active one by default")
    .option("--output <file>", "where the page is written (default report-TYPE-VERSION.html)")
    .option("--force", "replace the file even if it is no report")
    .option("--policy-type <type>", "whose version (gating, react, traversal; default gating)")
    .option("--lookback-days <n>", helpOf("database.lookback_days"))
    .option("--max-episodes <n>", helpOf("training.max_episodes"));
  report.action(async (version, options) => {
    const resolved = await configured(options, {
      "training.policy_type": options.policyType,
      "training.max_episodes": options.maxEpisodes,
      "database.lookback_days": options.lookbackDays,
    });
    const { config } = resolved;
    const force = options.force === true;
    const { REPORT_MARKER, reportPage } = await import("../report/page.ts");
    // Before the work, which may take a while; the name of the default file is not known yet.
    if (options.output !== undefined) await checkReplaceable(options.output, REPORT_MARKER, force);
    await using store = await openStore(resolved, "empty");
    const notice = memoryNotice(store, resolved);
    if (notice !== undefined) say(`note: ${notice}`);
    const { describeVersion } = await import("../session/version_report.ts");
    const data = await describeVersion({
      store,
      config,
      policyType: config.training.policyType,
      version,
      now: new Date(),
    });
    const path = options.output ?? defaultName(data);
    await writeReport(path, reportPage(data), REPORT_MARKER, force);
    const { headlineOf } = await import("../report/words.ts");
    if (options.json) return printResult(JSON.stringify({ path, ...summaryOf(data) }));
    for (const note of data.notes) say(`note: ${note}`);
    say(`${bold(data.version.version)}: ${headlineOf(data.recorded).title}`);
    printResult(path);
  });
  return report as unknown as Command;
}

/** Versions may hold any character; a file's name may not. */
function defaultName({ version: { policyType, version } }: ReportData): string {
  return `report-${policyType}-${version}`.replaceAll(/[^\w.-]/g, "_") + ".html";
}

/** What the page says, for programs. */
function summaryOf({ version, previous, recorded, value, changes, log, notes }: ReportData): JsonObject {
  return {
    policy_type: version.policyType,
    version: version.version,
    active: version.isActive,
    previous_version: previous,
    verdict: recorded.gate?.verdict ?? null,
    values: value === null ? null : {
      source: value.source,
      method: value.method,
      episodes: value.episodes,
      routings: value.rows.map(({ role, version, value, interval, effective }) => ({
        routing: role,
        version,
        value,
        interval,
        effective_sample_size: effective,
      })),
      not_identified: value.notIdentified,
    },
    changes: changes === null ? null : {
      against: changes.against,
      mean_change: changes.mean,
      queries: changes.queries,
      other_expert: changes.otherExpert,
      most_changed: changes.most.map(({ queryIds, change }) => ({ query_ids: queryIds, change })),
    },
    log: {
      since: log.since,
      until: log.until,
      available: log.available,
      used: log.used,
      skipped: log.skipped,
      episodes: log.episodes,
      holdout: log.holdout,
      kind: log.deterministic && log.mix === "sampled" ? "deterministic" : log.mix,
      users: log.users,
    },
    notes,
  };
}
