/**
 * Sweeps: one job for each combination of values.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { SettingKey } from "../config/schema.ts";
import { settings } from "../config/schema.ts";
import type { SettingValue } from "../config/setting.ts";
import { checkTogether, jobValue, type Overrides, parseAssignment, type TrainingJob } from "./job.ts";

/** More jobs than this are refused: a comma too many should not fill the queue. */
export const MOST_JOBS = 1000;

/** What `rlcf enqueue` was asked for. */
export interface SweepRequest {
  /** Which policy to train. */
  readonly policyType: string;
  /** Train only on traces that this version routed; null for all. */
  readonly policyVersion: string | null;
  /** `NAME=VALUE`, for every job. */
  readonly set: readonly string[];
  /** `NAME=VALUE,VALUE,...`: every combination is a job, the last name changing fastest. */
  readonly sweep: readonly string[];
}

/**
 * The jobs of a request, at least one.
 *
 * @throws RlcfError `usage` for an unknown or doubled setting, a value it does not take, or more than
 * {@link MOST_JOBS} jobs
 */
export function jobsOf({ policyType, policyVersion, set, sweep }: SweepRequest): TrainingJob[] {
  const seen = new Set<SettingKey>();
  const once = (key: SettingKey, option: string): void => {
    if (seen.has(key)) throw new RlcfError("usage", `cannot use ${option}: ${key} is given twice`);
    seen.add(key);
  };
  const fixed: Record<string, SettingValue> = {};
  for (const text of set) {
    const [key, value] = parseAssignment(text, "--set");
    once(key, "--set");
    fixed[key] = jobValue(key, value, "--set");
  }
  const axes = sweep.map((text) => {
    const [key, values] = parseAssignment(text, "--sweep");
    once(key, "--sweep");
    return [key, sweptValues(key, values)] as const;
  });
  const number = axes.reduce((product, [, values]) => product * values.length, 1);
  if (number > MOST_JOBS) {
    throw new RlcfError("usage", `cannot use --sweep: found ${number} combinations, wanted at most ${MOST_JOBS}`);
  }
  return combinations(axes).map((chosen) => {
    const overrides: Overrides = { ...fixed, ...chosen };
    return { policyType: checkTogether(policyType, overrides), overrides, policyVersion };
  });
}

function sweptValues(key: SettingKey, text: string): SettingValue[] {
  if (Array.isArray(settings.get(key)!.default)) {
    throw new RlcfError(
      "usage",
      `cannot use --sweep: the values of ${key} are lists, wanted a setting of single values`,
    );
  }
  const values = text.split(",").map((value) => jobValue(key, value.trim(), "--sweep"));
  if (new Set(values).size < values.length) {
    throw new RlcfError("usage", `cannot use --sweep: ${key} has a value twice`);
  }
  return values;
}

/** The cartesian product; of no axes it has one element, the empty choice. */
function combinations(axes: readonly (readonly [SettingKey, readonly SettingValue[]])[]): Overrides[] {
  return axes.reduce<Overrides[]>(
    (chosen, [key, values]) => chosen.flatMap((before) => values.map((value) => ({ ...before, [key]: value }))),
    [{}],
  );
}
