import assert from "node:assert/strict";
import { episodesDigest } from "../../src/episodes/digest.ts";
import type { TrainingRow } from "../../src/store/persistence.ts";
import { drawnRow, episodesOf, mixedRow, OPTIONS } from "./rows.ts";

const rows = (change: Partial<TrainingRow> = {}): TrainingRow[] => [
  drawnRow({ traceId: "a", queryId: "p", ...change }),
  mixedRow({ traceId: "b" }),
];

Deno.test("the same episodes have the same digest", () => {
  assert.equal(episodesDigest(episodesOf(rows())), episodesDigest(episodesOf(rows())));
  assert.match(episodesDigest(episodesOf([])), /^[0-9a-f]{64}$/);
});

Deno.test("another query, reward, weight, propensity, expert or number of episodes changes the digest", () => {
  const digest = episodesDigest(episodesOf(rows()));
  const changes: Partial<TrainingRow>[] = [
    { queryId: "other" },
    { score: 0.8000001 },
    { userAuthority: 0.51 },
    { gatingLogProb: -0.7 },
    { gatingWeights: { systemic: 1 } },
  ];
  for (const change of changes) {
    assert.notEqual(episodesDigest(episodesOf(rows(change))), digest, JSON.stringify(change));
  }
  assert.notEqual(episodesDigest(episodesOf(rows().slice(1))), digest);
  assert.notEqual(episodesDigest(episodesOf(rows().toReversed())), digest);
  const renamed = { ...OPTIONS, experts: ["literal", "systemic", "principles", "precedent"] };
  assert.notEqual(episodesDigest(episodesOf(rows(), renamed)), digest);
});
