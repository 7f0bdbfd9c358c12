/** The common suite, for every engine of this build. A new engine is one more line here. */
import { listBackends } from "../../src/engine/create.ts";
import { createSimdEngine } from "../../src/engine/simd/engine.ts";
import { createTfjsEngine } from "../../src/engine/tfjs/engine.ts";
import { createWebgpuEngine } from "../../src/engine/webgpu/engine.ts";
import { testEngines } from "./engine_suite.ts";

const gpu = (await listBackends()).find(({ name }) => name === "webgpu");
const noGpu = gpu?.available ? {} : { missing: gpu?.device ?? "no webgpu engine" };
// A step of the largest network takes half a second in plain JavaScript and on a GPU that is a program.
const few = { largestSteps: 6 };

testEngines([
  { name: "simd", runs: 30, create: (shape) => createSimdEngine(shape) },
  { name: "simd, plain", runs: 30, create: (shape) => createSimdEngine(shape, { kind: "plain" }) },
  { name: "tfjs on cpu", runs: 10, ...few, create: (shape) => createTfjsEngine(shape, "cpu") },
  { name: "tfjs on wasm", runs: 30, create: (shape) => createTfjsEngine(shape, "wasm") },
  {
    name: "tfjs on webgpu",
    runs: 6,
    create: (shape) => createTfjsEngine(shape, "webgpu"),
    ...(gpu?.software ? few : {}),
    ...noGpu,
  },
  { name: "webgpu", runs: 16, create: (shape) => createWebgpuEngine(shape), ...noGpu },
]);
