/**
 * What every engine must do, run against each engine that a test file names. The oracle is the float64 reference.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { initialState } from "../../src/engine/network.ts";
import { logSoftmax, LOSS_HEADS, type LossHeadName } from "../../src/loss/heads.ts";
import { distance, relativeError } from "../support/numbers.ts";
import { hasShared, readShared } from "../support/shared.ts";
import { CORNER_CASES, cornerSettings, describeCorner } from "./corner_cases.ts";
import { assertAgrees, type EngineMaker, nextReferenceRun, referenceRun, trained } from "./engine_agreement.ts";
import { plainCase, randomSettings, sliced } from "./engine_cases.ts";
import { SMALL, testRefusals } from "./engine_refusals.ts";

/** An engine to be tested. */
export interface EngineUnderTest {
  /** Name in the titles of the tests. */
  readonly name: string;
  /** Why it cannot be tested on this machine. */
  readonly missing?: string;
  /** Random networks for each loss head; fewer where a step is slow. */
  readonly runs: number;
  /** Steps of the largest corner case, twenty unless one takes half a second. */
  readonly largestSteps?: number;
  /** Makes one with any weights. */
  readonly create: EngineMaker;
}

const HEADS = Object.keys(LOSS_HEADS) as LossHeadName[];

/** Declares the tests of every engine. */
export function testEngines(engines: readonly EngineUnderTest[]): void {
  for (const engine of engines) testEngine(engine);
}

function testEngine({ name, missing, runs, largestSteps = 20, create }: EngineUnderTest): void {
  const test = (title: string, run: () => Promise<void>, ignore = false): void => {
    const reason = missing === undefined ? "" : ` (ignored: ${missing})`;
    Deno.test({ name: `${name}: ${title}${reason}`, ignore: ignore || missing !== undefined, fn: run });
  };

  for (const head of HEADS) {
    test(`20 steps of ${head} agree with float64 for networks and batches of random sizes`, async () => {
      await fc.assert(
        fc.asyncProperty(
          randomSettings(head),
          async (settings) => await assertAgrees(create, await nextReferenceRun(settings)),
        ),
        { seed: 20, numRuns: runs, endOnFailure: true },
      );
    });
  }

  for (const corner of CORNER_CASES) {
    for (const head of HEADS) {
      const steps = corner === CORNER_CASES[0] ? largestSteps : 20;
      test(`${steps} steps of ${head} agree with float64 for ${describeCorner(corner)}`, async () => {
        const settings = cornerSettings(corner, head, steps);
        const run = await referenceRun(settings);
        if (run === undefined) {
          const { settings: next } = await nextReferenceRun(settings);
          assert.fail(`seed ${settings.seed} of corner_cases.ts is stale, ${next.seed} is not`);
        }
        await assertAgrees(create, run);
      });
    }
  }

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

  for (const head of HEADS) {
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

interface GoldenForward {
  readonly params: Readonly<Record<string, readonly number[] | readonly number[][]>>;
  readonly inputs: readonly number[][];
  readonly logits: readonly number[][];
  readonly weights: readonly number[][];
  readonly log_probs: readonly number[][];
}
