/**
 * What every engine must refuse, in words that say where.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import type { NetworkShape } from "../../src/engine/engine.ts";
import { initialState } from "../../src/engine/network.ts";
import type { EngineMaker } from "./engine_agreement.ts";
import { plainCase } from "./engine_cases.ts";

/** A network that every engine trains in no time. */
export const SMALL: NetworkShape = { inputDim: 24, hiddenDim: 10, outputs: 4, inputScale: 4 };

/** Declares the tests of what is refused. */
export function testRefusals(
  create: EngineMaker,
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
