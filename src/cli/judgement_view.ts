/**
 * What the holdout and the gate said of a stored version, in a few facts; `policy show --json` has every number.
 *
 * @module
 */
import { signed } from "../base/signed.ts";
import type { JsonObject } from "../base/check.ts";
import type { EvaluationReport } from "../session/report.ts";
import type { TrainingWarning } from "../session/warnings.ts";
import { type Cell, count, decimals } from "./table.ts";

/** The facts of a version's metrics; empty where it was not judged, as periodic versions are not. */
export function judgementFacts({ evaluation, warnings }: JsonObject): [string, Cell][] {
  if (evaluation === undefined) return [];
  const { gate, candidate, holdout } = evaluation as EvaluationReport;
  const interval = candidate?.intervals[gate.method] ?? null;
  const range = interval === null ? "" : `, 95% interval ${decimals(interval[0])} to ${decimals(interval[1])}`;
  const rival = gate.rule === "paired" ? gate.against : "the logged routing";
  const facts: [string, Cell][] = [
    ["verdict", gate.verdict],
    ["value", `${decimals(gate.candidate)}${range}, ${gate.method.replaceAll("_", " ")}, ${count(holdout)} held out`],
    ["compared with", `${decimals(gate.rival)} of ${rival}`],
  ];
  if (gate.total !== null) {
    facts.push(["difference", `${signed(gate.total.difference)}, ${boundsText(gate.total, gate.alpha)}`]);
    for (const [level, found] of Object.entries(gate.levels)) {
      if (found !== null) facts.push([`  in ${level}`, signed(found.difference)]);
    }
  }
  if (gate.rule === "paired") facts.push(["question", `${gate.question} about ${gate.against}`]);
  if (gate.decisive_users.length > 0) facts.push(["decisive users", gate.decisive_users.join(", ")]);
  for (const reason of candidate?.not_identified ?? []) facts.push(["not identified", reason]);
  for (const { name, message } of (warnings ?? []) as readonly TrainingWarning[]) facts.push([name, message]);
  return facts;
}

function boundsText(bounds: { readonly lower: number; readonly upper: number }, alpha: number): string {
  return `${signed(bounds.lower)} to ${signed(bounds.upper)} with an error of ${
    Number(alpha.toPrecision(2))
  } on each side`;
}
