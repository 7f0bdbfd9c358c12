/**
 * Cuts a segment into laps (as many steps as the ring holds; read back at the end) and laps into submits (as many steps
 * as a driver lets run undisturbed), and sends them off.
 *
 * @module
 */
import { RlcfError } from "../../base/errors.ts";
import type { StepMetrics, TrainingSegment } from "../engine.ts";
import type { Gpu } from "./device.ts";
import type { ResidentInputs } from "./inputs.ts";
import { type NetworkPlan, splitsOf } from "./plan.ts";
import type { Programs } from "./programs.ts";
import { STEP_STRIDE, writeStep } from "./step.ts";
import type { Room, Workspace } from "./workspace.ts";

/** Most steps in one submit: a few ten milliseconds on a large GPU, so that drivers do not take it for hung. */
export const SUBMIT_STEPS = 256;

/** Most rows in one submit, for the same reason: large batches are long steps. A single larger batch may exceed it. */
export const SUBMIT_ROWS = 16_384;

/** Most bytes of gathered inputs in one submit, again but for a single larger batch. */
export const SUBMIT_BYTES = 2 ** 26;

/** Steps whose measurements the GPU keeps before they are read: what bounds the work that waits in the queue. */
export const RING_STEPS = 4096;

/** Most rows between two read-backs. */
const RING_ROWS = 2 ** 20;

/** How a segment is cut. */
export interface Cut {
  /** Steps of a submit. */
  readonly submitSteps: number;
  /** Steps between two read-backs. */
  readonly lapSteps: number;
  /** What a workspace must have room for. */
  readonly room: Room;
}

/** What training works with. */
export interface TrainingParts {
  /** The device. */
  readonly gpu: Gpu;
  /** The network's layout. */
  readonly plan: NetworkPlan;
  /** The network's kernels. */
  readonly programs: Programs;
  /** The uploaded set. */
  readonly inputs: ResidentInputs;
  /** With the room that the segment's cut wants. */
  readonly workspace: Workspace;
}

/**
 * Cuts a segment of at least one visit.
 *
 * @param limits most steps of a submit and of a lap
 */
export function cutSegment(
  plan: NetworkPlan,
  segment: TrainingSegment,
  blocks: number,
  limits: { readonly submitSteps: number; readonly ringSteps: number },
): Cut {
  const batchRows = Math.min(segment.batchSize, segment.rows.length);
  const steps = Math.ceil(segment.rows.length / segment.batchSize);
  const rowLimit = Math.min(SUBMIT_ROWS, SUBMIT_BYTES / (16 * plan.layers[0]!.inputs4));
  const submitSteps = Math.min(steps, limits.submitSteps, Math.max(1, Math.floor(rowLimit / batchRows)));
  return {
    submitSteps,
    lapSteps: Math.min(limits.ringSteps, Math.max(submitSteps, Math.floor(RING_ROWS / batchRows))),
    room: { batchRows, submitRows: batchRows * submitSteps, steps: submitSteps + blocks },
  };
}

/**
 * Runs all steps of a segment.
 *
 * @param step optimizer steps taken before
 */
export async function trainSegment(
  parts: TrainingParts,
  segment: TrainingSegment,
  { submitSteps, lapSteps }: Cut,
  step: number,
): Promise<StepMetrics> {
  const steps = Math.ceil(segment.rows.length / segment.batchSize);
  const column = (): Float32Array => new Float32Array(steps);
  const metrics = {
    loss: column(),
    entropy: column(),
    gradNorm: column(),
    kl: column(),
    clipFraction: column(),
  };
  for (let first = 0; first < steps; first += lapSteps) {
    const end = Math.min(first + lapSteps, steps);
    for (let start = first; start < end; start += submitSteps) {
      const stop = Math.min(start + submitSteps, end);
      await parts.gpu.attempt("cannot train", () => submit(parts, segment, { first, start, stop, before: step }));
    }
    await readRing(parts, first, end, metrics);
  }
  return metrics;
}

/** Steps [start, stop) of a segment, in the lap that begins with step `first`. */
interface Submit {
  readonly first: number;
  readonly start: number;
  readonly stop: number;
  /** Optimizer steps taken before the segment. */
  readonly before: number;
}

/** Gathers the rows of some batches and runs their steps. */
function submit(parts: TrainingParts, segment: TrainingSegment, { first, start, stop, before }: Submit): void {
  const { plan, programs, inputs, workspace, gpu: { device } } = parts;
  const { batchSize, head, optimizer, entropyCoef, clipRatio } = segment;
  const firstVisit = start * batchSize;
  const visited = segment.rows.subarray(firstVisit, stop * batchSize);
  const places = new Uint32Array(2 * visited.length);
  const visits = inputs.sortByBlock(visited, places);
  const steps = stop - start;
  const numbers = new DataView(new ArrayBuffer(STEP_STRIDE * (steps + visits.length)));
  const encoder = device.createCommandEncoder();
  // Marks of an earlier lap must not stand for steps of this one.
  if (start === first) encoder.clearBuffer(workspace.buffers.ring);
  const pass = encoder.beginComputePass();
  for (const [i, visit] of visits.entries()) {
    writeStep(numbers, steps + i, { first: visit.first, rows: visit.count });
    programs.gather(pass, workspace, visit, steps + i);
  }
  for (let i = 0; i < steps; i++) {
    const rows = Math.min(batchSize, visited.length - i * batchSize);
    const splits = splitsOf(plan, rows);
    const [slot, step] = [start - first + i, before + start + i + 1];
    writeStep(numbers, i, { rows, first: i * batchSize, slot, splits, step, optimizer, entropyCoef, clipRatio });
    programs.train(pass, workspace, head, rows, i);
  }
  pass.end();
  device.queue.writeBuffer(workspace.steps, 0, numbers);
  device.queue.writeBuffer(workspace.buffers.places, 0, places);
  device.queue.writeBuffer(
    workspace.buffers.columns,
    0,
    columnsOf(segment, firstVisit, visited.length, plan.shape.outputs),
  );
  device.queue.submit([encoder.finish()]);
}

/** Reads what steps [first, end) measured. */
async function readRing(
  { gpu, workspace }: TrainingParts,
  first: number,
  end: number,
  { loss, entropy, gradNorm, kl, clipFraction }: StepMetrics,
): Promise<void> {
  const bytes = 32 * (end - first);
  const contents = await gpu.read("cannot train", bytes, (encoder, target) => {
    encoder.copyBufferToBuffer(workspace.buffers.ring, 0, target, 0, bytes);
  });
  const measured = new Float32Array(contents);
  for (let step = first; step < end; step++) {
    const slot = 8 * (step - first);
    if (measured[slot + 3] !== 1) {
      throw new RlcfError("backend", `cannot train: the webgpu backend did not run step ${step + 1}, nor said why`);
    }
    loss[step] = measured[slot]!;
    entropy[step] = measured[slot + 1]!;
    gradNorm[step] = measured[slot + 2]!;
    kl[step] = measured[slot + 4]!;
    clipFraction[step] = measured[slot + 5]!;
  }
}

/** [rows, E + 2]: coefficients, target and sample weight of each visit from `start` on. */
function columnsOf(
  { coefficients, targets, sampleWeights }: TrainingSegment,
  start: number,
  rows: number,
  outputs: number,
): Float32Array<ArrayBuffer> {
  const width = outputs + 2;
  const columns = new Float32Array(rows * width);
  for (let b = 0; b < rows; b++) {
    const visit = start + b;
    for (let e = 0; e < outputs; e++) columns[b * width + e] = coefficients[visit * outputs + e]!;
    columns[b * width + outputs] = targets[visit]!;
    columns[b * width + outputs + 1] = sampleWeights[visit]!;
  }
  return columns;
}
