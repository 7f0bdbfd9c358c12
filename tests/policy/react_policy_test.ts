import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { RlcfError } from "../../src/base/errors.ts";
import { REACT_ACTIONS, ReActPolicy } from "../../src/policy/react_policy.ts";
import type { StateDict } from "../../src/policy/state_dict.ts";

const random = new Random(3);
const STATES = Array.from({ length: 5 }, () => Float32Array.from({ length: 12 }, () => random.normal()));

function newPolicy(seed = 1): Promise<ReActPolicy> {
  return ReActPolicy.create({ stateDim: 12, hiddenDim: 8, seed, backend: "simd" });
}

Deno.test("a policy gives each state probabilities over the seven actions, and a value", async () => {
  await using policy = await newPolicy();
  const { probs, logProbs, values } = await policy.forward(STATES);
  assert.deepEqual(policy.actions, REACT_ACTIONS);
  assert.deepEqual([probs.length, logProbs.length, values.length], [35, 35, 5]);
  for (let row = 0; row < 5; row++) {
    const sum = probs.subarray(7 * row, 7 * row + 7).reduce((total, p) => total + p, 0);
    assert.ok(Math.abs(sum - 1) < 1e-6);
  }
  assert.ok(probs.every((p, i) => Math.abs(Math.log(p) - logProbs[i]!) < 1e-5));
  const flat = Float32Array.from(STATES.flatMap((state) => [...state]));
  assert.deepEqual(await policy.forward(flat), { probs, logProbs, values });
});

Deno.test("a drawn action comes with its true probability and the state's value", async () => {
  await using policy = await newPolicy();
  const { logProbs, values } = await policy.forward([STATES[2]!]);
  const counts = new Map<string, number>();
  for (let seed = 0; seed < 700; seed++) {
    const { action, index, logProb, value } = await policy.sample(STATES[2]!, { seed });
    assert.equal(policy.actions[index], action);
    assert.ok(Math.abs(logProb - logProbs[index]!) < 1e-6);
    assert.equal(value, values[0]);
    counts.set(action, (counts.get(action) ?? 0) + 1);
  }
  for (const [index, action] of policy.actions.entries()) {
    const share = (counts.get(action) ?? 0) / 700;
    assert.ok(Math.abs(share - Math.exp(logProbs[index]!)) < 0.06, `${action}: ${share}`);
  }
});

Deno.test("the greedy action is the most probable one, and was certain", async () => {
  await using policy = await newPolicy();
  for (const state of STATES) {
    const { probs } = await policy.forward([state]);
    const { index, action, logProb } = await policy.greedy(state);
    assert.equal(probs[index], Math.max(...probs));
    assert.equal(action, policy.actions[index]);
    assert.equal(logProb, 0);
  }
});

Deno.test("weights leave and come back under torch's names, and the seed decides them", async () => {
  await using policy = await newPolicy();
  const state = await policy.stateDict();
  assert.deepEqual(Object.keys(state).toSorted(), [
    ...["actor.0.bias", "actor.0.weight", "actor.3.bias", "actor.3.weight", "actor.6.bias", "actor.6.weight"],
    ...["critic.0.bias", "critic.0.weight", "critic.3.bias", "critic.3.weight", "critic.6.bias", "critic.6.weight"],
  ]);
  assert.deepEqual(state["critic.6.weight"]!.shape, [1, 4]);
  assert.notDeepEqual(state["actor.0.weight"]!.data, state["critic.0.weight"]!.data);
  await using other = await newPolicy(9);
  assert.notDeepEqual(await other.forward(STATES), await policy.forward(STATES));
  await other.loadStateDict(state);
  assert.deepEqual(await other.forward(STATES), await policy.forward(STATES));
});

Deno.test("a state dict of another policy is refused, and replaces nothing", async () => {
  await using policy = await newPolicy();
  const before = await policy.stateDict();
  const { "critic.6.bias": bias, ...rest } = before;
  const refused = (state: StateDict, message: RegExp): Promise<void> =>
    assert.rejects(policy.loadStateDict(state), (error) => error instanceof RlcfError && message.test(error.message));
  await refused(rest, /found no tensor 6.bias/);
  await refused({ ...before, "0.weight": bias! }, /found tensor 0.weight, wanted names as actor.0.weight/);
  const changed = { ...before["actor.0.bias"]!, data: before["actor.0.bias"]!.data.map((x) => x + 1) };
  await refused(
    { ...before, "actor.0.bias": changed, "critic.6.bias": { shape: [2], data: new Float32Array(2) } },
    /6/,
  );
  assert.deepEqual(await policy.stateDict(), before);
});

Deno.test("states of another length are refused", async () => {
  await using policy = await newPolicy();
  await assert.rejects(policy.forward([[1, 2]]), /state 0 has 2 numbers, wanted stateDim 12/);
  await assert.rejects(policy.sample(new Float32Array(11)), /has 11 numbers, wanted stateDim 12/);
  await assert.rejects(policy.forward(new Float32Array(13)), /found 13 numbers, wanted a multiple of stateDim 12/);
});
