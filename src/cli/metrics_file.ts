/**
 * What a training run leaves for Prometheus: one text file that node_exporter's textfile collector reads. It keeps that
 * collector's rules: the name ends in `.prom`, the file appears whole or not at all, every family has HELP and TYPE, no
 * sample has a time stamp of its own, anybody may read it.
 *
 * Files: the one that was named, and beside it for a moment `.NAME-XXXXXXXX.tmp`.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { TrainReport } from "../session/report.ts";
import { EXIT_CODES, EXIT_OK, EXIT_UNEXPECTED } from "./exit_codes.ts";
import { say } from "./terminal.ts";

/** A sample: its labels and its value. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** One metric: its name after `rlcf_train_`, what it means, its samples. All are gauges: a run is over when they are read. */
type Family = readonly [name: string, help: string, samples: readonly Sample[]];

/** The first line of every file of ours. */
const MARK = "# Written by rlcf train.";
const PREFIX = "rlcf_train_";
/** Families that describe the run, whatever became of it; all others describe the last run that completed. */
const OF_THE_RUN = /^(?:# (?:HELP|TYPE) )?rlcf_train_last_run_/;

/**
 * Runs a training and records how it went. The run counts for more than its record: once it has begun, a file that
 * cannot be written is a warning.
 *
 * @param path where the record is written; undefined for none
 * @throws {RlcfError} `usage` before the run begins if the file cannot be written; and whatever the run throws
 */
export async function recorded(
  path: string | undefined,
  policyType: string,
  run: () => Promise<TrainReport>,
): Promise<TrainReport> {
  if (path === undefined) return await run();
  await writeMetrics(path, await readOwn(path));
  const start = performance.now();
  const record = async (exitCode: number, completed: (earlier: string) => string): Promise<void> => {
    const families = familiesOfRun(policyType, exitCode, (performance.now() - start) / 1000);
    try {
      const earlier = (await readOwn(path)).split("\n").slice(1).filter((line) =>
        line !== "" && !OF_THE_RUN.test(line)
      );
      await writeMetrics(path, `${MARK}\n${textOf(families)}${completed(earlier.map((line) => `${line}\n`).join(""))}`);
    } catch (thrown) {
      say(`warning: ${messageOf(thrown)}`);
    }
  };
  try {
    const report = await run();
    await record(EXIT_OK, () => textOf(familiesOf(report)));
    return report;
  } catch (thrown) {
    await record(thrown instanceof RlcfError ? EXIT_CODES[thrown.code] : EXIT_UNEXPECTED, (earlier) => earlier);
    throw thrown;
  }
}

function familiesOfRun(policyType: string, exitCode: number, seconds: number): Family[] {
  const one = (value: number): Sample[] => [[{ policy_type: policyType }, value]];
  return [
    ["last_run_timestamp_seconds", "When the last run ended, seconds since 1970.", one(Date.now() / 1000)],
    ["last_run_duration_seconds", "How long the last run took.", one(seconds)],
    ["last_run_success", "1 if the last run completed, else 0.", one(exitCode === EXIT_OK ? 1 : 0)],
    ["last_run_exit_code", "Exit code of the last run; the README says what each means.", one(exitCode)],
  ];
}

/** What is known of a run that completed. */
function familiesOf(report: TrainReport): Family[] {
  const { policy_type, episodes, evaluation, throughput } = report;
  const sample = (value: number, labels: Readonly<Record<string, string>> = {}): Sample => [
    { policy_type, ...labels },
    value,
  ];
  const labelled = (label: string, values: Readonly<Record<string, number | null | undefined>>): Sample[] =>
    Object.entries(values).flatMap(([name, value]) => value == null ? [] : [sample(value, { [label]: name })]);
  const { method } = evaluation.gate;
  const info = {
    version: report.version,
    parent_version: report.parent_version ?? "",
    backend: report.backend,
    device: report.device,
  };
  return [
    ["last_success_timestamp_seconds", "When a run last completed, seconds since 1970.", [sample(Date.now() / 1000)]],
    ["version_info", "The version that the last completed run made; always 1.", [sample(1, info)]],
    ["activated", "1 if that version was made the active one, else 0.", [sample(report.activated ? 1 : 0)]],
    [
      "episodes",
      "Feedback rows found, episodes trained on, episodes held out.",
      labelled("set", { available: episodes.available, trained: episodes.trained, holdout: episodes.holdout }),
    ],
    ["skipped", "Feedback rows that could not be used, by reason.", labelled("reason", episodes.skipped)],
    ["updates", "Optimizer steps.", [sample(report.updates)]],
    [
      "value",
      "Estimated mean reward on the held-out queries, of each routing.",
      labelled("routing", {
        log: evaluation.logged_value,
        active_before: evaluation.active?.[method],
        new: evaluation.candidate?.[method],
      }),
    ],
    ["device_fallbacks", "Changes of backend that a failing GPU forced.", [sample(report.fallbacks.length)]],
    ["load_rows_per_second", "Feedback rows read per second.", [sample(throughput.load_rows_per_s)]],
    ["episodes_per_second", "Episodes trained on per second.", [sample(throughput.train_episodes_per_s)]],
  ];
}

/** The families as Prometheus' text format has them; one without samples is left out. */
function textOf(families: readonly Family[]): string {
  return families.filter(([, , samples]) => samples.length > 0).map(([name, help, samples]) => {
    const lines = samples.map(([labels, value]) => {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
      return `${PREFIX}${name}{${pairs.join(",")}} ${numberText(value)}\n`;
    });
    return `# HELP ${PREFIX}${name} ${help}\n# TYPE ${PREFIX}${name} gauge\n${lines.join("")}`;
  }).join("");
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  return Number.isFinite(value) ? String(value) : Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

/** The file of an earlier run, or just the mark; never somebody else's. */
async function readOwn(path: string): Promise<string> {
  if (!path.endsWith(".prom")) {
    throw cannotWrite(path, 'wanted a name that ends in ".prom": node_exporter reads no other');
  }
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return `${MARK}\n`;
    throw cannotWrite(path, messageOf(thrown), thrown);
  }
  if (!text.startsWith(`${MARK}\n`)) throw cannotWrite(path, "found a file that rlcf did not write");
  return text;
}

async function writeMetrics(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}-${crypto.randomUUID().slice(0, 8)}.tmp`);
  try {
    await Deno.writeTextFile(temporary, text, { createNew: true });
    // Whatever the umask says: node_exporter runs as another user.
    if (Deno.build.os !== "windows") await Deno.chmod(temporary, 0o644);
    await Deno.rename(temporary, path);
  } catch (thrown) {
    await Deno.remove(temporary).catch(() => {});
    throw cannotWrite(path, messageOf(thrown), thrown);
  }
}

function cannotWrite(path: string, why: string, cause?: unknown): RlcfError {
  return new RlcfError("usage", `cannot write the metrics to ${path}: ${why}`, {
    hint: "--metrics-file names a file NAME.prom in a directory that exists and can be written.",
    cause,
  });
}
