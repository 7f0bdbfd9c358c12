/**
 * `rlcf doctor`: what is wrong with the database, the checkpoints and this machine, and how to mend it.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { AreaVerdict, Examination, Treatment } from "../doctor/examine.ts";
import type { Finding } from "../doctor/finding.ts";
import type { Patient } from "../doctor/patient.ts";
import { command, configured } from "./context.ts";
import { showDoctor } from "./doctor_view.ts";
import { EXIT_CODES, EXIT_OK, EXIT_UNEXPECTED } from "./exit_codes.ts";
import { Answer } from "./failure.ts";
import { printResult } from "./terminal.ts";

/** What `doctor --json` prints: one of these. */
export interface DoctorReport {
  /** `clean` where nothing but notes was found, or is left after `--fix`. */
  readonly status: "clean" | "findings";
  /** The database, with any password masked. */
  readonly database: string;
  /** The checkpoint directory. */
  readonly checkpoint_directory: string;
  /** Every area and how it was found; after `--fix`, how it is now. */
  readonly areas: readonly AreaVerdict[];
  /** What was found; after `--fix`, what is left. */
  readonly findings: readonly (Pick<Finding, "area" | "severity" | "what" | "cause" | "mend"> & {
    /** Whether `--fix` mends it. */
    readonly fixable: boolean;
  })[];
  /** What `--fix` did; empty without it. */
  readonly fixed: readonly Treatment[];
  /** The exit code: 0 clean; 4 database; 6 files of the active version, or their directory; 7 backend; 1 anything else. */
  readonly exit_code: number;
}

/** A database that is not there is a finding: whoever looks after an installation must hear of a name that is wrong. */
const EXIT_HELP = `
Exit codes, after --fix of what is left:
  0  clean: nothing but notes
  1  findings, of which none is one of those below; a database that is named and
     does not exist is one; also a defect of rlcf, which then says so
  2  the command line or the configuration cannot be used
  4  the database cannot be reached, read or used
  6  files of the active version are broken, or their directory cannot be used
  7  a backend does not work`;

/** The command. */
export function doctorCommand(): Command {
  const doctor = command(
    "doctor",
    "examine database, checkpoints, leases and backends; say what is wrong and how to mend it",
  )
    .option("--fix", "mend what can be mended without losing anything, and say what was done")
    .addHelpText("after", EXIT_HELP);
  doctor.action(async (options) => {
    const resolved = await configured(options);
    const report = await withPatient(resolved, async (patient) => {
      const { examine, treat, verdictOf } = await import("../doctor/examine.ts");
      let found = await examine(patient);
      const fixed = options.fix ? await treat(found.findings) : [];
      if (fixed.length > 0) found = await examine(patient);
      const verdict = verdictOf(found.findings);
      const exitCode = verdict === null ? EXIT_OK : verdict === "findings" ? EXIT_UNEXPECTED : EXIT_CODES[verdict];
      return reportOf(patient, found, fixed, exitCode);
    });
    if (options.json) printResult(JSON.stringify(report));
    else showDoctor(report);
    if (report.exit_code !== EXIT_OK) throw new Answer(report.exit_code);
  });
  return doctor as unknown as Command;
}

/** Opens the database as it is, without creating or migrating anything. */
async function withPatient<T>(
  { config, notices }: ResolvedConfig,
  work: (patient: Patient) => Promise<T>,
): Promise<T> {
  const { inspectStore } = await import("../store/inspection.ts");
  const { maskedUrl } = await import("../base/secrets.ts");
  const url = config.database.url ?? "sqlite://";
  const inspection = await inspectStore(url, config.database.poolSize);
  try {
    return await work({ config, notices, inspection, location: inspection?.location ?? maskedUrl(url) });
  } finally {
    await inspection?.[Symbol.asyncDispose]();
  }
}

function reportOf(
  { location, config }: Patient,
  { areas, findings }: Examination,
  fixed: readonly Treatment[],
  exitCode: number,
): DoctorReport {
  return {
    status: exitCode === EXIT_OK ? "clean" : "findings",
    database: location,
    checkpoint_directory: config.checkpoint.directory,
    areas,
    findings: findings.map(({ area, severity, what, cause, mend, fix }) => ({
      area,
      severity,
      what,
      cause,
      mend,
      fixable: fix !== undefined,
    })),
    fixed,
    exit_code: exitCode,
  };
}
