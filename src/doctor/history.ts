/**
 * Whether the history of activations leads without a gap to the version that is active.
 *
 * @module
 */
import { quoted } from "../base/shell.ts";
import type { PolicyActivation, PolicyCheckpoint } from "../store/persistence.ts";
import type { Check, Finding } from "./finding.ts";
import { storeOf } from "./patient.ts";

/** The check. */
export const historyCheck: Check = {
  area: "history",
  needsTables: true,
  examine: async (patient): Promise<Finding[]> => {
    const store = storeOf(patient);
    const rows = await store.listPolicyCheckpoints();
    const types = [...new Set(rows.map(({ policyType }) => policyType))].sort();
    const findings = await Promise.all(types.map(async (type) => {
      const active = rows.filter(({ policyType, isActive }) => policyType === type && isActive);
      return historyFindings(type, (await store.listActivations(type)).toReversed(), active);
    }));
    return findings.flat();
  },
};

/**
 * What is wrong with the history of a type.
 *
 * @param activations oldest first
 * @param active the versions that are marked as active; which may only be one is the business of another check
 */
export function historyFindings(
  type: string,
  activations: readonly PolicyActivation[],
  active: readonly Pick<PolicyCheckpoint, "version">[],
): Finding[] {
  const finding = (what: string, cause: string, mend: string): Finding => ({
    area: "history",
    severity: "warning",
    what,
    cause,
    mend,
  });
  const gaps = activations.flatMap(({ fromVersion, toVersion, activatedAt }, i) => {
    const before = activations[i - 1]?.toVersion ?? null;
    if (fromVersion === before) return [];
    return [finding(
      `the history of ${type} has a gap at ${activatedAt}: ${toVersion} took over from ${
        fromVersion ?? "nothing"
      }, but ` +
        `${before ?? "nothing"} was active before`,
      "An entry was removed, or a version was activated behind rlcf's back.",
      "Nothing to do: the history is only ever added to. rlcf policy rollback goes by its latest entry.",
    )];
  });
  const latest = activations.at(-1)?.toVersion ?? null;
  const [version] = active.map((row) => row.version);
  if (active.length > 1 || (version ?? null) === latest) return gaps;
  return [
    ...gaps,
    finding(
      `${version ?? "no version"} of ${type} is active, but the history ends with ${latest ?? "none"}`,
      "A version was activated, or an entry removed, behind rlcf's back.",
      `rlcf policy activate ${quoted((latest ?? version)!)}`,
    ),
  ];
}
