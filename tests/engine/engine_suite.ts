/**
 * What every engine must do, run against each engine that a test file names. The oracle is the float64 reference.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import type { NetworkShape, PolicyEngine, StepMetrics, TrainingState } from "../../src/engine/engine.ts";
import { initialState } from "../../src/engine/network.ts";
import { logSoftmax, LOSS_HEADS, type LossHeadName } from "../../src/loss/heads.ts";
import { distance, norm, relativeError } from "../support/numbers.ts";
import { ReferenceEngine } from "../support/reference_engine.ts";
import { hasShared, readShared } from "../support/shared.ts";
import { type EngineCase, engineCases, plainCase } from "./engine_cases.ts";

/** An engine to be tested. */
export interface EngineUnderTest {
  /** Name in the titles of the tests. */
  readonly name: string;
  /** Why it cannot be tested on this machine. */
  readonly missing?: string;
  /** Random networks for each loss head; fewer where a step is slow. */
  readonly runs: number;
  /** Makes one with any weights. */
  readonly create: (shape: NetworkShape) => Promise<PolicyEngine>;
}

/** Hidden units nearer than this to the kink of their ReLU may fall on either side in float32. */
const KINK_ROUNDING = 2e-6;

/** Declares the tests of every engine. */
export function testEngines(engines: readonly EngineUnderTest[]): void {
  for (const engine of engines) testEngine(engine);
}

function testEngine({ name, missing, runs, create }: EngineUnderTest): void {
  const test = (title: string, run: () => Promise<void>, ignore = false): void => {
    const reason = missing === undefined ? "" : ` (ignored: ${missing})`;
    Deno.test({ name: `${name}: ${title}${reason}`, ignore: ignore || missing !== undefined, fn: run });
  };

  for (const head of Object.keys(LOSS_HEADS) as LossHeadName[]) {
    test(`20 steps of ${head} agree with float64 for networks and batches of random sizes`, async () => {
      await fc.assert(
        fc.asyncProperty(engineCases(head), (given) => assertAgrees(create, given)),
        { seed: 20, numRuns: runs, endOnFailure: true },
      );
    });
  }

  test("a large network and batch agree with float64", async () => {
    const shape = { inputDim: 1100, hiddenDim: 300, outputs: 12, inputScale: 32 };
    await assertAgrees(create, plainCase({ shape, seed: 3, batchSize: 130, visits: 2 * 130 }));
  });

  test("two engines given the same segment end with the same bits", async () => {
    const given = plainCase({ shape: SMALL, seed: 5, batchSize: 32, visits: 300 });
    const [a, b] = [await trained(create, given), await trained(create, given)];
    assert.deepEqual(a, b);
  });

  test("two segments end with the same bits as one", async () => {
    const given = plainCase({ shape: SMALL, seed: 6, batchSize: 8, visits: 64 });
    const whole = await trained(create, given);
    await using engine = await create(given.shape);
    await engine.load(given.state);
    await engine.upload(given.inputsNI);
    await engine.train(sliced(given, 0, 24));
    const between = await engine.read();
    await using other = await create(given.shape);
    await other.load(between);
    await other.upload(given.inputsNI);
    await other.train(sliced(given, 24, 64));
    assert.deepEqual(await other.read(), whole.state);
  });

  for (const head of Object.keys(LOSS_HEADS) as LossHeadName[]) {
    test(`without an optimizer ${head} measures what a step would, and changes nothing`, async () => {
      for (const batchSize of [1, 7]) {
        const given = plainCase({ shape: SMALL, seed: 12, batchSize, visits: 3 * batchSize, head });
        await using engine = await create(given.shape);
        await engine.load(given.state);
        await engine.upload(given.inputsNI);
        const measured = await engine.train({ ...given.segment, optimizer: null });
        assert.equal(measured.loss.length, 3);
        assert.deepEqual(await engine.read(), given.state);
        const { metrics } = await trained(create, { ...given, segment: sliced(given, 0, batchSize) });
        for (const name of ["loss", "entropy", "gradNorm", "kl", "clipFraction"] as const) {
          assert.equal(measured[name][0], metrics[name][0], name);
        }
      }
    });
  }

  test("the wider the clip range of PPO, the fewer rows lie outside", async () => {
    const given = plainCase({ shape: SMALL, seed: 13, batchSize: 64, visits: 64, head: "ppo_actor" });
    await using engine = await create(given.shape);
    await engine.load(given.state);
    await engine.upload(given.inputsNI);
    const outside = async (clipRatio?: number): Promise<number> =>
      (await engine.train({ ...given.segment, clipRatio, optimizer: null })).clipFraction[0]!;
    assert.equal(await outside(100), 0);
    assert.ok(await outside(0.01) > 0.9);
    assert.equal(await outside(), await outside(0.2));
  });

  test("a state that was loaded is read back bit for bit, and stays a copy", async () => {
    await using engine = await create(SMALL);
    const { state } = plainCase({ shape: SMALL, seed: 7, batchSize: 1, visits: 1 });
    const given = structuredClone(state);
    await engine.load(given);
    given.parameters.fill(9);
    const found = await engine.read();
    assert.deepEqual(found, state);
    found.parameters.fill(9);
    assert.deepEqual(await engine.read(), state);
  });

  test("a state read into a worn one is the same, and the engine's own stays as it is", async () => {
    await using engine = await create(SMALL);
    const { state } = plainCase({ shape: SMALL, seed: 14, batchSize: 1, visits: 1 });
    await engine.load(state);
    const worn = initialState(SMALL, 3);
    const found = await engine.read(worn);
    assert.deepEqual(found, state);
    found.parameters.fill(9);
    assert.deepEqual(await engine.read(found), state);
  });

  test("an empty segment takes no step", async () => {
    const given = plainCase({ shape: SMALL, seed: 8, batchSize: 4, visits: 0 });
    const { state, metrics } = await trained(create, given);
    assert.deepEqual(state, given.state);
    assert.equal(metrics.loss.length, 0);
  });

  test("forward of no rows gives no outputs, and of many rows the same as row by row", async () => {
    await using engine = await create(SMALL);
    const { inputsNI, state } = plainCase({ shape: SMALL, seed: 9, batchSize: 1, visits: 1 });
    await engine.load(state);
    assert.equal((await engine.forward(new Float32Array(0))).length, 0);
    const together = await engine.forward(inputsNI);
    for (const row of [0, 1, inputsNI.length / SMALL.inputDim - 1]) {
      const alone = await engine.forward(inputsNI.slice(row * SMALL.inputDim, (row + 1) * SMALL.inputDim));
      const found = together.slice(row * SMALL.outputs, (row + 1) * SMALL.outputs);
      assert.ok(relativeError(found, alone) < 1e-6, `row ${row}: ${found} and ${alone}`);
    }
  });

  test("logits and log-probabilities match the original's GatingPolicy", async () => {
    const golden = await readShared<GoldenForward>("golden/gating_forward_a.json");
    const shape = { inputDim: 16, hiddenDim: 8, outputs: 4, inputScale: 1 };
    await using engine = await create(shape);
    const parameters = ["0.weight", "0.bias", "3.weight", "3.bias", "6.weight", "6.bias"]
      .flatMap((name) => (golden.params[name] as number[] | number[][]).flat());
    await engine.load({ ...initialState(shape, 0), parameters: Float32Array.from(parameters) });
    const logits = await engine.forward(Float32Array.from(golden.inputs.flat()));
    for (const [row, wanted] of golden.logits.entries()) {
      const found = logits.subarray(row * 4, row * 4 + 4);
      assert.ok(relativeError(found, wanted) < 1e-5, `logits of row ${row}: ${found}, wanted ${wanted}`);
      const [pi, logPi] = [new Float64Array(4), new Float64Array(4)];
      logSoftmax(found, pi, logPi);
      assert.ok(distance(pi, golden.weights[row]!) < 1e-5, `weights of row ${row}`);
      assert.ok(relativeError(logPi, golden.log_probs[row]!) < 1e-5, `log-probabilities of row ${row}`);
    }
  }, !hasShared);

  testRefusals(create, test);
}

/** What is refused, in words that say where. */
function testRefusals(
  create: EngineUnderTest["create"],
  test: (title: string, run: () => Promise<void>) => void,
): void {
  const given = plainCase({ shape: SMALL, seed: 10, batchSize: 4, visits: 8 });
  const refused = (work: Promise<unknown>, message: RegExp): Promise<void> =>
    assert.rejects(
      work,
      (error) => error instanceof RlcfError && error.code === "usage" && message.test(error.message),
    );

  test("inputs that are not finite or not whole rows are refused", async () => {
    await using engine = await create(SMALL);
    for (const bad of [NaN, Infinity, -Infinity]) {
      const inputs = given.inputsNI.with(SMALL.inputDim + 2, bad);
      await refused(engine.upload(inputs), /cannot upload inputs: found .* in row 1, column 2/);
      await refused(engine.forward(inputs), /cannot run the network: found .* in row 1, column 2/);
    }
    await refused(engine.upload(new Float32Array(SMALL.inputDim + 1)), /wanted a multiple of the input length/);
    await refused(engine.forward(new Float32Array(SMALL.inputDim - 1)), /wanted a multiple of the input length/);
  });

  test("segments whose columns do not fit are refused and change nothing", async () => {
    await using engine = await create(SMALL);
    await engine.load(given.state);
    await refused(engine.train(given.segment), /a row is .*uploaded inputs/);
    await engine.upload(given.inputsNI);
    const { segment } = given;
    await refused(engine.train({ ...segment, coefficients: segment.coefficients.slice(1) }), /length of coefficients/);
    await refused(engine.train({ ...segment, coefficients: segment.coefficients.with(3, NaN) }), /row 0, column 3/);
    await refused(engine.train({ ...segment, targets: segment.targets.with(5, NaN) }), /targets: found NaN in row 5/);
    await refused(engine.train({ ...segment, sampleWeights: new Float32Array(1) }), /length of sampleWeights/);
    const actions = { ...segment, head: "ppo_actor" } as const;
    await refused(engine.train(actions), /coefficients: found 4 entries other than 0 in row 0, wanted one entry/);
    const taken = segment.coefficients.map((_, k) => k % SMALL.outputs === 1 ? (k === 9 ? 0.5 : 2) : 0);
    await refused(engine.train({ ...actions, coefficients: taken }), /coefficients: found 0.5 in row 2/);
    await refused(engine.train({ ...segment, clipRatio: 0 }), /clipRatio is 0/);
    await refused(engine.train({ ...segment, batchSize: 0 }), /batchSize is 0/);
    await refused(engine.train({ ...segment, batchSize: 1.5 }), /batchSize is 1.5/);
    await refused(
      engine.train({ ...segment, optimizer: { ...segment.optimizer!, learningRate: NaN } }),
      /learningRate is NaN/,
    );
    assert.deepEqual(await engine.read(), given.state);
  });

  test("states of another shape or with numbers that are not finite are refused", async () => {
    await using engine = await create(SMALL);
    await refused(engine.load(initialState({ ...SMALL, outputs: 3 }, 0)), /found a network .*wanted/);
    await refused(engine.load(initialState({ ...SMALL, inputScale: 2 }, 0)), /inputs scaled by 2/);
    const { state } = given;
    await refused(engine.load({ ...state, parameters: state.parameters.slice(1) }), /parameters holds/);
    await refused(
      engine.load({ ...state, secondMoments: state.secondMoments.with(4, NaN) }),
      /secondMoments: found NaN/,
    );
  });

  test("training that breaks down says at which step", async () => {
    await using engine = await create(SMALL);
    await engine.load(given.state);
    await engine.upload(given.inputsNI);
    const optimizer = { learningRate: 1e30, weightDecay: 0, clipGradNorm: 0 };
    const segment = { ...given.segment, head: "masked_regression" as const, batchSize: 1, optimizer };
    await refused(engine.train(segment), /training broke down: .* at step [2-8] of 8, wanted a finite number/);
  });

  test("an engine that was disposed refuses to work, and may be disposed again", async () => {
    const engine = await create(SMALL);
    await engine[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
    await assert.rejects(engine.read(), /disposed/);
    await assert.rejects(engine.forward(given.inputsNI), /disposed/);
  });
}

const SMALL: NetworkShape = { inputDim: 24, hiddenDim: 10, outputs: 4, inputScale: 4 };

interface GoldenForward {
  readonly params: Readonly<Record<string, readonly number[] | readonly number[][]>>;
  readonly inputs: readonly number[][];
  readonly logits: readonly number[][];
  readonly weights: readonly number[][];
  readonly log_probs: readonly number[][];
}

async function trained(
  create: EngineUnderTest["create"],
  given: EngineCase,
): Promise<{ readonly state: TrainingState; readonly metrics: StepMetrics; readonly outputs: Float32Array }> {
  await using engine = await create(given.shape);
  await engine.load(given.state);
  await engine.upload(given.inputsNI);
  const metrics = await engine.train(given.segment);
  return { state: await engine.read(), metrics, outputs: await engine.forward(given.inputsNI) };
}

/** Visits [start, end) of a case's segment. */
function sliced({ segment, shape }: EngineCase, start: number, end: number): EngineCase["segment"] {
  return {
    ...segment,
    rows: segment.rows.slice(start, end),
    coefficients: segment.coefficients.slice(start * shape.outputs, end * shape.outputs),
    targets: segment.targets.slice(start, end),
    sampleWeights: segment.sampleWeights.slice(start, end),
  };
}

/**
 * Trains the engine and the reference alike and compares everything that came out.
 *
 * Losses, norms, moments and parameters are held to 1e-5. So is nothing about the single entries of an update: where a
 * gradient is nearly 0, AdamW divides it by its own size, and float32 decides only the sign of what is left. The update
 * as a whole is held to 5e-3, which any wrong constant of the optimizer exceeds.
 */
async function assertAgrees(create: EngineUnderTest["create"], given: EngineCase): Promise<void> {
  const reference = new ReferenceEngine(given.shape);
  await reference.load(given.state);
  await reference.upload(given.inputsNI);
  const wanted = await reference.train(given.segment);
  fc.pre(reference.kinkMargin > KINK_ROUNDING);
  const { state, metrics, outputs } = await trained(create, given);

  const close = (what: string, error: number, limit: number): void => {
    assert.ok(error <= limit, `${what} is off by ${error}, allowed ${limit}; ${describeCase(given)}`);
  };
  for (const name of ["loss", "entropy", "gradNorm", "kl", "clipFraction"] as const) {
    assert.equal(metrics[name].length, wanted[name].length, `number of steps in ${name}`);
    for (const [step, value] of wanted[name].entries()) {
      // A mean loss may cancel to nearly 0; its terms are of size 1.
      close(`${name} of step ${step}`, Math.abs(metrics[name][step]! - value), 1e-5 * Math.max(1, Math.abs(value)));
    }
  }
  assert.equal(state.step, given.state.step + wanted.loss.length);
  close("first moments", distance(state.firstMoments, reference.firstMoments), 1e-5 * norm(reference.firstMoments));
  close("second moments", distance(state.secondMoments, reference.secondMoments), 1e-5 * norm(reference.secondMoments));
  close("parameters", relativeError(state.parameters, reference.parameters), 1e-5);
  const update = distance(reference.parameters, given.state.parameters);
  close("update", distance(state.parameters, reference.parameters), 5e-3 * update);
  close("outputs", relativeError(outputs, await reference.forward(given.inputsNI)), 2e-5);
}

function describeCase({ shape, segment }: EngineCase): string {
  const { head, batchSize, rows, optimizer, entropyCoef } = segment;
  return JSON.stringify({ shape, head, batchSize, visits: rows.length, optimizer, entropyCoef });
}
