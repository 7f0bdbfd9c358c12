/**
 * The phases of a training step, each shared out among threads, and the way the threads meet.
 *
 * The main thread starts a phase by writing one word, {@link COMMAND}; every worker that takes part does its share and
 * counts itself in {@link ARRIVALS}; the main thread does its own share and waits until all have arrived. Sequence
 * number, thread count and phase are one word, so that a worker that sleeps through phases it has no part in can never
 * mix two commands.
 */
import {
  ARRIVALS, COMMAND, LAYER_BIASES, LAYER_ERRORS, LAYER_INPUT, LAYER_INPUT_STRIDE, LAYER_INPUTS, LAYER_OUTPUT,
  LAYER_OUTPUT_STRIDE, LAYER_OUTPUTS, LAYERS, PACKED_BYTES, PANEL, PANEL_ROW, PHASE_BACKWARD, PHASE_FORWARD,
  PHASE_GRADIENTS, PHASE_QUIT, PHASE_SQUARES, PHASE_UPDATE, PLAN, PLAN_INPUT_SCALE, PLAN_LAYERS, PLAN_OUTPUT_COUNT,
  PLAN_OUTPUT_GRADIENTS, PLAN_OUTPUTS, PLAN_PACKED, PLAN_PARAMETERS, PLAN_ROWS, PLAN_SQUARES,
} from "../plan";
import { chunkCount, sumOuterSquares, sumSquares, updateOuter, updateParameters } from "./adamw";
import { backward, biasGradients, forward, layerRow, share, transpose, weightGradients } from "./dense";

// For linear models, which need no plan and no threads.
export { addOuterProducts, addRows, multiplyRows } from "./rows";

/** How often a waiting thread looks before it goes to sleep: about 50 microseconds. Waking it costs as much. */
const LOOKS: i32 = 30_000;

/** Does thread `thread`'s share of a phase. */
export function run(phase: i32, thread: i32, threads: i32): void {
  switch (phase) {
    case PHASE_FORWARD: runForward(thread, threads); break;
    case PHASE_BACKWARD: runBackward(thread, threads); break;
    case PHASE_GRADIENTS: runGradients(thread, threads); break;
    case PHASE_SQUARES: runSquares(thread, threads); break;
    case PHASE_UPDATE: runUpdate(thread, threads);
  }
}

/** Runs a phase on the main thread and the first `threads - 1` workers; returns when all are done. */
export function runTogether(phase: i32, threads: i32): void {
  const command = (((atomic.load<i32>(COMMAND) >>> 8) + 1) << 8) | (threads << 4) | phase;
  atomic.store<i32>(ARRIVALS, 0);
  atomic.store<i32>(COMMAND, command);
  atomic.notify(COMMAND, -1);
  if (phase == PHASE_QUIT) return;
  run(phase, 0, threads);
  let looks = LOOKS;
  for (let arrived = 0; (arrived = atomic.load<i32>(ARRIVALS)) < threads - 1;) {
    if (--looks <= 0) atomic.wait<i32>(ARRIVALS, arrived, -1);
  }
}

/**
 * What a worker does: its share of every phase that it takes part in, until told to quit.
 *
 * @param thread number of the worker, from 1
 * @param last the command that it must not take for a new one
 */
export function serve(thread: i32, last: i32): void {
  while (true) {
    let looks = LOOKS, command: i32;
    while ((command = atomic.load<i32>(COMMAND)) == last) {
      if (--looks <= 0) atomic.wait<i32>(COMMAND, last, -1);
    }
    last = command;
    const phase = command & 15, threads = (command >>> 4) & 15;
    if (phase == PHASE_QUIT) return;
    if (thread >= threads) continue;
    run(phase, thread, threads);
    if (atomic.add<i32>(ARRIVALS, 1) == threads - 2) atomic.notify(ARRIVALS, 1);
  }
}

/** Address of a thread's own room for packed rows. */
@inline
function packedRows(thread: i32): usize {
  return load<usize>(PLAN + PLAN_PACKED) + <usize>thread * PACKED_BYTES;
}

function runForward(thread: i32, threads: i32): void {
  const layers = load<i32>(PLAN + PLAN_LAYERS), rows = load<i32>(PLAN + PLAN_ROWS);
  const from = share(rows, thread, threads), to = share(rows, thread + 1, threads);
  const packed = packedRows(thread);
  // The backward pass needs the weights as they are now, so this is as good a place as any.
  for (let i = 1; i < layers; i++) {
    const layer = layerRow(i), panels = load<i32>(layer + LAYER_INPUTS) / PANEL;
    transpose(layer, share(panels, thread, threads), share(panels, thread + 1, threads));
  }
  scaleInputs(from, to);
  for (let i = 0; i < layers; i++) forward(layerRow(i), i < layers - 1, from, to, packed);
  packOutputs(from, to);
}

function runBackward(thread: i32, threads: i32): void {
  const rows = load<i32>(PLAN + PLAN_ROWS);
  const from = share(rows, thread, threads), to = share(rows, thread + 1, threads);
  const packed = packedRows(thread);
  unpackErrors(from, to);
  for (let i = load<i32>(PLAN + PLAN_LAYERS) - 1; i > 0; i--) backward(layerRow(i), layerRow(i - 1), from, to, packed);
}

function runGradients(thread: i32, threads: i32): void {
  const single = load<i32>(PLAN + PLAN_ROWS) == 1;
  for (let i = 0; i < load<i32>(PLAN + PLAN_LAYERS); i++) {
    const layer = layerRow(i), inputs = load<i32>(layer + LAYER_INPUTS) / PANEL;
    const outputs = load<i32>(layer + LAYER_OUTPUTS) / PANEL;
    biasGradients(layer, share(outputs, thread, threads), share(outputs, thread + 1, threads));
    // The gradient of one row is computed where it is used.
    if (single) continue;
    weightGradients(layer, PANEL * share(inputs, thread, threads), PANEL * share(inputs, thread + 1, threads));
  }
}

function runSquares(thread: i32, threads: i32): void {
  const chunks = chunkCount();
  if (load<i32>(PLAN + PLAN_ROWS) > 1) {
    sumSquares(share(chunks, thread, threads), share(chunks, thread + 1, threads));
  } else if (thread == 0) {
    const sums = load<usize>(PLAN + PLAN_SQUARES);
    let sum: f64 = 0;
    for (let i = 0; i < load<i32>(PLAN + PLAN_LAYERS); i++) sum += sumOuterSquares(layerRow(i));
    for (let chunk = 1; chunk < chunks; chunk++) store<f64>(sums + (<usize>chunk << 3), 0);
    store<f64>(sums, sum);
  }
}

function runUpdate(thread: i32, threads: i32): void {
  if (load<i32>(PLAN + PLAN_ROWS) > 1) {
    const panels = load<i32>(PLAN + PLAN_PARAMETERS) / PANEL;
    updateParameters(PANEL * share(panels, thread, threads), PANEL * share(panels, thread + 1, threads));
    return;
  }
  for (let i = 0; i < load<i32>(PLAN + PLAN_LAYERS); i++) {
    const layer = layerRow(i), inputs = load<i32>(layer + LAYER_INPUTS);
    updateOuter(layer, share(inputs, thread, threads), share(inputs, thread + 1, threads));
    const biases = load<i32>(layer + LAYER_BIASES) >> 2;
    if (thread == 0) updateParameters(biases, biases + load<i32>(layer + LAYER_OUTPUTS));
  }
}

/** Multiplies rows [from, to) of the inputs by the input scale, in place. */
function scaleInputs(from: i32, to: i32): void {
  const scale = load<f32>(PLAN + PLAN_INPUT_SCALE);
  if (scale == 1) return;
  const stride = load<usize>(LAYERS + LAYER_INPUT_STRIDE), bytes = load<usize>(LAYERS + LAYER_INPUTS) << 2;
  const factor = f32x4.splat(scale);
  for (let row = from; row < to; row++) {
    const begin = load<usize>(LAYERS + LAYER_INPUT) + <usize>row * stride, end = begin + bytes;
    for (let x = begin; x < end; x += 16) v128.store(x, f32x4.mul(v128.load(x), factor));
  }
}

/** Address of the last layer's row in the plan. */
@inline
function lastLayer(): usize {
  return layerRow(load<i32>(PLAN + PLAN_LAYERS) - 1);
}

/** Copies rows [from, to) of the outputs without their padding, for the loss head. */
function packOutputs(from: i32, to: i32): void {
  const layer = lastLayer(), bytes = load<usize>(PLAN + PLAN_OUTPUT_COUNT) << 2;
  const stride = load<usize>(layer + LAYER_OUTPUT_STRIDE);
  for (let row = from; row < to; row++) {
    const source = load<usize>(layer + LAYER_OUTPUT) + <usize>row * stride;
    const target = load<usize>(PLAN + PLAN_OUTPUTS) + <usize>row * bytes;
    for (let offset: usize = 0; offset < bytes; offset += 4) store<f32>(target + offset, load<f32>(source + offset));
  }
}

/** Brings rows [from, to) of the loss head's gradient into panels, padding included. */
function unpackErrors(from: i32, to: i32): void {
  const count = load<i32>(PLAN + PLAN_OUTPUT_COUNT), rows = load<i32>(PLAN + PLAN_ROWS), layer = lastLayer();
  const padded = load<i32>(layer + LAYER_OUTPUTS);
  for (let row = from; row < to; row++) {
    const source = load<usize>(PLAN + PLAN_OUTPUT_GRADIENTS) + (<usize>(row * count) << 2);
    const target = load<usize>(layer + LAYER_ERRORS) + <usize>row * PANEL_ROW;
    for (let e = 0; e < padded; e++) {
      const error: f32 = e < count ? load<f32>(source + (<usize>e << 2)) : 0;
      store<f32>(target + <usize>(e / PANEL * rows) * PANEL_ROW + (<usize>(e % PANEL) << 2), error);
    }
  }
}
