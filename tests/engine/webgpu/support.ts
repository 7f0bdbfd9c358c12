/**
 * What the tests of the fused engine share: whether there is a GPU, training to the end, and tampering with the device.
 *
 * @module
 */
import { listBackends } from "../../../src/engine/create.ts";
import type { StepMetrics, TrainingState } from "../../../src/engine/engine.ts";
import { createWebgpuEngine, type WebgpuOptions } from "../../../src/engine/webgpu/engine.ts";
import type { EngineCase } from "../engine_cases.ts";

export { replaced } from "../../support/replaced.ts";

const gpu = (await listBackends()).find(({ name }) => name === "webgpu")!;

/** Declares a test that needs a GPU; a software adapter will do. */
export function gpuTest(title: string, fn: () => Promise<void>): void {
  Deno.test({ name: gpu.available ? title : `${title} (ignored: ${gpu.device})`, ignore: !gpu.available, fn });
}

/** What an engine with these options makes of a case. */
export async function trained(
  { shape, state, inputsNI, segment }: EngineCase,
  options: WebgpuOptions = {},
): Promise<{ readonly metrics: StepMetrics; readonly state: TrainingState }> {
  await using engine = await createWebgpuEngine(shape, options);
  await engine.load(state);
  await engine.upload(inputsNI);
  return { metrics: await engine.train(segment), state: await engine.read() };
}
