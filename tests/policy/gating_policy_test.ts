import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { DEFAULT_EXPERTS, GatingPolicy, type GatingPolicyOptions } from "../../src/policy/gating_policy.ts";
import { hasShared, readShared } from "../support/shared.ts";
import { nestedState, torchForward } from "./torch.ts";

const SMALL: GatingPolicyOptions = { inputDim: 16, hiddenDim: 8, backend: "cpu" };

function normals(n: number, seed = 1): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: n }, () => random.normal());
}

/** Asserts that the promise is refused with an RlcfError of kind usage whose message matches. */
async function refuses(work: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(work, (thrown) => {
    assert.ok(thrown instanceof RlcfError && thrown.code === "usage", String(thrown));
    assert.match(thrown.message, message);
    return true;
  });
}

const sizes = [
  { inputDim: 1, hiddenDim: 0, numExperts: 1 },
  { inputDim: 3, hiddenDim: 2, numExperts: 2 },
  { inputDim: 16, hiddenDim: 7, numExperts: 5 },
  { inputDim: 33, hiddenDim: 64, numExperts: 4 },
];

for (const { inputDim, hiddenDim, numExperts } of sizes) {
  Deno.test(`a policy of sizes ${inputDim}, ${hiddenDim}, ${numExperts} routes to weights that are probabilities`, async () => {
    await using policy = await GatingPolicy.create({ inputDim, hiddenDim, numExperts, backend: "cpu" });
    assert.equal(policy.numExperts, numExperts);
    const { weights, logProbs } = await policy.forward(normals(3 * inputDim));
    assert.deepEqual([weights.length, logProbs.length], [3 * numExperts, 3 * numExperts]);
    for (let row = 0; row < 3; row++) {
      const rowWeights = weights.subarray(row * numExperts, (row + 1) * numExperts);
      assert.ok(Math.abs(rowWeights.reduce((sum, w) => sum + w, 0) - 1) < 1e-6);
      assert.ok(rowWeights.every((w) => w > 0 && w <= 1));
    }
    logProbs.forEach((logProb, i) => assert.ok(Math.abs(logProb - Math.log(weights[i]!)) < 1e-5));
  });

  Deno.test(`the state dict of sizes ${inputDim}, ${hiddenDim}, ${numExperts} has torch's names and shapes`, async () => {
    await using policy = await GatingPolicy.create({ inputDim, hiddenDim, numExperts, backend: "cpu" });
    const half = Math.floor(hiddenDim / 2);
    const wanted = hiddenDim === 0 ? { "0.weight": [numExperts, inputDim], "0.bias": [numExperts] } : {
      "0.weight": [hiddenDim, inputDim],
      "0.bias": [hiddenDim],
      "3.weight": [half, hiddenDim],
      "3.bias": [half],
      "6.weight": [numExperts, half],
      "6.bias": [numExperts],
    };
    const state = await policy.stateDict();
    assert.deepEqual(Object.fromEntries(Object.entries(state).map(([name, { shape }]) => [name, shape])), wanted);
    for (const { shape, data } of Object.values(state)) {
      assert.equal(data.length, shape.reduce((product, length) => product * length, 1));
    }
  });

  Deno.test(`a plain torch network with the exported weights of sizes ${inputDim}, ${hiddenDim}, ${numExperts} routes alike`, async () => {
    await using policy = await GatingPolicy.create({ inputDim, hiddenDim, numExperts, seed: 3, backend: "cpu" });
    const inputs = normals(5 * inputDim, 7);
    const { weights } = await policy.forward(inputs);
    const plain = torchForward(await policy.stateDict(), inputs);
    weights.forEach((weight, i) => assert.ok(Math.abs(weight - plain.weights[i]!) < 1e-6, `weight ${i}`));
  });
}

Deno.test("the specification's four experts are the default", async () => {
  await using policy = await GatingPolicy.create(SMALL);
  assert.deepEqual(policy.experts, DEFAULT_EXPERTS);
  assert.deepEqual(DEFAULT_EXPERTS, ["literal", "systemic", "principles", "precedent"]);
});

Deno.test("experts are named by the caller, or numbered", async () => {
  await using named = await GatingPolicy.create({ ...SMALL, experts: ["b", "a"] });
  assert.deepEqual(named.experts, ["b", "a"]);
  await using numbered = await GatingPolicy.create({ ...SMALL, numExperts: 3 });
  assert.deepEqual(numbered.experts, ["expert_0", "expert_1", "expert_2"]);
});

Deno.test("the same seed gives the same weights, another seed others", async () => {
  const weightsOf = async (seed: number): Promise<Float32Array> => {
    await using policy = await GatingPolicy.create({ ...SMALL, seed });
    return (await policy.forward(normals(16))).weights;
  };
  assert.deepEqual(await weightsOf(1), await weightsOf(1));
  assert.notDeepEqual(await weightsOf(1), await weightsOf(2));
});

Deno.test("different queries are routed differently", async () => {
  await using policy = await GatingPolicy.create(SMALL);
  const { weights } = await policy.forward([normals(16, 1), normals(16, 2)]);
  assert.notDeepEqual(weights.slice(0, 4), weights.slice(4));
});

Deno.test("lists of numbers, of float arrays and one flat array are the same queries", async () => {
  await using policy = await GatingPolicy.create(SMALL);
  const flat = normals(32);
  const wanted = await policy.forward(flat);
  assert.deepEqual(await policy.forward([flat.slice(0, 16), flat.slice(16)]), wanted);
  assert.deepEqual(await policy.forward([Array.from(flat.slice(0, 16)), Array.from(flat.slice(16))]), wanted);
});

Deno.test("routing nothing gives nothing", async () => {
  await using policy = await GatingPolicy.create(SMALL);
  assert.deepEqual(await policy.forward([]), { weights: new Float32Array(0), logProbs: new Float32Array(0) });
});

Deno.test("a policy with another's state dict is that policy, bit for bit", async () => {
  await using first = await GatingPolicy.create({ ...SMALL, seed: 1 });
  await using second = await GatingPolicy.create({ ...SMALL, seed: 2 });
  await second.loadStateDict(await first.stateDict());
  assert.deepEqual(await second.stateDict(), await first.stateDict());
  assert.deepEqual((await second.engine.read()).parameters, (await first.engine.read()).parameters);
});

Deno.test("loading weights makes the optimizer start afresh", async () => {
  await using policy = await GatingPolicy.create(SMALL);
  const state = await policy.engine.read();
  await policy.engine.load({ ...state, step: 9, firstMoments: state.parameters });
  await policy.loadStateDict(await policy.stateDict());
  const { step, firstMoments, parameters } = await policy.engine.read();
  assert.equal(step, 0);
  assert.ok(firstMoments.every((m) => m === 0));
  assert.deepEqual(parameters, state.parameters);
});

Deno.test("the state dict is a copy", async () => {
  await using policy = await GatingPolicy.create(SMALL);
  const state = await policy.stateDict();
  state["0.bias"]!.data[0] = 99;
  assert.notEqual((await policy.stateDict())["0.bias"]!.data[0], 99);
});

Deno.test({
  name: "the original's weights route the recorded inputs as the original did",
  ignore: !hasShared,
  fn: async () => {
    interface Golden {
      readonly params: Record<string, number[] | number[][]>;
      readonly inputs: number[][];
      readonly logits: number[][];
      readonly weights: number[][];
      readonly log_probs: number[][];
    }
    const golden = await readShared<Golden>("golden/gating_forward_a.json");
    for (const inputScale of [1, 4]) {
      await using policy = await GatingPolicy.create({ ...SMALL, inputScale });
      await policy.loadStateDict(nestedState(golden.params));
      const { weights, logProbs } = await policy.forward(golden.inputs);
      golden.weights.flat().forEach((weight, i) => assert.ok(Math.abs(weights[i]! - weight) < 1e-5, `weight ${i}`));
      golden.log_probs.flat().forEach((logProb, i) => {
        assert.ok(Math.abs(logProbs[i]! - logProb) < 1e-5 * (1 + Math.abs(logProb)), `log-prob ${i}`);
      });
    }
  },
});

Deno.test("impossible sizes and names are refused", async () => {
  const create = (options: GatingPolicyOptions): Promise<GatingPolicy> => GatingPolicy.create({ ...SMALL, ...options });
  await refuses(create({ inputDim: 0 }), /inputDim is 0, wanted an integer >= 1/);
  await refuses(create({ inputDim: 2.5 }), /inputDim is 2.5/);
  await refuses(create({ hiddenDim: 1 }), /hiddenDim is 1, wanted an integer >= 2/);
  await refuses(create({ numExperts: 0 }), /numExperts is 0, wanted an integer >= 1/);
  await refuses(create({ numExperts: 1.5 }), /numExperts is 1.5/);
  await refuses(create({ numExperts: NaN }), /numExperts is NaN/);
  await refuses(create({ experts: [] }), /outputs is 0, wanted an integer >= 1/);
  await refuses(create({ experts: ["a", "b", "a"] }), /experts are a, b, a, wanted different names/);
  await refuses(create({ experts: ["a", "b"], numExperts: 4 }), /2 experts named, but numExperts is 4/);
  await refuses(create({ inputScale: 0 }), /inputScale is 0, wanted a number > 0/);
});

Deno.test("a backend that does not exist is refused by name", async () => {
  await assert.rejects(GatingPolicy.create({ ...SMALL, backend: "abacus" as never }), (thrown) => {
    return thrown instanceof RlcfError && thrown.code === "backend" &&
      /cannot use backend "abacus"/.test(thrown.message);
  });
});

Deno.test("embeddings of another length, or not finite, are refused", async () => {
  await using policy = await GatingPolicy.create(SMALL);
  await refuses(policy.forward(new Float32Array(17)), /found 17 numbers, wanted a multiple of inputDim 16/);
  await refuses(policy.forward([normals(16), normals(15)]), /embedding 1 has 15 numbers, wanted inputDim 16/);
  await refuses(policy.forward([normals(16).fill(NaN, 3, 4)]), /NaN in row 0, column 3/);
  await refuses(policy.sample(normals(15)), /embedding 0 has 15 numbers/);
});

Deno.test("weights that do not fit are refused, and the policy keeps its own", async () => {
  await using policy = await GatingPolicy.create(SMALL);
  const before = await policy.stateDict();
  const { "0.bias": _bias, ...missing } = before;
  await refuses(policy.loadStateDict(missing), /found no tensor 0.bias, wanted one of shape \[8\]/);
  const extra = { ...before, "9.weight": { shape: [1], data: new Float32Array(1) } };
  await refuses(policy.loadStateDict(extra), /found tensor 9.weight, wanted 0.weight, 0.bias/);
  const turned = { ...before, "0.weight": { ...before["0.weight"]!, shape: [16, 8] } };
  await refuses(policy.loadStateDict(turned), /found 0.weight of shape \[16, 8\] with 128 numbers, wanted \[8, 16\]/);
  const short = { ...before, "0.bias": { shape: [8], data: new Float32Array(7) } };
  await refuses(policy.loadStateDict(short), /found 0.bias of shape \[8\] with 7 numbers/);
  const broken = { ...before, "6.bias": { shape: [4], data: Float32Array.of(0, 0, NaN, 0) } };
  await refuses(policy.loadStateDict(broken), /6.bias holds NaN or infinity/);
  assert.deepEqual(await policy.stateDict(), before);
});
