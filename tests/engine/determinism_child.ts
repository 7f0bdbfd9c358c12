/**
 * One process of `determinism_test.ts`: trains the network named on its command line on the engine named there, and prints
 * a digest of every number that came out. Needs no permission.
 *
 * @module
 */
import type { NetworkShape, PolicyEngine } from "../../src/engine/engine.ts";
import { createSimdEngine } from "../../src/engine/simd/engine.ts";
import { createTfjsEngine } from "../../src/engine/tfjs/engine.ts";
import { createWebgpuEngine } from "../../src/engine/webgpu/engine.ts";
import { plainCase } from "./engine_cases.ts";

/** The engines, each with what makes it. */
const ENGINES: Readonly<Record<string, (shape: NetworkShape) => Promise<PolicyEngine>>> = {
  "simd": (shape) => createSimdEngine(shape),
  "simd, plain": (shape) => createSimdEngine(shape, { kind: "plain" }),
  "simd, 2 threads": (shape) => createSimdEngine(shape, { threads: 2 }),
  "tfjs on wasm": (shape) => createTfjsEngine(shape, "wasm"),
  "tfjs on cpu": (shape) => createTfjsEngine(shape, "cpu"),
  "tfjs on webgpu": (shape) => createTfjsEngine(shape, "webgpu"),
  "webgpu": (shape) => createWebgpuEngine(shape),
};

const [name, seed, steps] = Deno.args;
const batchSize = 96;
const given = plainCase({
  shape: { inputDim: 768, hiddenDim: 256, outputs: 4, inputScale: 32 },
  seed: Number(seed),
  batchSize,
  visits: Number(steps) * batchSize,
});
await using engine = await ENGINES[name!]!(given.shape);
await engine.load(given.state);
await engine.upload(given.inputsNI);
const metrics = await engine.train(given.segment);
const { parameters, firstMoments, secondMoments } = await engine.read();
const columns = [parameters, firstMoments, secondMoments, ...Object.values(metrics) as Float32Array<ArrayBuffer>[]];
const digest = await crypto.subtle.digest("SHA-256", await new Blob(columns as BlobPart[]).arrayBuffer());
await Deno.stdout.write(new TextEncoder().encode(new Uint8Array(digest).toHex()));
