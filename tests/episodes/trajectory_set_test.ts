import assert from "node:assert/strict";
import { splitHoldout } from "../../src/episodes/holdout.ts";
import { TrajectorySetBuilder, type TrajectorySkipReason } from "../../src/episodes/trajectory_set.ts";
import type { TrajectoryRow } from "../../src/store/persistence.ts";
import type { ReActStepRecord } from "../../src/trace/react_episode.ts";

const OPTIONS = { stateDim: 2, actionNames: ["search", "answer"], feedbackWeighting: "authority" } as const;
const STEP: ReActStepRecord = { action: "search", logProb: -0.5, value: 0.25, reward: null, done: false };
const ANSWER: ReActStepRecord = { action: "answer", logProb: -1, value: 0.5, reward: null, done: true };
const ROW: TrajectoryRow = {
  traceId: "t1",
  queryId: "q1",
  steps: [STEP, ANSWER],
  states: Float32Array.of(1, 2, 3, 4),
  score: 0.75,
  userAuthority: 0.5,
  userId: "u1",
};

Deno.test("rows become columns, trajectory after trajectory", () => {
  const builder = new TrajectorySetBuilder(OPTIONS);
  assert.equal(builder.add(ROW), undefined);
  builder.add({ ...ROW, traceId: "t2", queryId: "q2", steps: [ANSWER], states: Float32Array.of(5, 6), userId: null });
  assert.deepEqual(builder.build(), {
    size: 2,
    steps: 3,
    stateDim: 2,
    actionNames: ["search", "answer"],
    offsets: Uint32Array.of(0, 2, 3),
    states: Float32Array.of(1, 2, 3, 4, 5, 6),
    actions: Uint32Array.of(0, 1, 1),
    oldLogProbs: Float32Array.of(-0.5, -1, -1),
    values: Float32Array.of(0.25, 0.5, 0.5),
    rewards: Float64Array.of(0, 0.75, 0.75),
    dones: Uint8Array.of(0, 1, 1),
    sampleWeights: Float64Array.of(0.5, 0.5),
    scores: Float64Array.of(0.75, 0.75),
    queryIds: ["q1", "q2"],
    userIds: ["u1", null],
    feedbackRows: 2,
    skipped: {},
  });
});

Deno.test("the states are copied: a row's own may not outlive its page", () => {
  const builder = new TrajectorySetBuilder(OPTIONS);
  const states = ROW.states!.slice();
  builder.add({ ...ROW, states });
  states.fill(9);
  assert.deepEqual(builder.build().states, ROW.states);
});

Deno.test("the score is the last reward unless that was logged; other steps keep theirs", () => {
  const rewardsOf = (...rewards: (number | null)[]): number[] => {
    const builder = new TrajectorySetBuilder(OPTIONS);
    const steps = rewards.map((reward) => ({ ...STEP, reward }));
    builder.add({ ...ROW, steps, states: new Float32Array(2 * steps.length) });
    return [...builder.build().rewards];
  };
  assert.deepEqual(rewardsOf(null, null, null), [0, 0, 0.75]);
  assert.deepEqual(rewardsOf(-0.1, null, null), [-0.1, 0, 0.75]);
  assert.deepEqual(rewardsOf(-0.1, null, 0), [-0.1, 0, 0]);
});

Deno.test("feedback ends an episode that was not said to have ended", () => {
  const builder = new TrajectorySetBuilder(OPTIONS);
  builder.add({ ...ROW, steps: [STEP, STEP] });
  assert.deepEqual(builder.build().dones, Uint8Array.of(0, 1));
});

Deno.test("several feedbacks on a trace are one trajectory of their weighted mean score", () => {
  const builder = new TrajectorySetBuilder(OPTIONS);
  builder.add(ROW);
  builder.add({ ...ROW, score: 0.25, userAuthority: 0.75, userId: "u2" });
  const { size, scores, rewards, sampleWeights, feedbackRows, userIds } = builder.build();
  assert.deepEqual([size, feedbackRows, sampleWeights[0], userIds[0]], [1, 2, 1.25, "u1"]);
  assert.ok(Math.abs(scores[0]! - (0.5 * 0.75 + 0.75 * 0.25) / 1.25) < 1e-12);
  assert.equal(rewards[1], scores[0]);
  const alike = new TrajectorySetBuilder({ ...OPTIONS, feedbackWeighting: "none" });
  alike.add(ROW);
  alike.add({ ...ROW, score: 0.25, userAuthority: 0 });
  assert.deepEqual([alike.build().scores[0], alike.build().sampleWeights[0]], [0.5, 2]);
});

Deno.test("what is missing or wrong is counted by reason and moves nothing", () => {
  const wrong: [Partial<TrajectoryRow>, TrajectorySkipReason][] = [
    [{ steps: null, states: null }, "no_react_steps"],
    [{ steps: [], states: null }, "no_react_steps"],
    [{ states: null }, "no_state"],
    [{ states: new Float32Array(6) }, "wrong_dimension"],
    [{ states: new Float32Array(0) }, "wrong_dimension"],
    [{ states: Float32Array.of(1, 2, NaN, 4) }, "not_finite"],
    [{ steps: [STEP, { ...ANSWER, action: "dance" }] }, "unknown_action"],
    [{ steps: [STEP, { ...ANSWER, action: null }] }, "unknown_action"],
    [{ steps: [{ ...STEP, value: null }, ANSWER] }, "no_value"],
    [{ steps: [{ ...STEP, reward: Infinity }, ANSWER] }, "not_finite"],
    [{ steps: [{ ...STEP, logProb: -Infinity }, ANSWER] }, "not_finite"],
    [{ steps: [{ ...STEP, logProb: -200 }, ANSWER] }, "zero_propensity"],
    [{ steps: [{ ...STEP, logProb: -95 }, ANSWER] }, "zero_propensity"],
    [{ steps: [{ ...STEP, done: true }, ANSWER] }, "steps_after_done"],
    [{ score: NaN }, "not_finite"],
    [{ userAuthority: 0 }, "zero_authority"],
  ];
  const builder = new TrajectorySetBuilder(OPTIONS);
  const counts: Partial<Record<TrajectorySkipReason, number>> = {};
  for (const [change, reason] of wrong) {
    assert.equal(builder.add({ ...ROW, ...change }), reason, JSON.stringify(change));
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  const { size, steps, feedbackRows, skipped } = builder.build();
  assert.deepEqual([size, steps, feedbackRows], [0, 0, 0]);
  assert.deepEqual(skipped, counts);
});

Deno.test("trajectories are held out by query, as gating episodes are", () => {
  const builder = new TrajectorySetBuilder(OPTIONS);
  for (let i = 0; i < 200; i++) builder.add({ ...ROW, traceId: `t${i}`, queryId: `q${i % 100}` });
  const set = builder.build();
  const { training, holdout } = splitHoldout(set, 0.2, 5);
  assert.equal(training.length + holdout.length, 200);
  const held = new Set(Array.from(holdout, (n) => set.queryIds[n]));
  assert.ok(held.size > 8 && training.every((n) => !held.has(set.queryIds[n])));
});
