/** The gradients' norm, and AdamW: both go once through the parameter arrays, padding included (it stays 0). */
import {
  LAYER_ERRORS, LAYER_INPUT, LAYER_INPUTS, LAYER_OUTPUTS, LAYER_WEIGHTS, PANEL, PANEL_ROW, PLAN, PLAN_BETA1,
  PLAN_BETA2, PLAN_CLIP_FACTOR, PLAN_CORRECTION, PLAN_DECAY, PLAN_EPSILON, PLAN_FIRST_MOMENTS, PLAN_GRADIENTS,
  PLAN_ONE_LESS_BETA1, PLAN_ONE_LESS_BETA2, PLAN_PARAMETERS, PLAN_SECOND_MOMENTS, PLAN_SQUARES, PLAN_STEP_SIZE,
  PLAN_VALUES, SQUARES_CHUNK,
} from "../plan";
import { madd } from "./tiles";

/** Number of chunks that the gradients' norm is summed in. */
@inline
export function chunkCount(): i32 {
  return (load<i32>(PLAN + PLAN_PARAMETERS) + SQUARES_CHUNK - 1) / SQUARES_CHUNK;
}

/** Sums of squares of chunks [from, to) of the gradients. */
export function sumSquares(from: i32, to: i32): void {
  const length = load<i32>(PLAN + PLAN_PARAMETERS);
  for (let chunk = from; chunk < to; chunk++) {
    const begin = chunk * SQUARES_CHUNK;
    let gradient = load<usize>(PLAN + PLAN_GRADIENTS) + (<usize>begin << 2);
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
    let left = min(SQUARES_CHUNK, length - begin);
    for (; left >= 32; left -= 32, gradient += 128) {
      s0 = addSquare(gradient, s0), s1 = addSquare(gradient + 16, s1);
      s2 = addSquare(gradient + 32, s2), s3 = addSquare(gradient + 48, s3);
      s4 = addSquare(gradient + 64, s4), s5 = addSquare(gradient + 80, s5);
      s6 = addSquare(gradient + 96, s6), s7 = addSquare(gradient + 112, s7);
    }
    for (; left > 0; left -= 4, gradient += 16) s0 = addSquare(gradient, s0);
    s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)), s4 = f32x4.add(f32x4.add(s4, s5), f32x4.add(s6, s7));
    store<f64>(load<usize>(PLAN + PLAN_SQUARES) + (<usize>chunk << 3), sumOfLanes(f32x4.add(s0, s4)));
  }
}

@inline
function addSquare(gradient: usize, sum: v128): v128 {
  const g = v128.load(gradient);
  return madd(g, g, sum);
}

/** A vector whose four numbers are the plan's word. */
@inline
function setting(word: i32): v128 {
  return v128.load32_splat(<usize>(PLAN + word));
}

/**
 * Moments below 1e-30 become 0. Beside epsilon (1e-8) they change no parameter, and the moments of a hidden unit that
 * never fires would otherwise shrink to denormal numbers and stay there, where every operation takes many times longer.
 */
@inline
function flushed(moment: v128): v128 {
  return v128.and(moment, f32x4.ge(f32x4.abs(moment), f32x4.splat(1e-30)));
}

/**
 * One step of AdamW (Loshchilov and Hutter, 2019, algorithm 2) on four parameters:
 * `p <- p (1 - lr wd) - lr mhat / (sqrt(vhat) + eps)`.
 *
 * @param offset bytes from the beginning of each of the parameter arrays
 * @param g the gradient, clipped
 */
@inline
function updateFour(
  offset: usize, g: v128, values: usize, firsts: usize, seconds: usize, beta1: v128, oneLessBeta1: v128, beta2: v128,
  oneLessBeta2: v128, epsilon: v128, decay: v128, correction: v128, stepSize: v128,
): void {
  const m = flushed(madd(g, oneLessBeta1, f32x4.mul(v128.load(firsts + offset), beta1)));
  const v = flushed(madd(f32x4.mul(g, g), oneLessBeta2, f32x4.mul(v128.load(seconds + offset), beta2)));
  const change = f32x4.mul(f32x4.div(m, madd(f32x4.sqrt(v), correction, epsilon)), stepSize);
  v128.store(firsts + offset, m), v128.store(seconds + offset, v);
  v128.store(values + offset, f32x4.sub(f32x4.mul(v128.load(values + offset), decay), change));
}

/** Updates parameters [from, to), multiples of 4, with the gradients in memory. */
export function updateParameters(from: i32, to: i32): void {
  const values = load<usize>(PLAN + PLAN_VALUES), gradients = load<usize>(PLAN + PLAN_GRADIENTS);
  const firsts = load<usize>(PLAN + PLAN_FIRST_MOMENTS), seconds = load<usize>(PLAN + PLAN_SECOND_MOMENTS);
  const beta1 = setting(PLAN_BETA1), oneLessBeta1 = setting(PLAN_ONE_LESS_BETA1), beta2 = setting(PLAN_BETA2);
  const oneLessBeta2 = setting(PLAN_ONE_LESS_BETA2), epsilon = setting(PLAN_EPSILON), decay = setting(PLAN_DECAY);
  const correction = setting(PLAN_CORRECTION), stepSize = setting(PLAN_STEP_SIZE);
  const clipFactor = setting(PLAN_CLIP_FACTOR), end = <usize>to << 2;
  for (let offset = <usize>from << 2; offset < end; offset += 16) {
    const g = f32x4.mul(v128.load(gradients + offset), clipFactor);
    updateFour(
      offset, g, values, firsts, seconds, beta1, oneLessBeta1, beta2, oneLessBeta2, epsilon, decay, correction,
      stepSize,
    );
  }
}

/**
 * Updates the weights of inputs [from, to) of a layer after a batch of one row, whose gradient is the product of each
 * input with each error: computed here, it needs no room in memory and no way there and back.
 */
export function updateOuter(layer: usize, from: i32, to: i32): void {
  const values = load<usize>(PLAN + PLAN_VALUES);
  const firsts = load<usize>(PLAN + PLAN_FIRST_MOMENTS), seconds = load<usize>(PLAN + PLAN_SECOND_MOMENTS);
  const beta1 = setting(PLAN_BETA1), oneLessBeta1 = setting(PLAN_ONE_LESS_BETA1), beta2 = setting(PLAN_BETA2);
  const oneLessBeta2 = setting(PLAN_ONE_LESS_BETA2), epsilon = setting(PLAN_EPSILON), decay = setting(PLAN_DECAY);
  const correction = setting(PLAN_CORRECTION), stepSize = setting(PLAN_STEP_SIZE);
  const clipFactor = setting(PLAN_CLIP_FACTOR);
  const inputs = load<i32>(layer + LAYER_INPUTS), panels = load<i32>(layer + LAYER_OUTPUTS) / PANEL;
  const input = load<usize>(layer + LAYER_INPUT), errors = load<usize>(layer + LAYER_ERRORS);
  for (let panel = 0; panel < panels; panel++) {
    const left = f32x4.mul(v128.load(errors + <usize>panel * PANEL_ROW), clipFactor);
    const right = f32x4.mul(v128.load(errors + <usize>panel * PANEL_ROW + 16), clipFactor);
    let offset = load<usize>(layer + LAYER_WEIGHTS) + <usize>(panel * inputs + from) * PANEL_ROW;
    for (let i = from; i < to; i++, offset += PANEL_ROW) {
      const x = v128.load32_splat(input + (<usize>i << 2));
      updateFour(
        offset, f32x4.mul(x, left), values, firsts, seconds, beta1, oneLessBeta1, beta2, oneLessBeta2, epsilon, decay,
        correction, stepSize,
      );
      updateFour(
        offset + 16, f32x4.mul(x, right), values, firsts, seconds, beta1, oneLessBeta1, beta2, oneLessBeta2, epsilon,
        decay, correction, stepSize,
      );
    }
  }
}

/** The sum of squares of a layer's gradients after a batch of one row: |errors|^2 (|inputs|^2 + 1). */
export function sumOuterSquares(layer: usize): f64 {
  const errors = squaredLength(load<usize>(layer + LAYER_ERRORS), load<i32>(layer + LAYER_OUTPUTS));
  return errors * (squaredLength(load<usize>(layer + LAYER_INPUT), load<i32>(layer + LAYER_INPUTS)) + 1);
}

/** The sum of squares of numbers that lie side by side, a multiple of 4. */
function squaredLength(address: usize, count: i32): f64 {
  let sum = f32x4.splat(0);
  for (; count > 0; count -= 4, address += 16) sum = addSquare(address, sum);
  return sumOfLanes(sum);
}

@inline
function sumOfLanes(x: v128): f64 {
  return <f64>f32x4.extract_lane(x, 0) + <f64>f32x4.extract_lane(x, 1) + <f64>f32x4.extract_lane(x, 2) +
    <f64>f32x4.extract_lane(x, 3);
}
