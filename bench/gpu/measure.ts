/**
 * Times one engine: training steps and forward passes, and for the fused engine each kernel by itself.
 *
 * @module
 */
import { Random } from "../../src/base/random.ts";
import { timed, type Timing, timingOf } from "../../src/bench/timing.ts";
import { unitRows } from "../../src/bench/workload.ts";
import type { PolicyEngine } from "../../src/engine/engine.ts";
import { initialState } from "../../src/engine/network.ts";
import { randomSegment, type Sizes } from "./sizes.ts";

/** Times training steps and forward passes. Replaces the engine's weights and its uploaded set. */
export async function measureEngine(engine: PolicyEngine, sizes: Sizes): Promise<Timing[]> {
  const random = new Random(1);
  const inputsNI = unitRows(random, sizes.rows, sizes.shape.inputDim);
  await engine.load(initialState(sizes.shape, 1));
  await engine.upload(inputsNI);
  const timings: Timing[] = [];
  for (const batchSize of sizes.batchSizes) {
    timings.push(await measureSteps(engine, sizes, random, batchSize, "train_step"));
  }
  for (const rows of [1, Math.min(1000, sizes.rows)]) {
    const someNI = inputsNI.slice(0, rows * sizes.shape.inputDim);
    await engine.forward(someNI);
    const samples: number[] = [];
    for (let i = 0; i < 3 * sizes.samples; i++) samples.push(await timed(() => engine.forward(someNI)));
    timings.push(timingOf("forward", rows, samples));
  }
  return timings;
}

/**
 * Times each kernel of the fused engine by leaving out all others, at the cost of nonsense results, which the engine
 * notices and refuses after the work is done. The sum exceeds a whole step, since each share includes what a submit and a
 * read-back cost.
 */
export async function measureKernels(engine: PolicyEngine, sizes: Sizes): Promise<Timing[]> {
  const timings: Timing[] = [];
  const pass = GPUComputePassEncoder.prototype;
  const { setPipeline, dispatchWorkgroups } = pass;
  let current = "";
  try {
    pass.setPipeline = function (this: GPUComputePassEncoder, pipeline): undefined {
      current = pipeline.label;
      setPipeline.call(this, pipeline);
    };
    for (const kernel of ["first", "rows", "gradients_of", "adamw"]) {
      pass.dispatchWorkgroups = function (this: GPUComputePassEncoder, ...groups): undefined {
        if (current === kernel) dispatchWorkgroups.call(this, ...groups);
      };
      for (const batchSize of sizes.batchSizes) {
        await engine.load(initialState(sizes.shape, 1));
        timings.push(await measureSteps(engine, sizes, new Random(2), batchSize, `kernel ${kernel}`));
      }
    }
  } finally {
    Object.assign(pass, { setPipeline, dispatchWorkgroups });
  }
  return timings;
}

async function measureSteps(
  engine: PolicyEngine,
  sizes: Sizes,
  random: Random,
  batchSize: number,
  op: string,
): Promise<Timing> {
  const sample = async (steps: number): Promise<number> => {
    const segment = randomSegment(random, sizes, steps, batchSize);
    const ms = await timed(async () => {
      // Only a kernel that is measured alone leaves steps undone.
      await engine.train(segment).catch((error: Error) => {
        if (op === "train_step" || !/did not run step|broke down/.test(error.message)) throw error;
      });
    });
    return ms / steps;
  };
  // The first steps also compile; then more and more, until a sample is long enough.
  let steps = Math.min(4, sizes.maxSteps);
  let ms = await sample(steps);
  for (let i = 0; i < 3; i++) {
    steps = Math.max(1, Math.min(sizes.maxSteps, Math.round(sizes.sampleMs / ms)));
    ms = await sample(steps);
  }
  const samples: number[] = [];
  for (let i = 0; i < sizes.samples; i++) samples.push(await sample(steps));
  return timingOf(op, batchSize, samples);
}
