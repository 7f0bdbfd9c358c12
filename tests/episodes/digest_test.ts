import assert from "node:assert/strict";
import { episodesDigest, trajectoriesDigest } from "../../src/episodes/digest.ts";
import type { TrajectorySet } from "../../src/episodes/trajectory_set.ts";
import type { TrainingRow } from "../../src/store/persistence.ts";
import { randomTrajectories } from "../train/trajectories.ts";
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

const trajectories = (): TrajectorySet =>
  randomTrajectories({ seed: 3, size: 4, stateDim: 2, actions: ["search", "answer"] });

Deno.test("the same trajectories have the same digest, and each column that is learned from changes it", () => {
  const digest = trajectoriesDigest(trajectories());
  assert.equal(trajectoriesDigest(trajectories()), digest);
  for (const name of ["actions", "oldLogProbs", "values", "rewards", "sampleWeights", "offsets"] as const) {
    const changed = trajectories();
    changed[name][1]! += 1;
    assert.notEqual(trajectoriesDigest(changed), digest, name);
  }
  assert.notEqual(trajectoriesDigest({ ...trajectories(), queryIds: ["a", "b", "c", "d"] }), digest);
  assert.notEqual(trajectoriesDigest({ ...trajectories(), actionNames: ["answer", "search"] }), digest);
});
