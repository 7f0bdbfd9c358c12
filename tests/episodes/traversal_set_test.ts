import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { type JudgedTrace, traversalSet } from "../../src/episodes/traversal_set.ts";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import { TraversalPolicy } from "../../src/policy/traversal_policy.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { SingleStepTrainer } from "../../src/train/single_step_trainer.ts";
import { TrainingRun } from "../../src/train/training_run.ts";

const EMBEDDING = [0.5, -0.5, 0.5, 0.5];

/** A judged trace with one traversal. */
function judged(
  traversal: { relation: string; weight: number; followed?: boolean; logProb?: number },
  score: number,
  metadata: Record<string, unknown> = { query_embedding: EMBEDDING },
): JudgedTrace {
  const { relation, weight, followed = true } = traversal;
  const trace = new ExecutionTrace({ queryId: "q1", metadata }).addGraphTraversal({
    relationType: relation,
    weight,
    logProb: traversal.logProb ?? Math.log(followed ? weight : 1 - weight),
    metadata: followed ? {} : { followed: false },
  });
  const feedback = new MultilevelFeedback({ queryId: "q1", overallRating: score });
  return { trace, feedback, userAuthority: 0.5 };
}

Deno.test("each traversal is a decision with its own probability, followed unless the log says otherwise", async () => {
  await using policy = await TraversalPolicy.create({ inputDim: 4, hiddenDim: 0, backend: "simd" });
  const pairs = [
    judged({ relation: "MODIFICA", weight: 0.25 }, 0.75),
    judged({ relation: "DEROGA", weight: 0.25, followed: false }, 0.5),
  ];
  const { episodes, skipped, unknownRelations } = traversalSet(pairs, policy, "authority");
  assert.deepEqual([skipped, unknownRelations], [{}, 0]);
  assert.deepEqual(episodes.experts, ["follow", "leave"]);
  assert.deepEqual([...episodes.mixtures], [1, 0, 0, 1]);
  assert.deepEqual([...episodes.propensities], [0.25, 0.75]);
  assert.deepEqual([...episodes.rewards], [0.75, 0.5]);
  assert.deepEqual([...episodes.sampleWeights], [0.5, 0.5]);
  // Inputs are scaled by 2 for embeddings of 4 numbers; a relation's one-hot comes out as 1.
  const row = episodes.embeddings.subarray(0, 15);
  assert.deepEqual([...row], [...EMBEDDING, 0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("what cannot be used is counted by reason", async () => {
  await using policy = await TraversalPolicy.create({ inputDim: 4, hiddenDim: 0, backend: "simd" });
  const bare = new ExecutionTrace({ queryId: "q1" });
  const known = { relation: "MODIFICA", weight: 0.5 };
  const pairs = [
    { ...judged(known, 0.5), trace: bare },
    judged(known, 0.5, {}),
    judged(known, 0.5, { query_embedding: [1, 2] }),
    judged({ ...known, logProb: -500 }, 0.5),
    { ...judged(known, 0.5), userAuthority: 0 },
    judged({ ...known, relation: "CITES" }, 0.5),
  ];
  const { episodes, skipped, unknownRelations } = traversalSet(pairs, policy, "authority");
  assert.deepEqual(skipped, {
    no_traversal: 1,
    no_embedding: 1,
    wrong_dimension: 1,
    zero_propensity: 1,
    zero_authority: 1,
  });
  assert.deepEqual([episodes.size, unknownRelations], [1, 1]);
});

Deno.test("from its traces a policy learns which relations are worth following", async () => {
  await using policy = await TraversalPolicy.create({ inputDim: 4, hiddenDim: 8, seed: 3, backend: "simd" });
  const random = new Random(9);
  // Amendments help, citations mislead; the log explores evenly.
  const pairs = Array.from({ length: 400 }, (_, i) => {
    const [relation, followed] = [i % 2 === 0 ? "MODIFICA" : "CITATO_DA", random.uniform() < 0.5];
    const good = followed === (relation === "MODIFICA");
    return judged({ relation, weight: 0.5, followed }, good ? 0.9 : 0.2);
  });
  const { episodes } = traversalSet(pairs, policy, "none");
  const trainer = new SingleStepTrainer({ policy: policy.decision, config: { learningRate: 3e-3 } });
  const run = await TrainingRun.start({
    trainer,
    episodes,
    trainingRows: Uint32Array.from({ length: episodes.size }, (_, i) => i),
    objective: "reinforce",
    epochs: 15,
    batchSize: 20,
    seed: 1,
  });
  while (!run.done) await run.advance(episodes.size);
  const { weights } = await policy.forward(
    ["MODIFICA", "CITATO_DA"].map((relation) => ({ embedding: EMBEDDING, relation })),
  );
  assert.ok(weights[0]! > 0.9 && weights[1]! < 0.1, `weights ${weights}`);
});
