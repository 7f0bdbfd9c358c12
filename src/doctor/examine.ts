/**
 * Examines an installation of rlcf, and mends what can be mended without losing anything. Read {@link examine} first.
 *
 * @module
 */
import { type ErrorCode, RlcfError } from "../base/errors.ts";
import { CHECKS } from "./checks.ts";
import type { Area, Check, Finding } from "./finding.ts";
import type { Patient } from "./patient.ts";

/** How an area was found. */
export interface AreaVerdict {
  /** What was examined. */
  readonly area: Area;
  /** `skipped`: it could not be looked at, because the database, or its tables, are not there. */
  readonly verdict: "clean" | "findings" | "skipped";
}

/** What was done about a finding. */
export interface Treatment {
  /** What had been examined. */
  readonly area: Area;
  /** What was found. */
  readonly what: string;
  /** What was done; null where it failed. */
  readonly did: string | null;
  /** Why it failed; null where it did not. */
  readonly failed: string | null;
}

/** All that was found. */
export interface Examination {
  /** Every area once, in the order of the checks. */
  readonly areas: readonly AreaVerdict[];
  /** The worst first within each area's turn. */
  readonly findings: readonly Finding[];
}

/** Makes every check. Changes nothing; throws only for defects of rlcf. */
export async function examine(patient: Patient, checks: readonly Check[] = CHECKS): Promise<Examination> {
  const verdicts = new Map<Area, AreaVerdict["verdict"]>();
  const findings: Finding[] = [];
  let hasTables = false;
  for (const check of checks) {
    const { area, needsTables } = check;
    if (needsTables && !hasTables) {
      if (!verdicts.has(area)) verdicts.set(area, "skipped");
      continue;
    }
    const found = await made(check, patient);
    findings.push(...found);
    const isBad = found.some(({ severity }) => severity !== "note");
    if (isBad) verdicts.set(area, "findings");
    else if (verdicts.get(area) !== "findings") verdicts.set(area, "clean");
    if (area === "database") hasTables = patient.inspection !== null && found.length === 0;
  }
  return { areas: [...verdicts].map(([area, verdict]) => ({ area, verdict })), findings };
}

/** Mends what can be mended, one after the other; what fails keeps nothing else from being mended. */
export async function treat(findings: readonly Finding[]): Promise<Treatment[]> {
  const treatments: Treatment[] = [];
  for (const { area, what, fix } of findings) {
    if (fix === undefined) continue;
    try {
      treatments.push({ area, what, did: await fix(), failed: null });
    } catch (thrown) {
      if (!(thrown instanceof RlcfError)) throw thrown;
      treatments.push({ area, what, did: null, failed: thrown.message });
    }
  }
  return treatments;
}

/** The kinds of failure that have an exit code of their own here, the most fundamental first. */
const KINDS: readonly ErrorCode[] = ["database", "checkpoint", "backend"];

/**
 * What the findings amount to: null if there is nothing but notes; the kind of the gravest failure; else `findings`.
 */
export function verdictOf(findings: readonly Finding[]): ErrorCode | "findings" | null {
  const serious = findings.filter(({ severity }) => severity !== "note");
  if (serious.length === 0) return null;
  return KINDS.find((kind) => serious.some(({ code, severity }) => code === kind && severity === "error")) ??
    "findings";
}

async function made({ area, examine }: Check, patient: Patient): Promise<Finding[]> {
  try {
    return await examine(patient);
  } catch (thrown) {
    // A check that cannot be made is itself a finding.
    if (!(thrown instanceof RlcfError)) throw thrown;
    return [{
      area,
      severity: "error",
      code: thrown.code,
      what: thrown.message,
      cause: "It could not be examined.",
      mend: thrown.hint ?? null,
    }];
  }
}
