import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { REACT_ACTIONS, ReActPolicy } from "../../src/policy/react_policy.ts";
import type { StateDict } from "../../src/policy/state_dict.ts";
import { greedyReturn, trainInWorld } from "../../src/simulate/react_training.ts";
import { MAX_STEPS, ReActWorld } from "../../src/simulate/react_world.ts";
import { ppoConfigOf } from "../../src/train/ppo_config.ts";

const { config } = resolveConfig({});
const PENALTY = config.reactPolicy.stepPenalty;

Deno.test("the optimum is to gather the two or three sources and answer", () => {
  const world = new ReActWorld({ seed: 1, stateDim: 8 });
  assert.equal(world.optimum(0), 1);
  assert.ok(Math.abs(world.optimum(-0.05) - (1 - 0.05 * 2.5)) < 1e-12);
  // Where a step costs more than it earns, the best is to give up at once.
  assert.equal(world.optimum(-2), 0);
});

Deno.test("no policy that acts at random beats the optimum", () => {
  const world = new ReActWorld({ seed: 2, stateDim: 8 });
  const random = new Random(3);
  let best = 0;
  for (let episode = 0; episode < 2000; episode++) {
    let situation = world.begin();
    for (let total = 0;;) {
      const { situation: next, done, reward } = world.step(situation, random.below(REACT_ACTIONS.length));
      total += done ? reward : PENALTY;
      assert.ok(next.steps <= MAX_STEPS);
      if (done) {
        best = Math.max(best, total);
        break;
      }
      situation = next;
    }
  }
  assert.ok(best <= 0.9 + 1e-12, `found ${best}`);
});

Deno.test("states have length 1, and those of one situation resemble each other more than those of others", () => {
  const world = new ReActWorld({ seed: 4, stateDim: 64 });
  const at = (kind: number, gathered: number): Float32Array => world.observe({ kind, gathered, steps: 0 });
  const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  const [a, b, c] = [at(0, 0), at(0, 0), at(1, 0)];
  assert.ok(Math.abs(dot(a, a) - 1) < 1e-5);
  assert.ok(dot(a, b) > 0.8 && Math.abs(dot(a, c)) < 0.5);
});

/** A small policy after so many rounds with the shipped settings. */
async function trained(rounds: number): Promise<{ readonly share: number; readonly state: StateDict }> {
  await using policy = await ReActPolicy.create({ stateDim: 64, hiddenDim: 64, seed: 0, backend: "simd" });
  const world = new ReActWorld({ seed: 1, stateDim: 64 });
  const settings = { world, policy, config: ppoConfigOf(config), rounds, episodesPerRound: 64, seed: 2 };
  const curve = await trainInWorld(settings);
  assert.equal(curve.length, rounds);
  const share = await greedyReturn(world, policy, 400, PENALTY) / world.optimum(PENALTY);
  return { share, state: await policy.stateDict() };
}

Deno.test("PPO with the shipped settings reaches 95 % of the optimum, from weights that know nothing", async () => {
  assert.ok((await trained(0)).share < 0.5);
  const { share } = await trained(90);
  assert.ok(share >= 0.95, `reached ${share} of the optimum`);
});

Deno.test("the same seed ends with the same weights", async () => {
  assert.deepEqual(await trained(3), await trained(3));
});
