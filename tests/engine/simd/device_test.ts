/** Which of the two modules is chosen where WebAssembly lacks relaxed SIMD, or SIMD altogether. */
import assert from "node:assert/strict";
import { RlcfError } from "../../../src/base/errors.ts";
import { listBackends } from "../../../src/engine/create.ts";
import type { StepMetrics, TrainingState } from "../../../src/engine/engine.ts";
import { compileSimd, openSimdDevice } from "../../../src/engine/simd/device.ts";
import { createSimdEngine, type SimdOptions } from "../../../src/engine/simd/engine.ts";
import { PLAIN_SIMD, RELAXED_SIMD } from "../../../src/engine/simd/modules.ts";
import { replaced } from "../../support/replaced.ts";
import { plainCase } from "../engine_cases.ts";

const GIVEN = plainCase({
  shape: { inputDim: 40, hiddenDim: 12, outputs: 4, inputScale: 8 },
  seed: 1,
  batchSize: 9,
  visits: 50,
});

/** A WebAssembly that refuses these modules, as one without their instructions does. */
function refusing(...modules: readonly string[]): Disposable {
  const validate = WebAssembly.validate;
  return replaced(WebAssembly, "validate", (bytes) => {
    const text = new Uint8Array(bytes as ArrayBuffer).toBase64();
    return !modules.includes(text) && validate(bytes);
  });
}

async function trained(
  options: SimdOptions = {},
): Promise<{ readonly device: string; readonly metrics: StepMetrics; readonly state: TrainingState }> {
  await using engine = await createSimdEngine(GIVEN.shape, options);
  await engine.load(GIVEN.state);
  await engine.upload(GIVEN.inputsNI);
  return { device: engine.device, metrics: await engine.train(GIVEN.segment), state: await engine.read() };
}

async function listed(): Promise<{ readonly available: boolean; readonly device: string }> {
  return (await listBackends()).find(({ name }) => name === "simd")!;
}

Deno.test("the module with relaxed SIMD is chosen where WebAssembly has it", async () => {
  const found = await trained();
  assert.deepEqual(found, await trained({ kind: "relaxed" }));
  assert.match(found.device, /^relaxed SIMD, /);
  // Otherwise the next test would show nothing.
  assert.notDeepEqual(found.state, (await trained({ kind: "plain" })).state);
});

Deno.test("the plain module is chosen where WebAssembly has no relaxed SIMD", async () => {
  using _without = refusing(RELAXED_SIMD);
  const found = await trained();
  assert.deepEqual(found, await trained({ kind: "plain" }));
  assert.match(found.device, /^SIMD, /);
  assert.equal((await openSimdDevice()).kind, "plain");
  const { available, device } = await listed();
  assert.deepEqual([available, device], [true, found.device]);
});

Deno.test("where WebAssembly has no SIMD the engine is not available and says why", async () => {
  using _without = refusing(RELAXED_SIMD, PLAIN_SIMD);
  const { available, device } = await listed();
  assert.deepEqual([available, device], [false, "WebAssembly has no SIMD here"]);
  const refused = (error: unknown): boolean =>
    error instanceof RlcfError && error.code === "backend" && /WebAssembly has no SIMD here/.test(error.message);
  await assert.rejects(createSimdEngine(GIVEN.shape), refused);
  assert.throws(() => compileSimd(), refused);
});
