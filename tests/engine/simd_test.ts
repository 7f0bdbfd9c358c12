/** What is the simd engine's own: two modules, threads, memory, kernels on awkward sizes. The rest is in the suite. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import type { NetworkShape, StepMetrics, TrainingState } from "../../src/engine/engine.ts";
import { openSimdDevice, type SimdKind } from "../../src/engine/simd/device.ts";
import { createSimdEngine, type SimdOptions } from "../../src/engine/simd/engine.ts";
import { SimdNetwork } from "../../src/engine/simd/network.ts";
import {
  PHASE_BACKWARD,
  PHASE_FORWARD,
  PHASE_GRADIENTS,
  PHASE_SQUARES,
  SQUARES_CHUNK,
} from "../../src/engine/simd/plan.ts";
import { pack, unpack } from "../../src/engine/simd/state.ts";
import { instantiate, Team } from "../../src/engine/simd/team.ts";
import { ThreadChoice } from "../../src/engine/simd/thread_choice.ts";
import { initialState, parameterCount } from "../../src/engine/network.ts";
import { relativeError } from "../support/numbers.ts";
import { referenceForward, referenceGradient } from "../support/reference_network.ts";
import { type EngineCase, plainCase } from "./engine_cases.ts";

const SHAPE: NetworkShape = { inputDim: 100, hiddenDim: 50, outputs: 4, inputScale: 8 };

async function trained(
  given: EngineCase,
  options: SimdOptions,
): Promise<{ readonly state: TrainingState; readonly metrics: StepMetrics }> {
  await using engine = await createSimdEngine(given.shape, options);
  await engine.load(given.state);
  await engine.upload(given.inputsNI);
  const metrics = await engine.train(given.segment);
  return { state: await engine.read(), metrics };
}

Deno.test("the module with relaxed SIMD and the plain one agree", async () => {
  const given = plainCase({ shape: SHAPE, seed: 1, batchSize: 33, visits: 333 });
  const [relaxed, plain] = [await trained(given, { kind: "relaxed" }), await trained(given, { kind: "plain" })];
  assert.ok(relativeError(relaxed.state.parameters, plain.state.parameters) < 1e-5);
  assert.ok(relativeError(relaxed.metrics.loss, plain.metrics.loss) < 1e-5);
  assert.ok(relativeError(relaxed.metrics.gradNorm, plain.metrics.gradNorm) < 1e-5);
});

Deno.test("any number of threads gives the same bits, for batches of every size down to one row", async () => {
  for (const [hiddenDim, batchSize] of [[50, 64], [50, 7], [50, 1], [0, 33], [2, 100]] as const) {
    const shape = { ...SHAPE, hiddenDim };
    const given = plainCase({ shape, seed: 2, batchSize, visits: 5 * batchSize + 1 });
    const alone = await trained(given, { threads: 1 });
    for (const threads of [2, 3, 8]) {
      assert.deepEqual(await trained(given, { threads }), alone, `${threads} threads, batches of ${batchSize}`);
    }
  }
});

Deno.test("threads that were found by trying give the bits of one thread", async () => {
  // Large enough for the engine to try threads where there are cores.
  const shape = { inputDim: 768, hiddenDim: 256, outputs: 4, inputScale: 32 };
  const given = plainCase({ shape, seed: 3, batchSize: 96, visits: 96 * 12 });
  assert.deepEqual(await trained(given, {}), await trained(given, { threads: 1 }));
  await using engine = await createSimdEngine(shape);
  await engine.upload(given.inputsNI);
  await engine.train({ ...given.segment, batchSize: 32 });
  assert.equal(engine.threads, 1);
  await engine.train(given.segment);
  assert.equal(engine.threads, Math.min(8, navigator.hardwareConcurrency));
});

Deno.test("threads end with the engine, and an engine may train on after its threads were started", async () => {
  const given = plainCase({ shape: SHAPE, seed: 4, batchSize: 16, visits: 64 });
  const engine = await createSimdEngine(SHAPE, { threads: 3 });
  await engine.load(given.state);
  await engine.upload(given.inputsNI);
  for (let round = 0; round < 3; round++) await engine.train(given.segment);
  // Deno's own check of this test finds workers that were left behind.
  await engine[Symbol.asyncDispose]();
  await assert.rejects(engine.train(given.segment), /disposed/);
});

Deno.test("a phase may use fewer threads than there are, a different number each time", async () => {
  const shape = { ...SHAPE, inputScale: 2 };
  const size = 30;
  const { module } = await openSimdDevice();
  const random = new Random(9);
  const inputsBI = Float32Array.from({ length: size * shape.inputDim }, () => random.normal());
  const network = new SimdNetwork(shape);
  const exports = instantiate(module, network.memory);
  network.reserve(size);
  network.setRows(size);
  pack(shape, network.layers, initialState(shape, 9).parameters, network.parameters);
  const forward = (run: () => void): Float32Array => {
    for (let b = 0; b < size; b++) {
      network.setInput(b, inputsBI.subarray(b * shape.inputDim, (b + 1) * shape.inputDim));
    }
    network.outputs(size).fill(NaN);
    run();
    return network.outputs(size).slice();
  };
  const wanted = forward(() => exports.run(PHASE_FORWARD, 0, 1));
  const team = await Team.start(module, network.memory, exports, 4);
  try {
    for (let round = 0; round < 200; round++) {
      const threads = 2 + random.below(3);
      // Inputs are scaled in place: a share done twice, or by a thread that has none, shows.
      assert.deepEqual(forward(() => team.run(PHASE_FORWARD, threads)), wanted, `round ${round}, ${threads} threads`);
    }
  } finally {
    await team.stop();
  }
});

Deno.test("a number of threads that cannot be is refused", async () => {
  for (const threads of [0, 1.5, 9]) {
    await assert.rejects(createSimdEngine(SHAPE, { threads }), /wanted .* from 1 to 8/);
  }
});

Deno.test("memory goes with the largest batch, not with the number of calls or of rows", async () => {
  const given = plainCase({ shape: SHAPE, seed: 5, batchSize: 64, visits: 640 });
  await using engine = await createSimdEngine(SHAPE);
  await engine.upload(given.inputsNI);
  await engine.forward(new Float32Array(10_000 * SHAPE.inputDim));
  await engine.train(given.segment);
  const bytes = engine.memoryBytes;
  for (let round = 0; round < 20; round++) {
    await engine.train({ ...given.segment, batchSize: 1 + 3 * round });
    await engine.forward(given.inputsNI);
    await engine.load(await engine.read());
    await engine.upload(given.inputsNI.slice());
  }
  assert.equal(engine.memoryBytes, bytes);
});

Deno.test("batches that grow and shrink give the bits of engines that saw only their own size", async () => {
  const cases = [5, 40, 3, 90, 1].map((batchSize) => plainCase({ shape: SHAPE, seed: 6, batchSize, visits: 91 }));
  for (const threads of [1, 2]) {
    await using engine = await createSimdEngine(SHAPE, { threads });
    for (const given of cases) {
      await engine.load(given.state);
      await engine.upload(given.inputsNI);
      const metrics = await engine.train(given.segment);
      assert.deepEqual({ state: await engine.read(), metrics }, await trained(given, { threads: 1 }));
    }
  }
});

Deno.test("packing and unpacking parameters gives them back, with zeros for padding", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.oneof(fc.constant(0), fc.integer({ min: 2, max: 40 })),
      fc.integer({ min: 1, max: 20 }),
      (inputDim, hiddenDim, outputs) => {
        const shape = { inputDim, hiddenDim, outputs, inputScale: 1 };
        const network = new SimdNetwork(shape);
        const flatP = Float32Array.from({ length: parameterCount(shape) }, (_, i) => i + 1);
        const packed = new Float32Array(network.parameterCount).fill(NaN);
        pack(shape, network.layers, flatP, packed);
        assert.equal(packed.filter((value) => value !== 0).length, flatP.length);
        const found = new Float32Array(flatP.length);
        unpack(shape, network.layers, packed, found);
        assert.deepEqual(found, flatP);
      },
    ),
    { seed: 7, numRuns: 50 },
  );
});

for (const kind of ["relaxed", "plain"] as const) {
  Deno.test(`the ${kind} kernels agree with naive loops for awkward sizes`, async () => {
    const { module } = await openSimdDevice(kind satisfies SimdKind);
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 530 }),
        fc.oneof(fc.constant(0), fc.integer({ min: 2, max: 70 })),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 4 }),
        (seed, inputDim, hiddenDim, outputs, size, threads) => {
          const shape = { inputDim, hiddenDim, outputs, inputScale: 4 };
          const random = new Random(seed);
          const normals = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.normal());
          const parametersP = initialState(shape, seed).parameters;
          const [inputsBI, coefficientsBE] = [normals(size * inputDim), normals(size * outputs)];
          const network = new SimdNetwork(shape);
          const { run } = instantiate(module, network.memory);
          network.reserve(size);
          pack(shape, network.layers, parametersP, network.parameters);
          for (let b = 0; b < size; b++) network.setInput(b, inputsBI.subarray(b * inputDim, (b + 1) * inputDim));
          network.setRows(size);
          // The threads' shares one after the other.
          const phase = (number: number): void => {
            for (let thread = 0; thread < threads; thread++) run(number, thread, threads);
          };
          phase(PHASE_FORWARD);
          const wanted = referenceForward(shape, Float64Array.from(parametersP), inputsBI);
          fc.pre(wanted.kinkMargin > 2e-6);
          const found = network.outputs(size);
          assert.ok(relativeError(found, wanted.activations.at(-1)!) < 1e-5, "outputs");
          // The gradient of `sum coefficients * outputs` at the outputs is the coefficients.
          network.outputGradients(size).set(coefficientsBE);
          phase(PHASE_BACKWARD);
          phase(PHASE_GRADIENTS);
          phase(PHASE_SQUARES);
          const gradientP = linearGradient(shape, parametersP, inputsBI, coefficientsBE);
          const flatP = new Float32Array(parametersP.length);
          unpack(shape, network.layers, network.gradients, flatP);
          // Of a single row, the kernels compute the gradients of weights only on the way to an update.
          if (size > 1) assert.ok(relativeError(flatP, gradientP) < 1e-5, "gradients");
          const norm = Math.hypot(...chunks(gradientP).map((chunk) => Math.hypot(...chunk)));
          assert.ok(Math.abs(network.gradientNorm() / norm - 1) < 1e-5, "norm of the gradients");
        },
      ),
      { seed: 8, numRuns: 60, endOnFailure: true },
    );
  });
}

/** The gradient of `sum coefficients * outputs`, by way of a regression whose errors are all -1/2. */
function linearGradient(
  shape: NetworkShape,
  parametersP: Float32Array,
  inputsBI: Float32Array,
  coefficientsBE: Float32Array,
): Float64Array {
  const size = inputsBI.length / shape.inputDim;
  const point = Float64Array.from(parametersP);
  const { activations } = referenceForward(shape, point, inputsBI);
  const batch = {
    head: "masked_regression" as const,
    inputsBI,
    size,
    outputs: shape.outputs,
    coefficientsBE: Float64Array.from(coefficientsBE),
    targetsB: new Float64Array(size),
    // The regression's gradient is 2 w / size * error * coefficients; this makes it the coefficients.
    sampleWeightsB: new Float64Array(size).fill(size / 2),
    entropyCoef: 0,
  };
  for (let b = 0; b < size; b++) {
    for (let e = 0; e < shape.outputs; e++) {
      const k = b * shape.outputs + e;
      batch.targetsB[b]! += batch.coefficientsBE[k]! * activations.at(-1)![k]!;
    }
    batch.targetsB[b]! -= 1;
  }
  return referenceGradient(shape, point, batch).gradientP;
}

function chunks(values: Float64Array): Float64Array[] {
  const count = Math.ceil(values.length / SQUARES_CHUNK);
  return Array.from({ length: count }, (_, i) => values.subarray(i * SQUARES_CHUNK, (i + 1) * SQUARES_CHUNK));
}

Deno.test("the fastest number of threads is chosen, and tried again later", () => {
  const choice = new ThreadChoice([1, 2, 4]);
  let ms: Readonly<Record<number, number>> = { 1: 4, 2: 2, 4: 3 };
  const steps = (count: number): number[] =>
    Array.from({ length: count }, () => {
      const threads = choice.next();
      choice.record(ms[threads]!);
      return threads;
    });
  assert.deepEqual(new Set(steps(15)), new Set([1, 2, 4]));
  assert.deepEqual(new Set(steps(200)), new Set([2]));
  ms = { 1: 4, 2: 9, 4: 9 };
  steps(15);
  assert.deepEqual(new Set(steps(200)), new Set([1]));
});

Deno.test("a state read into a worn one lies in its arrays", async () => {
  const shape = { inputDim: 24, hiddenDim: 10, outputs: 4, inputScale: 4 };
  await using engine = await createSimdEngine(shape);
  const worn = initialState(shape, 3);
  const found = await engine.read(worn);
  for (const name of ["parameters", "firstMoments", "secondMoments"] as const) assert.equal(found[name], worn[name]);
  await assert.rejects(engine.read(initialState({ ...shape, outputs: 3 }, 3)), /found a network/);
});
