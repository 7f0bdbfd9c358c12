/**
 * What bounds a training step of the simd engine: the time of each of its phases beside what one thread of this machine
 * can do at most, measured in the same process with three small WebAssembly loops.
 *
 *     deno task bench:bounds [--batches 1,32,256,1024] [--seconds 1] [--json]
 *
 * Multiplications and additions are counted as two operations, padding is not counted. The update reads four arrays of
 * the parameters' length and writes three, with a division and a square root for each parameter.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a benchmark prints what it measured
import asc from "assemblyscript/asc";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { percentile } from "../src/bench/timing.ts";
import { unitRows } from "../src/bench/workload.ts";
import type { NetworkShape } from "../src/engine/engine.ts";
import { initialState, layersOf, parameterCount } from "../src/engine/network.ts";
import { openSimdDevice } from "../src/engine/simd/device.ts";
import { SimdNetwork } from "../src/engine/simd/network.ts";
import { updateFactors } from "../src/engine/simd/optimizer.ts";
import {
  PHASE_BACKWARD,
  PHASE_FORWARD,
  PHASE_GRADIENTS,
  PHASE_SQUARES,
  PHASE_UPDATE,
} from "../src/engine/simd/plan.ts";
import { pack } from "../src/engine/simd/state.ts";
import { instantiate } from "../src/engine/simd/team.ts";

/** The network of the benchmarks: the original's sizes. */
const SHAPE: NetworkShape = { inputDim: 768, hiddenDim: 256, outputs: 4, inputScale: 32 };
const OPTIMIZER = { learningRate: 1e-4, weightDecay: 0.01, clipGradNorm: 1 };
/** Arrays of the parameters' length that AdamW touches: value, gradient and two moments read, all but the gradient written. */
const UPDATE_STREAMS = 7;

/** What one thread can do at most. */
interface Ceilings {
  /** 10^9 multiplications and additions a second, four at a time, out of registers. */
  readonly gflops: number;
  /** Nanoseconds of a square root and a division, four at a time, out of registers. */
  readonly root_ns: number;
  /** Milliseconds for reading four arrays of the parameters' length and writing three, with next to no arithmetic. */
  readonly sweep_ms: number;
}

/** A phase of a step; the field names are those of `--json`. */
interface Phase {
  readonly batch_size: number;
  readonly phase: string;
  /** Median time of the phase. */
  readonly ms: number;
  /** Operations of the phase, in millions. */
  readonly mflop: number;
  /** The least time that the ceilings allow. */
  readonly least_ms: number;
  /** What sets the ceiling. */
  readonly bound: "multiplications" | "roots" | "memory";
}

const { values } = parseArgs({
  options: {
    batches: { type: "string", default: "1,32,256,1024" },
    seconds: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const milliseconds = 1000 * Number(values.seconds);
const ceilings = await measureCeilings();
const device = await openSimdDevice();
const phases = values.batches.split(",").flatMap((batch) => measurePhases(Number(batch)));
if (values.json) console.log(JSON.stringify({ device: device.device, ceilings, phases }));
else print();

/** Median milliseconds of a call, after one that does not count. */
function medianOf(call: () => void): number {
  call();
  const samples: number[] = [];
  for (const end = performance.now() + milliseconds; performance.now() < end || samples.length < 5;) {
    const startedAt = performance.now();
    call();
    samples.push(performance.now() - startedAt);
  }
  return percentile(samples, 0.5);
}

/** The phases of a step over one batch of random rows, in their order. */
function measurePhases(batchSize: number): Phase[] {
  const network = new SimdNetwork(SHAPE);
  const { run } = instantiate(device.module, network.memory);
  pack(SHAPE, network.layers, initialState(SHAPE, 1).parameters, network.parameters);
  network.reserve(batchSize);
  network.setRows(batchSize);
  const random = new Random(1);
  const rows = unitRows(random, batchSize, SHAPE.inputDim);
  const gather = (): void => {
    for (let b = 0; b < batchSize; b++) {
      network.setInput(b, rows.subarray(b * SHAPE.inputDim, (b + 1) * SHAPE.inputDim));
    }
  };
  gather();
  run(PHASE_FORWARD, 0, 1);
  network.outputGradients(batchSize).set(Float32Array.from({ length: 4 * batchSize }, () => 0.1 * random.normal()));
  for (const phase of [PHASE_BACKWARD, PHASE_GRADIENTS, PHASE_SQUARES]) run(phase, 0, 1);
  let step = 0;
  network.setUpdate(updateFactors(OPTIMIZER, network.gradientNorm(), 1));

  const weights = layersOf(SHAPE).map(({ inputs, outputs }) => inputs * outputs);
  const all = weights.reduce((sum, count) => sum + count, 0);
  const parameters = parameterCount(SHAPE);
  const flops = (mflop: number): Pick<Phase, "mflop" | "least_ms" | "bound"> => ({
    mflop,
    least_ms: mflop / ceilings.gflops,
    bound: "multiplications",
  });
  const roots = parameters / 4 * ceilings.root_ns / 1e6;
  const phase = (name: string, number: number, least: Pick<Phase, "mflop" | "least_ms" | "bound">): Phase => {
    // Scaling is done in place, so that inputs would grow with every forward pass: they are fetched each time, as in a step.
    const work = number === PHASE_FORWARD
      ? () => (gather(), run(number, 0, 1))
      : number === PHASE_UPDATE
      ? () => (network.setUpdate(updateFactors(OPTIMIZER, 1, ++step)), run(number, 0, 1))
      : () => run(number, 0, 1);
    return { batch_size: batchSize, phase: name, ms: medianOf(work), ...least };
  };
  return [
    phase("forward", PHASE_FORWARD, flops(2e-6 * batchSize * all)),
    phase("backward", PHASE_BACKWARD, flops(2e-6 * batchSize * (all - weights[0]!))),
    // The gradient of one row is computed in the update, where it is used.
    phase("gradients", PHASE_GRADIENTS, flops(batchSize === 1 ? 0 : 2e-6 * batchSize * all)),
    phase("norm", PHASE_SQUARES, flops(batchSize === 1 ? 0 : 2e-6 * parameters)),
    phase("update", PHASE_UPDATE, {
      mflop: 14e-6 * parameters,
      least_ms: Math.max(roots, ceilings.sweep_ms),
      bound: roots > ceilings.sweep_ms ? "roots" : "memory",
    }),
  ];
}

/** Three loops in AssemblyScript: multiply and add, divide by a square root, and touch as much memory as an update. */
async function measureCeilings(): Promise<Ceilings> {
  const accumulators = Array.from({ length: 12 }, (_, i) => `a${i}`);
  const chains = Array.from({ length: 8 }, (_, i) => `r${i}`);
  const source = `
    export function multiply(turns: i32, x: f32): f32 {
      const f = f32x4.splat(x);
      let ${accumulators.map((name, i) => `${name} = f32x4.splat(${i}.5)`).join(", ")};
      for (; turns > 0; turns--) {
        ${accumulators.map((name) => `${name} = f32x4.relaxed_madd(${name}, f, f);`).join("\n")}
      }
      return f32x4.extract_lane(${accumulators.reduce((sum, name) => `f32x4.add(${sum}, ${name})`)}, 0);
    }
    export function roots(turns: i32, x: f32): f32 {
      const f = f32x4.splat(x);
      let ${chains.map((name, i) => `${name} = f32x4.splat(${i}.5)`).join(", ")};
      for (; turns > 0; turns--) {
        ${chains.map((name) => `${name} = f32x4.div(f, f32x4.sqrt(${name}));`).join("\n")}
      }
      return f32x4.extract_lane(${chains.reduce((sum, name) => `f32x4.add(${sum}, ${name})`)}, 0);
    }
    export function sweep(bytes: usize): void {
      for (let i: usize = 0; i < bytes; i += 16) {
        const g = v128.load(i), m = v128.load(i + bytes), v = v128.load(i + 2 * bytes), p = v128.load(i + 3 * bytes);
        v128.store(i + bytes, f32x4.add(m, g));
        v128.store(i + 2 * bytes, f32x4.add(v, g));
        v128.store(i + 3 * bytes, f32x4.add(p, g));
      }
    }`;
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(
    [..."ceilings.ts -O3 --runtime stub --noAssert --outFile ceilings.wasm --initialMemory 128".split(" "), ...[
      "--enable",
      "simd",
      "--enable",
      "relaxed-simd",
    ]],
    {
      readFile: (name) => name === "ceilings.ts" ? source : null,
      writeFile: (_name, contents) => void (binary = contents as Uint8Array<ArrayBuffer>),
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined) throw new Error(`AssemblyScript: ${stderr.toString()}`);
  const { instance } = await WebAssembly.instantiate(binary);
  const { multiply, roots, sweep } = instance.exports as Record<string, (...numbers: number[]) => number>;
  const turns = 100_000;
  const bytes = 16 * Math.ceil(parameterCount(SHAPE) / 4);
  return {
    gflops: turns * accumulators.length * 8 / medianOf(() => multiply!(turns, 0.5)) / 1e6,
    root_ns: medianOf(() => roots!(turns, 2)) * 1e6 / (turns * chains.length),
    sweep_ms: medianOf(() => sweep!(bytes)),
  };
}

function print(): void {
  const { gflops, root_ns, sweep_ms } = ceilings;
  const gigabytes = UPDATE_STREAMS * 4 * parameterCount(SHAPE) / sweep_ms / 1e6;
  console.log(`${device.device}; one thread at most: ${gflops.toFixed(1)} GFLOP/s, ${root_ns.toFixed(2)} ns for four`);
  console.log(
    `divisions by roots, ${gigabytes.toFixed(1)} GB/s through an update's arrays (${sweep_ms.toFixed(3)} ms)`,
  );
  console.table(phases.map(({ batch_size, phase, ms, mflop, least_ms, bound }) => ({
    batch: batch_size,
    phase,
    ms: Number(ms.toFixed(4)),
    MFLOP: Number(mflop.toFixed(2)),
    "GFLOP/s": Number((mflop / ms).toFixed(1)),
    "least ms": Number(least_ms.toFixed(4)),
    "of it": `${Math.round(100 * least_ms / ms)}%`,
    bound,
  })));
}
