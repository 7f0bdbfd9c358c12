import assert from "node:assert/strict";
import { logProfiles } from "../../src/episodes/log_profile.ts";
import type { LogGroup } from "../../src/store/persistence.ts";

const POLICY = { inputDim: 8, experts: ["literal", "systemic"] };

function group(change: Partial<LogGroup> = {}): LogGroup {
  return {
    policyVersion: "v1",
    logKind: "sampled",
    expertType: "literal",
    embeddingLength: 8,
    traces: 10,
    certain: 0,
    minLogProb: Math.log(0.25),
    experts: [change.expertType ?? "literal"],
    weightless: false,
    ...change,
  };
}

const soft: Partial<LogGroup> = { logKind: "soft", expertType: null, minLogProb: null };

Deno.test("a drawn log has the share of each expert and its smallest chance", () => {
  const [profile, ...others] = logProfiles([group({ traces: 30 }), group({ expertType: "systemic" })], POLICY);
  assert.equal(others.length, 0);
  assert.deepEqual(profile, {
    policy_version: "v1",
    log: "sampled",
    traces: 40,
    usable_share: 1,
    skipped: {},
    overlap: { literal: 0.75, systemic: 0.25 },
    never_drawn: [],
    certain_share: 0,
    min_propensity: 0.25,
  });
});

Deno.test("logs are told apart: sampled, deterministic, soft, mixed, none", () => {
  const kinds: [string, Partial<LogGroup>[]][] = [
    ["sampled", [{ certain: 9 }]],
    ["deterministic", [{ certain: 10, minLogProb: 0 }]],
    ["soft", [soft]],
    ["mixed", [{}, soft]],
    ["mixed", [{ certain: 10 }, soft]],
    ["none", [{ logKind: "none", expertType: null, embeddingLength: null }]],
  ];
  for (const [kind, changes] of kinds) assert.equal(logProfiles(changes.map(group), POLICY)[0]!.log, kind);
});

Deno.test("what cannot be used is counted by reason and is in no share", () => {
  const [profile] = logProfiles([
    group({ traces: 12 }),
    group({ traces: 1, expertType: "oracle" }),
    group({ traces: 2, embeddingLength: 9 }),
    group({ traces: 3, embeddingLength: null }),
    group({ traces: 4, logKind: "none", expertType: null }),
    group({ traces: 2, embeddingLength: 2.25, expertType: "systemic" }),
  ], POLICY);
  assert.deepEqual(profile!.skipped, { unknown_expert: 1, wrong_dimension: 4, no_embedding: 3, no_gating_action: 4 });
  assert.equal(profile!.usable_share, 0.5);
  assert.deepEqual([profile!.overlap, profile!.never_drawn], [{ literal: 1, systemic: 0 }, ["systemic"]]);
});

Deno.test("a log without draws has no shares of experts", () => {
  const [profile] = logProfiles([group(soft)], POLICY);
  assert.deepEqual(
    [profile!.overlap, profile!.never_drawn, profile!.certain_share, profile!.min_propensity],
    [null, [], null, null],
  );
});

Deno.test("versions come with the most traces first", () => {
  const found = logProfiles(
    [group({ policyVersion: null, traces: 3 }), group({ policyVersion: "v2", traces: 7 }), group({ traces: 7 })],
    POLICY,
  );
  assert.deepEqual(found.map(({ policy_version }) => policy_version), ["v1", "v2", null]);
});
