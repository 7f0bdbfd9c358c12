/**
 * What the log of each policy version can teach, from counts alone.
 *
 * @module
 */
import type { LogGroup } from "../store/persistence.ts";
import type { SkipReason } from "./episode_set.ts";

/** One version's log; field names are those of `stats --json`. */
export interface LogProfile {
  /** Null for traces of which it was not stored. */
  readonly policy_version: string | null;
  /**
   * `sampled`: one expert was drawn with a known probability. `deterministic`: drawn, but always with certainty, so
   * other routings cannot be judged. `soft`: experts were mixed. `mixed`: several of these. `none`: no decision.
   */
  readonly log: "sampled" | "deterministic" | "soft" | "mixed" | "none";
  /** How many there are. */
  readonly traces: number;
  /** Share of the traces that training could use once they have feedback. */
  readonly usable_share: number;
  /** Traces that it could not use, by reason. */
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>;
  /** Share of each expert among the usable draws; null without draws. */
  readonly overlap: Readonly<Record<string, number>> | null;
  /** Experts that were never drawn although others were: what they would have earned cannot be known. */
  readonly never_drawn: readonly string[];
  /** Share of the usable draws that had no alternative; null without draws. */
  readonly certain_share: number | null;
  /** Smallest probability of a drawn expert: its inverse is the largest importance weight. Null without draws. */
  readonly min_propensity: number | null;
}

/** Profiles, most traces first. */
export function logProfiles(
  groups: readonly LogGroup[],
  policy: { readonly inputDim: number; readonly experts: readonly string[] },
): LogProfile[] {
  const versions = Map.groupBy(groups, ({ policyVersion }) => policyVersion);
  return [...versions].map(([version, own]) => profileOf(version, own, policy))
    .toSorted((a, b) => b.traces - a.traces || String(a.policy_version).localeCompare(String(b.policy_version)));
}

function profileOf(
  version: string | null,
  groups: readonly LogGroup[],
  { inputDim, experts }: { readonly inputDim: number; readonly experts: readonly string[] },
): LogProfile {
  const skipped: Partial<Record<SkipReason, number>> = {};
  const drawn = Object.fromEntries(experts.map((expert) => [expert, 0]));
  let [traces, usable, draws, certain, minLogProb] = [0, 0, 0, 0, 0];
  const kinds = new Set<LogProfile["log"]>();
  for (const group of groups) {
    traces += group.traces;
    const reason = reasonOf(group, inputDim, experts);
    if (reason !== undefined) {
      skipped[reason] = (skipped[reason] ?? 0) + group.traces;
      continue;
    }
    usable += group.traces;
    if (group.logKind === "soft") {
      kinds.add("soft");
      continue;
    }
    drawn[group.experts[0]!]! += group.traces;
    draws += group.traces;
    certain += group.certain;
    minLogProb = Math.min(minLogProb, group.minLogProb ?? 0);
    kinds.add("sampled");
  }
  if (draws > 0 && certain === draws) {
    kinds.delete("sampled");
    kinds.add("deterministic");
  }
  const [kind] = kinds;
  return {
    policy_version: version,
    log: kinds.size > 1 ? "mixed" : kind ?? "none",
    traces,
    usable_share: traces === 0 ? 0 : usable / traces,
    skipped,
    overlap: draws === 0
      ? null
      : Object.fromEntries(Object.entries(drawn).map(([expert, number]) => [expert, number / draws])),
    never_drawn: draws === 0 ? [] : experts.filter((expert) => drawn[expert] === 0),
    certain_share: draws === 0 ? null : certain / draws,
    min_propensity: draws === 0 ? null : Math.exp(minLogProb),
  };
}

/**
 * Why training could not use the group's traces: its own rules, in its own order. Only the numbers of an embedding are
 * out of sight here, and they are finite unless the database was changed by somebody else.
 */
function reasonOf(group: LogGroup, inputDim: number, experts: readonly string[]): SkipReason | undefined {
  if (group.logKind === "none") return "no_gating_action";
  if (group.embeddingLength === null) return "no_embedding";
  if (group.embeddingLength !== inputDim) return "wrong_dimension";
  if (!group.experts.every((expert) => experts.includes(expert))) return "unknown_expert";
  return group.weightless ? group.logKind === "soft" ? "zero_weights" : "zero_propensity" : undefined;
}
