import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { listBackends } from "../../src/engine/create.ts";
import type { BackendName } from "../../src/engine/engine.ts";
import {
  RELATION_TYPES,
  type Traversal,
  TraversalPolicy,
  type TraversalState,
} from "../../src/policy/traversal_policy.ts";
import type { StateDict } from "../../src/policy/state_dict.ts";
import { distance, relativeError } from "../support/numbers.ts";
import { hasShared, readShared } from "../support/shared.ts";

interface GoldenTraversal {
  readonly config: { readonly input_dim: number; readonly relation_dim: number; readonly hidden_dim: number };
  readonly relation_types: readonly string[];
  readonly mlp: Readonly<Record<string, readonly number[] | readonly number[][]>>;
  readonly relation_embeddings: readonly number[][];
  readonly inputs: readonly number[][];
  readonly relation_indices: readonly number[];
  readonly weights: readonly number[];
  readonly log_probs: readonly number[];
}

const backends = await listBackends();

for (const backend of ["simd", "cpu", "wasm", "webgpu"] as const satisfies readonly BackendName[]) {
  const { available, device } = backends.find(({ name }) => name === backend)!;
  Deno.test({
    name: `${backend}: weights and log-probabilities match the original's TraversalPolicy${
      available ? "" : ` (${device})`
    }`,
    ignore: !hasShared || !available,
    fn: async () => {
      const golden = await readShared<GoldenTraversal>("golden/traversal_forward_a.json");
      assert.deepEqual(golden.relation_types, RELATION_TYPES);
      // With any scale of the inputs: it belongs to the network, not to the weights.
      for (const inputScale of [1, 4]) {
        const { input_dim: inputDim, hidden_dim: hiddenDim } = golden.config;
        await using policy = await TraversalPolicy.create({ inputDim, hiddenDim, backend, inputScale });
        await policy.loadState(stateOf(golden));
        const { weights, logProbs, unknown } = await policy.forward(
          golden.inputs.map((embedding, i) => ({ embedding, relation: RELATION_TYPES[golden.relation_indices[i]!]! })),
        );
        assert.equal(unknown, 0);
        const [wanted, wantedLog] = [golden.weights.flat(), golden.log_probs.flat()];
        assert.ok(distance(weights, wanted) < 1e-5, `weights ${weights}, wanted ${wanted}`);
        assert.ok(relativeError(logProbs, wantedLog) < 1e-5, `log-probabilities ${logProbs}, wanted ${wantedLog}`);
      }
    },
  });
}

function stateOf({ mlp, relation_embeddings }: GoldenTraversal): TraversalState {
  const tensor = (values: readonly number[] | readonly number[][]): StateDict[string] => ({
    shape: Array.isArray(values[0]) ? [values.length, values[0].length] : [values.length],
    data: Float32Array.from((values as readonly number[][]).flat()),
  });
  return {
    mlp: Object.fromEntries(Object.entries(mlp).map(([name, values]) => [name, tensor(values)])),
    relationEmbeddings: tensor(relation_embeddings),
  };
}

function randomTraversals(size: number, inputDim: number): Traversal[] {
  const random = new Random(5);
  return Array.from({ length: size }, () => ({
    embedding: Float32Array.from({ length: inputDim }, () => random.normal() / Math.sqrt(inputDim)),
    relation: RELATION_TYPES[random.below(RELATION_TYPES.length)]!,
  }));
}

for (const hiddenDim of [0, 6]) {
  Deno.test(`a ${hiddenDim ? "hidden-layer" : "linear"} policy leaves in the original's form and comes back the same`, async () => {
    const options = { inputDim: 20, hiddenDim, backend: "simd" } as const;
    await using policy = await TraversalPolicy.create({ ...options, seed: 1 });
    await using other = await TraversalPolicy.create({ ...options, seed: 2 });
    const traversals = randomTraversals(30, 20);
    const wanted = (await policy.forward(traversals)).weights;
    assert.ok(distance((await other.forward(traversals)).weights, wanted) > 0.01);
    const state = await policy.state();
    assert.deepEqual(state.relationEmbeddings.shape, [11, 11]);
    await other.loadState(state);
    assert.ok(distance((await other.forward(traversals)).weights, wanted) < 1e-6);
  });
}

Deno.test("a relation that the policy does not know is weighed as RELATED_TO, and counted", async () => {
  await using policy = await TraversalPolicy.create({ inputDim: 4, hiddenDim: 6, backend: "simd" });
  const embedding = [0.5, -0.5, 0.5, 0.5];
  const relations = ["MODIFICA", "CITES", "RELATED_TO"];
  const { weights, unknown } = await policy.forward(relations.map((relation) => ({ embedding, relation })));
  assert.equal(unknown, 1);
  assert.equal(weights[1], weights[2]);
  assert.notEqual(weights[0], weights[2]);
});

Deno.test("what does not fit the policy is refused", async () => {
  await using policy = await TraversalPolicy.create({ inputDim: 4, hiddenDim: 6, backend: "simd" });
  await assert.rejects(policy.forward([{ embedding: [1], relation: "DEROGA" }]), /embedding 0 has 1 numbers, wanted/);
  const state = await policy.state();
  const few = { shape: [10, 11], data: new Float32Array(110) };
  await assert.rejects(
    policy.loadState({ ...state, relationEmbeddings: few }),
    /relation embeddings of shape \[10, 11\]/,
  );
  await assert.rejects(TraversalPolicy.create({ relations: ["A", "A"] }), /wanted different names/);
});
