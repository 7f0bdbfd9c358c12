import assert from "node:assert/strict";
import {
  chooseObjective,
  headOf,
  needsValues,
  type Objective,
  OBJECTIVES,
  writeGain,
} from "../../src/train/objective.ts";
import { drawnRow, episodesOf, mixedRow } from "../episodes/rows.ts";

const drawn = (i: number) => drawnRow({ traceId: `d${i}`, queryId: `d${i}` });
const mixed = (i: number) => mixedRow({ traceId: `m${i}`, queryId: `m${i}` });

Deno.test("auto takes doubly_robust for a sampled log and direct for a soft one, and says why", () => {
  assert.deepEqual(chooseObjective("auto", episodesOf([drawn(0), drawn(1)])), {
    objective: "doubly_robust",
    reason: "the log is sampled: one expert was drawn per query",
  });
  assert.deepEqual(chooseObjective("auto", episodesOf([mixed(0), mixed(1)])), {
    objective: "direct",
    reason: "the log is soft: experts were mixed, none was drawn",
  });
});

Deno.test("auto follows the larger part of a mixed log", () => {
  const { objective, reason } = chooseObjective("auto", episodesOf([drawn(0), drawn(1), drawn(2), mixed(0)]));
  assert.deepEqual([objective, reason], ["doubly_robust", "75% of the episodes are sampled, the rest are soft"]);
  assert.equal(chooseObjective("auto", episodesOf([drawn(0), mixed(0), mixed(1)])).objective, "direct");
});

Deno.test("an objective that is asked for is taken, whatever the log", () => {
  for (const objective of ["reinforce", "direct", "doubly_robust", "soft"] as const) {
    assert.deepEqual(chooseObjective(objective, episodesOf([mixed(0)])), { objective, reason: "asked for" });
  }
});

Deno.test("only the original's formula goes through the head of soft targets", () => {
  const heads = OBJECTIVES.map((objective) => objective === "auto" ? "auto" : headOf(objective));
  assert.deepEqual(heads, ["auto", "policy_gain", "policy_gain", "policy_gain", "soft_target"]);
});

Deno.test("the objectives that learn through a reward model say so", () => {
  const needing = OBJECTIVES.filter((objective) => objective !== "auto" && needsValues(objective));
  assert.deepEqual(needing, ["direct", "doubly_robust"]);
});

Deno.test("the gain of an episode follows the objective and the kind of its log", () => {
  const episodes = episodesOf([drawn(0), mixedRow({ gatingWeights: { literal: 0.5, systemic: 0.5 } })]);
  const valuesNE = Float32Array.of(9, 9, 9, 0.75, 0.5, 0.25);
  const inputs = { advantage: 0.5, baseline: 0.25, importanceClip: 20, residualClip: 20, valuesNE };
  const gain = (row: number, objective: Objective): number[] => {
    const gainE = new Float32Array(3);
    writeGain(episodes, row, { ...inputs, objective }, gainE);
    return [...gainE];
  };
  assert.deepEqual(gain(0, "reinforce"), [1, 0, 0]);
  assert.deepEqual(gain(1, "reinforce"), [0.5, 0.5, 0]);
  assert.deepEqual(gain(1, "direct"), [0.5, 0.25, 0]);
  // Values less the baseline, and the residual of the logged reward: (0.8 - 9) / 0.5, and (0.8 - 0.625) / 0.5 shared.
  near(gain(0, "doubly_robust"), [8.75 - 16.4, 8.75, 8.75]);
  near(gain(1, "doubly_robust"), [0.5 + 0.175, 0.25 + 0.175, 0]);
  assert.deepEqual(gain(0, "soft"), [0.5, 0, 0]);
  assert.deepEqual(gain(1, "soft"), [0.25, 0.25, 0]);
});

Deno.test("the importance weight of a drawn expert's residual is cut at the clip", () => {
  const episodes = episodesOf([drawnRow({ gatingLogProb: Math.log(0.001), score: 1 })]);
  const inputs = {
    advantage: 0,
    baseline: 0,
    importanceClip: 20,
    residualClip: 5,
    valuesNE: Float32Array.of(0.5, 0.25, 0),
  };
  const gainE = new Float32Array(3);
  writeGain(episodes, 0, { ...inputs, objective: "doubly_robust" }, gainE);
  near([...gainE], [0.5 + 5 * 0.5, 0.25, 0]);
});

function near(found: readonly number[], wanted: readonly number[]): void {
  found.forEach((gain, e) => assert.ok(Math.abs(gain - wanted[e]!) < 1e-5, `found ${found}, wanted ${wanted}`));
}
