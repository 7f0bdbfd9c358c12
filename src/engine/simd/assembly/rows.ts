/**
 * Rows times vectors, rows added to vectors, and rows times themselves: what a linear model and its covariance are made
 * of. Rows and vectors are padded with zeros to multiples of 8 and lie at the same stride.
 *
 * Three rows meet three vectors at a time: 9 sums (or factors), 3 vectors and 1 row are 13 registers of the 16 that x86
 * has. Every number is summed in the same order whichever vectors are listed beside it.
 */
import { PANEL, PANEL_ROW } from "../plan";
import { madd, tileOf, tileRows } from "./tiles";

/**
 * Products of rows with vectors.
 *
 * @param stride bytes from a row to the next, and from a vector to the next
 * @param list which vectors: `length` indices, 32 bits each
 * @param out [count][length]
 */
export function multiplyRows(
  rows: usize, count: i32, stride: usize, width: i32, vectors: usize, list: usize, length: i32, out: usize,
): void {
  const outRow = <usize>length << 2;
  for (; count > 0; count -= 3, rows += 3 * stride, out += 3 * outRow) {
    // Where rows are missing, the last is done more than once: the same numbers to the same place.
    const second = <usize>min(1, count - 1), third = <usize>min(2, count - 1);
    const r1 = rows + second * stride, r2 = rows + third * stride;
    const o1 = second * outRow, o2 = third * outRow;
    for (let v = 0; v < length; v += 3) {
      const target = out + (<usize>v << 2), entry = list + (<usize>v << 2);
      const v0 = vectors + load<usize>(entry) * stride;
      if (length - v == 1) {
        multiply1(rows, r1, r2, v0, v0, v0, width, target, target + o1, target + o2);
        continue;
      }
      const v1 = vectors + load<usize>(entry, 4) * stride;
      if (length - v == 2) {
        multiply2(rows, r1, r2, v0, v1, v1, width, target, target + o1, target + o2);
        continue;
      }
      const v2 = vectors + load<usize>(entry, 8) * stride;
      multiply3(rows, r1, r2, v0, v1, v2, width, target, target + o1, target + o2);
    }
  }
}

/**
 * Adds rows to vectors: `sum_v += sum_i factor_iv row_i`.
 *
 * @param list which of the sums: `length` indices, 32 bits each
 * @param factors [count][length]
 */
export function addRows(
  rows: usize, count: i32, stride: usize, width: i32, sums: usize, list: usize, length: i32, factors: usize,
): void {
  const factorRow = <usize>length << 2;
  for (; count > 0; count -= 3, rows += 3 * stride, factors += 3 * factorRow) {
    const r1 = rows + <usize>min(1, count - 1) * stride, r2 = rows + <usize>min(2, count - 1) * stride;
    for (let v = 0; v < length; v += 3) {
      const f = factors + (<usize>v << 2), entry = list + (<usize>v << 2);
      const s0 = sums + load<usize>(entry) * stride;
      if (length - v == 1) {
        add1(rows, r1, r2, count, f, factorRow, s0, s0, s0, width);
        continue;
      }
      const s1 = sums + load<usize>(entry, 4) * stride;
      if (length - v == 2) {
        add2(rows, r1, r2, count, f, factorRow, s0, s1, s1, width);
        continue;
      }
      const s2 = sums + load<usize>(entry, 8) * stride;
      add3(rows, r1, r2, count, f, factorRow, s0, s1, s2, width);
    }
  }
}

/**
 * Adds `sum_i row_i row_i^T` to the lower triangle of a matrix [width, width]; of the blocks of 8 columns on the
 * diagonal, to all of it.
 *
 * @param stride bytes from a row to the next, and from a row of the matrix to the next
 * @param packed room for one panel of the rows, `count` times 32 bytes
 */
export function addOuterProducts(
  rows: usize, count: i32, stride: usize, width: i32, matrix: usize, packed: usize,
): void {
  for (let column = 0; column < width; column += PANEL) {
    const offset = <usize>column << 2;
    for (let i = 0; i < count; i++) {
      const source = rows + <usize>i * stride + offset, target = packed + <usize>i * PANEL_ROW;
      v128.store(target, v128.load(source)), v128.store(target, v128.load(source, 16), 16);
    }
    for (let i = column; i < width;) {
      const entries = tileRows(width - i);
      tileOf(
        entries, rows + (<usize>i << 2), stride, packed, count, matrix + <usize>i * stride + offset, stride, true,
      );
      i += entries;
    }
  }
}

/** Products of three rows with `columns` vectors. */
@inline
function multiply(
  columns: i32, r0: usize, r1: usize, r2: usize, v0: usize, v1: usize, v2: usize, width: i32, o0: usize, o1: usize,
  o2: usize,
): void {
  let s00 = f32x4.splat(0), s01 = s00, s02 = s00, s10 = s00, s11 = s00, s12 = s00, s20 = s00, s21 = s00, s22 = s00;
  for (; width > 0; width -= 4) {
    let a = v128.load(v0), b = a, c = a, x = v128.load(r0);
    if (columns > 1) b = v128.load(v1);
    if (columns > 2) c = v128.load(v2);
    s00 = madd(x, a, s00);
    if (columns > 1) s01 = madd(x, b, s01);
    if (columns > 2) s02 = madd(x, c, s02);
    x = v128.load(r1), s10 = madd(x, a, s10);
    if (columns > 1) s11 = madd(x, b, s11);
    if (columns > 2) s12 = madd(x, c, s12);
    x = v128.load(r2), s20 = madd(x, a, s20);
    if (columns > 1) s21 = madd(x, b, s21);
    if (columns > 2) s22 = madd(x, c, s22);
    r0 += 16, r1 += 16, r2 += 16, v0 += 16;
    if (columns > 1) v1 += 16;
    if (columns > 2) v2 += 16;
  }
  store<f32>(o0, sumOfLanes(s00)), store<f32>(o1, sumOfLanes(s10)), store<f32>(o2, sumOfLanes(s20));
  if (columns > 1) {
    store<f32>(o0, sumOfLanes(s01), 4), store<f32>(o1, sumOfLanes(s11), 4), store<f32>(o2, sumOfLanes(s21), 4);
  }
  if (columns > 2) {
    store<f32>(o0, sumOfLanes(s02), 8), store<f32>(o1, sumOfLanes(s12), 8), store<f32>(o2, sumOfLanes(s22), 8);
  }
}

function multiply1(
  r0: usize, r1: usize, r2: usize, v0: usize, v1: usize, v2: usize, width: i32, o0: usize, o1: usize, o2: usize,
): void {
  multiply(1, r0, r1, r2, v0, v1, v2, width, o0, o1, o2);
}
function multiply2(
  r0: usize, r1: usize, r2: usize, v0: usize, v1: usize, v2: usize, width: i32, o0: usize, o1: usize, o2: usize,
): void {
  multiply(2, r0, r1, r2, v0, v1, v2, width, o0, o1, o2);
}
function multiply3(
  r0: usize, r1: usize, r2: usize, v0: usize, v1: usize, v2: usize, width: i32, o0: usize, o1: usize, o2: usize,
): void {
  multiply(3, r0, r1, r2, v0, v1, v2, width, o0, o1, o2);
}

/** Adds up to three rows to `columns` sums. Rows that are missing have the factor 0. */
@inline
function add(
  columns: i32, r0: usize, r1: usize, r2: usize, rows: i32, f: usize, factorRow: usize, s0: usize, s1: usize,
  s2: usize, width: i32,
): void {
  const zero = f32x4.splat(0);
  let f10 = zero, f11 = zero, f12 = zero, f20 = zero, f21 = zero, f22 = zero;
  const f00 = v128.load32_splat(f), f01 = columns > 1 ? v128.load32_splat(f, 4) : zero;
  const f02 = columns > 2 ? v128.load32_splat(f, 8) : zero;
  if (rows > 1) {
    const next = f + factorRow;
    f10 = v128.load32_splat(next);
    if (columns > 1) f11 = v128.load32_splat(next, 4);
    if (columns > 2) f12 = v128.load32_splat(next, 8);
  }
  if (rows > 2) {
    const next = f + 2 * factorRow;
    f20 = v128.load32_splat(next);
    if (columns > 1) f21 = v128.load32_splat(next, 4);
    if (columns > 2) f22 = v128.load32_splat(next, 8);
  }
  for (; width > 0; width -= PANEL) {
    let x = v128.load(r0), y = v128.load(r1), z = v128.load(r2);
    v128.store(s0, madd(z, f20, madd(y, f10, madd(x, f00, v128.load(s0)))));
    if (columns > 1) v128.store(s1, madd(z, f21, madd(y, f11, madd(x, f01, v128.load(s1)))));
    if (columns > 2) v128.store(s2, madd(z, f22, madd(y, f12, madd(x, f02, v128.load(s2)))));
    x = v128.load(r0, 16), y = v128.load(r1, 16), z = v128.load(r2, 16);
    v128.store(s0, madd(z, f20, madd(y, f10, madd(x, f00, v128.load(s0, 16)))), 16);
    if (columns > 1) v128.store(s1, madd(z, f21, madd(y, f11, madd(x, f01, v128.load(s1, 16)))), 16);
    if (columns > 2) v128.store(s2, madd(z, f22, madd(y, f12, madd(x, f02, v128.load(s2, 16)))), 16);
    r0 += PANEL_ROW, r1 += PANEL_ROW, r2 += PANEL_ROW, s0 += PANEL_ROW;
    if (columns > 1) s1 += PANEL_ROW;
    if (columns > 2) s2 += PANEL_ROW;
  }
}

function add1(
  r0: usize, r1: usize, r2: usize, rows: i32, f: usize, factorRow: usize, s0: usize, s1: usize, s2: usize, width: i32,
): void {
  add(1, r0, r1, r2, rows, f, factorRow, s0, s1, s2, width);
}
function add2(
  r0: usize, r1: usize, r2: usize, rows: i32, f: usize, factorRow: usize, s0: usize, s1: usize, s2: usize, width: i32,
): void {
  add(2, r0, r1, r2, rows, f, factorRow, s0, s1, s2, width);
}
function add3(
  r0: usize, r1: usize, r2: usize, rows: i32, f: usize, factorRow: usize, s0: usize, s1: usize, s2: usize, width: i32,
): void {
  add(3, r0, r1, r2, rows, f, factorRow, s0, s1, s2, width);
}

@inline
function sumOfLanes(x: v128): f32 {
  return (f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1)) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3));
}
