/**
 * The test on which the original fails: two classes of queries, each with one expert that answers it well, and a
 * policy that learns from what it logged itself. Guessing the better constant expert is right half of the time.
 */
import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import { type SingleStepConfig, SingleStepTrainer } from "../../src/train/single_step_trainer.ts";
import { drawnTrace, mixedTrace, rated } from "./support.ts";

const INPUT_DIM = 32;
const BATCH = 16;
const UPDATES = 150;

interface Query {
  readonly embedding: Float32Array;
  readonly expert: number;
}

/** Draws queries; those of class 0 want `literal`, those of class 1 `precedent`. */
class TwoClasses {
  readonly random = new Random(17);
  readonly #centres = [0, 1].map(() => Float32Array.from({ length: INPUT_DIM }, () => this.random.normal()));

  next(): Query {
    const kind = this.random.below(2);
    const noisy = this.#centres[kind]!.map((x) => x + 0.5 * this.random.normal());
    const length = Math.hypot(...noisy);
    return { embedding: noisy.map((x) => x / length), expert: kind === 0 ? 0 : 3 };
  }
}

/** Trains a policy on its own log and returns the share of fresh queries that it routes to the right expert. */
async function accuracyAfterTraining(config: Partial<SingleStepConfig>, logs: "drawn" | "mixed"): Promise<number> {
  await using policy = await GatingPolicy.create({ inputDim: INPUT_DIM, hiddenDim: 32, seed: 5, backend: "cpu" });
  const trainer = new SingleStepTrainer({ policy, config: { learningRate: 3e-3, ...config } });
  const task = new TwoClasses();
  for (let update = 0; update < UPDATES; update++) {
    const pairs = [];
    for (let i = 0; i < BATCH; i++) {
      const { embedding, expert } = task.next();
      const drawn = await policy.sample(embedding, { seed: task.random.nextUint32() });
      const trace = logs === "drawn"
        ? drawnTrace(embedding, drawn.expert, drawn.logProb, drawn.weight)
        : mixedTrace(embedding, drawn.weights);
      pairs.push([trace, rated(drawn.index === expert ? 1 : 0)] as const);
    }
    await trainer.updateBatch(pairs);
  }
  let right = 0;
  for (let i = 0; i < 500; i++) {
    const { embedding, expert } = task.next();
    const { weights } = await policy.forward([embedding]);
    if (weights.indexOf(Math.max(...weights)) === expert) right++;
  }
  return right / 500;
}

Deno.test("reinforce, which is the default, learns the two-class task from its own draws", async () => {
  const accuracy = await accuracyAfterTraining({}, "drawn");
  assert.ok(accuracy >= 0.9, `accuracy ${accuracy}`);
});

Deno.test("the original's formula on the policy's own weights does not learn the two-class task", async () => {
  const accuracy = await accuracyAfterTraining({ objective: "soft" }, "mixed");
  assert.ok(accuracy < 0.65, `accuracy ${accuracy}`);
});
