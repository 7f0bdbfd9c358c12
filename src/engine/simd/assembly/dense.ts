/**
 * A dense layer `y = x W + b`: forward, back to its inputs, and the gradients of W and b. Each function does the share
 * of one thread. The loops around the tiles keep what a tile reads again in the nearest cache: a panel of B in the
 * first level, a block of A in the second.
 */
import {
  LAYER_BIASES, LAYER_BYTES, LAYER_ERRORS, LAYER_INPUT, LAYER_INPUT_STRIDE, LAYER_INPUTS, LAYER_OUTPUT,
  LAYER_OUTPUT_STRIDE, LAYER_OUTPUTS, LAYER_TRANSPOSED, LAYER_WEIGHTS, LAYERS, PANEL, PANEL_ROW, PLAN,
  PLAN_GRADIENTS, PLAN_ROWS, PLAN_VALUES,
} from "../plan";
import { multiplyRow } from "./row";
import { tileOf, tileRows } from "./tiles";

/** Rows of A (or columns, where A is transposed) that are worked on together; a multiple of 6. */
const ROW_BLOCK: i32 = 48;
/** Columns of A that a product sums over before it turns to the next panel. */
const DEPTH_BLOCK: i32 = 256;
/** Bytes of the 6 elements that packed rows of A have side by side. */
const PACKED_ROW: i32 = 24;

/** Address of a layer's row in the plan. */
@inline
export function layerRow(index: i32): usize {
  return <usize>(LAYERS + index * LAYER_BYTES);
}

/** Where thread `thread` of `threads` begins when `count` things are shared out; thread `threads` is the end. */
@inline
export function share(count: i32, thread: i32, threads: i32): i32 {
  return <i32>(<i64>count * thread / threads);
}

/**
 * Rows [from, to) of C = A B in all panels of B.
 *
 * @param a element (0, 0) of A; 8 elements of a row lie side by side, the next 8 at aGroup bytes
 * @param cPanel bytes from 8 elements of a row of C to the next 8
 * @param packed room for {@link PACKED_BYTES} of this thread's own
 */
function multiply(
  a: usize, aRow: usize, aGroup: usize, b: usize, depth: i32, panels: i32, c: usize, cRow: usize, cPanel: usize,
  from: i32, to: i32, packed: usize,
): void {
  if (to - from == 1) {
    multiplyRow(a + <usize>from * aRow, aGroup, b, depth, panels, c + <usize>from * cRow, cPanel);
    return;
  }
  for (let block = from; block < to; block += ROW_BLOCK) {
    const blockEnd = min(block + ROW_BLOCK, to);
    for (let k = 0; k < depth; k += DEPTH_BLOCK) {
      const count = min(DEPTH_BLOCK, depth - k);
      const tileBytes = <usize>count * PACKED_ROW;
      let target = packed;
      for (let i = block; i < blockEnd; target += tileBytes) {
        const rows = tileRows(blockEnd - i);
        packRows(rows, a + <usize>i * aRow + <usize>(k / PANEL) * aGroup, aRow, aGroup, count, target);
        i += rows;
      }
      for (let panel = 0; panel < panels; panel++) {
        const bk = b + <usize>(panel * depth + k) * PANEL_ROW, column = c + <usize>panel * cPanel;
        let source = packed;
        for (let i = block; i < blockEnd; source += tileBytes) {
          const rows = tileRows(blockEnd - i);
          tileOf(rows, source, PACKED_ROW, bk, count, column + <usize>i * cRow, cRow, k > 0);
          i += rows;
        }
      }
    }
  }
}

/** Copies up to 6 rows of A as columns, side by side: [count][6]. Where rows are missing, the last is repeated. */
function packRows(rows: i32, a: usize, aRow: usize, aGroup: usize, count: i32, target: usize): void {
  const last = <usize>(rows - 1);
  let a1 = a + min(1, last) * aRow, a2 = a + min(2, last) * aRow, a3 = a + min(3, last) * aRow;
  let a4 = a + min(4, last) * aRow, a5 = a + min(5, last) * aRow;
  for (; count > 0; count -= PANEL) {
    for (let half: usize = 0; half < <usize>PANEL_ROW; half += 16) {
      const r4 = v128.load(a4 + half), r5 = v128.load(a5 + half);
      const r0 = v128.load(a + half), r1 = v128.load(a1 + half), r2 = v128.load(a2 + half), r3 = v128.load(a3 + half);
      transpose4(r0, r1, r2, r3, target, PACKED_ROW);
      const low = v128.shuffle<i32>(r4, r5, 0, 4, 1, 5), high = v128.shuffle<i32>(r4, r5, 2, 6, 3, 7);
      v128.store64_lane(target, low, 0, 16), v128.store64_lane(target, low, 1, 16 + PACKED_ROW);
      v128.store64_lane(target, high, 0, 16 + 2 * PACKED_ROW), v128.store64_lane(target, high, 1, 16 + 3 * PACKED_ROW);
      target += 4 * PACKED_ROW;
    }
    a += aGroup, a1 += aGroup, a2 += aGroup, a3 += aGroup, a4 += aGroup, a5 += aGroup;
  }
}

/** Output activations of rows [from, to): `x W + b`, and for a hidden layer the positive part of that. */
export function forward(layer: usize, hidden: bool, from: i32, to: i32, packed: usize): void {
  const values = load<usize>(PLAN + PLAN_VALUES);
  const inputs = load<i32>(layer + LAYER_INPUTS), outputs = load<i32>(layer + LAYER_OUTPUTS);
  const weights = values + load<usize>(layer + LAYER_WEIGHTS), biases = values + load<usize>(layer + LAYER_BIASES);
  const output = load<usize>(layer + LAYER_OUTPUT), outputStride = load<usize>(layer + LAYER_OUTPUT_STRIDE);
  multiply(
    load<usize>(layer + LAYER_INPUT), load<usize>(layer + LAYER_INPUT_STRIDE), PANEL_ROW, weights, inputs,
    outputs / PANEL, output, outputStride, PANEL_ROW, from, to, packed,
  );
  const zero = f32x4.splat(0), bytes = <usize>outputs << 2;
  for (let i = from; i < to; i++) {
    const row = output + <usize>i * outputStride;
    for (let offset: usize = 0; offset < bytes; offset += 16) {
      const x = f32x4.add(v128.load(row + offset), v128.load(biases + offset));
      // pmax keeps NaN, and is one instruction where max is six.
      v128.store(row + offset, hidden ? f32x4.pmax(x, zero) : x);
    }
  }
}

/**
 * The loss's gradient at the inputs of the layer, which are the outputs of the layer `below`, for rows [from, to);
 * 0 where the ReLU between them was off.
 */
export function backward(layer: usize, below: usize, from: i32, to: i32, packed: usize): void {
  const panelBytes = load<usize>(PLAN + PLAN_ROWS) * PANEL_ROW;
  const outputs = load<i32>(layer + LAYER_OUTPUTS), panels = load<i32>(layer + LAYER_INPUTS) / PANEL;
  const input = load<usize>(layer + LAYER_INPUT), inputStride = load<usize>(layer + LAYER_INPUT_STRIDE);
  const errors = load<usize>(below + LAYER_ERRORS);
  multiply(
    load<usize>(layer + LAYER_ERRORS), PANEL_ROW, panelBytes, load<usize>(layer + LAYER_TRANSPOSED), outputs, panels,
    errors, PANEL_ROW, panelBytes, from, to, packed,
  );
  const zero = f32x4.splat(0);
  for (let panel = 0; panel < panels; panel++) {
    for (let i = from; i < to; i++) {
      const error = errors + <usize>panel * panelBytes + <usize>i * PANEL_ROW;
      const x = input + <usize>i * inputStride + <usize>panel * PANEL_ROW;
      v128.store(error, v128.and(v128.load(error), f32x4.gt(v128.load(x), zero)));
      v128.store(error, v128.and(v128.load(error, 16), f32x4.gt(v128.load(x, 16), zero)), 16);
    }
  }
}

/** Gradients of the weights of inputs [from, to), both multiples of 8. */
export function weightGradients(layer: usize, from: i32, to: i32): void {
  const rows = load<i32>(PLAN + PLAN_ROWS);
  const inputs = load<i32>(layer + LAYER_INPUTS), panels = load<i32>(layer + LAYER_OUTPUTS) / PANEL;
  const input = load<usize>(layer + LAYER_INPUT), inputStride = load<usize>(layer + LAYER_INPUT_STRIDE);
  const errors = load<usize>(layer + LAYER_ERRORS);
  const gradients = load<usize>(PLAN + PLAN_GRADIENTS) + load<usize>(layer + LAYER_WEIGHTS);
  for (let k = 0; k < rows; k += DEPTH_BLOCK) {
    const count = min(DEPTH_BLOCK, rows - k);
    for (let block = from; block < to; block += ROW_BLOCK) {
      const blockEnd = min(block + ROW_BLOCK, to);
      for (let panel = 0; panel < panels; panel++) {
        const b = errors + <usize>(panel * rows + k) * PANEL_ROW;
        for (let i = block; i < blockEnd;) {
          const columns = tileRows(blockEnd - i);
          const a = input + <usize>k * inputStride + (<usize>i << 2);
          const c = gradients + <usize>(panel * inputs + i) * PANEL_ROW;
          tileOf(columns, a, inputStride, b, count, c, PANEL_ROW, k > 0);
          i += columns;
        }
      }
    }
  }
}

/** Gradients of the biases of panels [from, to): sums over the batch. */
export function biasGradients(layer: usize, from: i32, to: i32): void {
  const rows = load<i32>(PLAN + PLAN_ROWS);
  const gradients = load<usize>(PLAN + PLAN_GRADIENTS) + load<usize>(layer + LAYER_BIASES);
  for (let panel = from; panel < to; panel++) {
    let left = f32x4.splat(0), right = left;
    let error = load<usize>(layer + LAYER_ERRORS) + <usize>(panel * rows) * PANEL_ROW;
    for (let row = 0; row < rows; row++, error += PANEL_ROW) {
      left = f32x4.add(left, v128.load(error)), right = f32x4.add(right, v128.load(error, 16));
    }
    const sums = gradients + <usize>panel * PANEL_ROW;
    v128.store(sums, left), v128.store(sums, right, 16);
  }
}

/** Panels [from, to) of the transposed weights, for {@link backward}. */
export function transpose(layer: usize, from: i32, to: i32): void {
  const inputs = load<i32>(layer + LAYER_INPUTS), outputs = load<i32>(layer + LAYER_OUTPUTS);
  const weights = load<usize>(PLAN + PLAN_VALUES) + load<usize>(layer + LAYER_WEIGHTS);
  const transposed = load<usize>(layer + LAYER_TRANSPOSED);
  for (let panel = from; panel < to; panel++) {
    for (let output = 0; output < outputs; output += PANEL) {
      const source = weights + <usize>(output / PANEL * inputs + panel * PANEL) * PANEL_ROW;
      const target = transposed + <usize>(panel * outputs + output) * PANEL_ROW;
      transposeSquare(source, target);
      transposeSquare(source + 16, target + 4 * PANEL_ROW);
      transposeSquare(source + 4 * PANEL_ROW, target + 16);
      transposeSquare(source + 4 * PANEL_ROW + 16, target + 4 * PANEL_ROW + 16);
    }
  }
}

/** Writes four vectors as columns: row j of the target, at j * targetRow bytes, gets element j of each. */
@inline
function transpose4(r0: v128, r1: v128, r2: v128, r3: v128, target: usize, targetRow: usize): void {
  const low01 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5), high01 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
  const low23 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5), high23 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<i64>(low01, low23, 0, 2));
  v128.store(target + targetRow, v128.shuffle<i64>(low01, low23, 1, 3));
  v128.store(target + 2 * targetRow, v128.shuffle<i64>(high01, high23, 0, 2));
  v128.store(target + 3 * targetRow, v128.shuffle<i64>(high01, high23, 1, 3));
}

/** Transposes 4 x 4 elements of a panel. */
@inline
function transposeSquare(source: usize, target: usize): void {
  transpose4(v128.load(source), v128.load(source, 32), v128.load(source, 64), v128.load(source, 96), target, PANEL_ROW);
}
