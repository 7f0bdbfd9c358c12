/**
 * An examination's result as a person reads it.
 *
 * @module
 */
import type { DoctorReport } from "./doctor.ts";
import { count, sayFacts } from "./table.ts";
import { bold, dim, say } from "./terminal.ts";

/** Tells a whole result on stderr: the areas, what was mended, what was found, and what to do next. */
export function showDoctor(report: DoctorReport): void {
  const { areas, findings, fixed } = report;
  sayFacts([
    ["database", report.database],
    ["checkpoints", report.checkpoint_directory],
    ...(["clean", "findings", "skipped"] as const).flatMap((verdict) => {
      const names = areas.filter((one) => one.verdict === verdict).map(({ area }) => area);
      return names.length === 0 ? [] : [[verdict, names.join(", ")] as const];
    }),
  ]);
  for (const { what, did, failed } of fixed) {
    say();
    say(`${bold(did === null ? "not mended" : "mended")}: ${what}`);
    say(`  ${did ?? failed}`);
  }
  for (const severity of ["error", "warning", "note"] as const) {
    for (const finding of findings) {
      // What the configuration holds in vain was said when it was read, as every command says it.
      if (finding.severity !== severity || finding.area === "configuration" && severity === "note") continue;
      say();
      say(`${severity === "note" ? dim("note") : bold(severity)}: ${finding.what}`);
      say(`  ${finding.cause}`);
      if (finding.mend !== null) say(`  mend it: ${finding.mend}`);
    }
  }
  say();
  say(summary(report));
}

function summary({ findings, fixed }: DoctorReport): string {
  const serious = findings.filter(({ severity }) => severity !== "note");
  const mended = fixed.filter(({ did }) => did !== null).length;
  const after = mended === 0 ? "" : `, ${count(mended)} mended`;
  if (serious.length === 0) return `${bold("clean")}${after}`;
  const fixable = serious.filter((one) => one.fixable).length;
  const next = fixable === 0
    ? ""
    : `; rlcf doctor --fix mends ${fixable === serious.length ? "all" : count(fixable)} of them`;
  return `${bold(`${count(serious.length)} ${serious.length === 1 ? "finding" : "findings"}`)}${after}${next}`;
}
