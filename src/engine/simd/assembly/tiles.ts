/**
 * The inner kernel: a tile of up to 6 rows by 8 columns of `C = A^T B`, held in 12 vector registers of the 16 that x86
 * has; with 2 for a row of B and 1 for an element of A that leaves one. It is written once for a number of rows that
 * is known at compile time; the compiler drops the lines of the rows that are not there.
 *
 * Every element of a product is summed over k in ascending order in its own register, whatever tile it falls in.
 * So the results do not depend on how rows and columns are cut into tiles, or on the number of threads.
 */
import { PANEL_ROW } from "../plan";

/** a * b + c: rounded once in the module with relaxed SIMD, twice in the other. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

/**
 * C = A^T B, or C += A^T B, for `rows` columns of A and one panel of B.
 *
 * Few arguments and a short loop on purpose. With a pointer for each row of an untransposed A, or with what happens to
 * C afterwards as arguments, or with the loop unrolled by hand, the compiler runs out of registers and the kernel loses
 * a tenth to a third of its speed. Hence the packed copies of A and the passes over C that `dense` makes.
 *
 * @param a element (0, 0) of A; the columns lie side by side
 * @param aRow bytes from a row of A to the next
 * @param b the panel of B [depth][8]
 * @param depth number of rows of A and B to sum over
 * @param c element (0, 0) of C
 * @param cRow bytes from a row of C to the next
 * @param add whether the sums start from C instead of 0
 */
@inline
function tile(rows: i32, a: usize, aRow: usize, b: usize, depth: i32, c: usize, cRow: usize, add: bool): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
  let c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  if (add) {
    let p = c;
    c00 = v128.load(p), c01 = v128.load(p, 16);
    if (rows > 1) { p += cRow, c10 = v128.load(p), c11 = v128.load(p, 16); }
    if (rows > 2) { p += cRow, c20 = v128.load(p), c21 = v128.load(p, 16); }
    if (rows > 3) { p += cRow, c30 = v128.load(p), c31 = v128.load(p, 16); }
    if (rows > 4) { p += cRow, c40 = v128.load(p), c41 = v128.load(p, 16); }
    if (rows > 5) { p += cRow, c50 = v128.load(p), c51 = v128.load(p, 16); }
  }
  for (; depth > 0; depth--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let t = v128.load32_splat(a);
    c00 = madd(t, b0, c00), c01 = madd(t, b1, c01);
    if (rows > 1) { t = v128.load32_splat(a, 4), c10 = madd(t, b0, c10), c11 = madd(t, b1, c11); }
    if (rows > 2) { t = v128.load32_splat(a, 8), c20 = madd(t, b0, c20), c21 = madd(t, b1, c21); }
    if (rows > 3) { t = v128.load32_splat(a, 12), c30 = madd(t, b0, c30), c31 = madd(t, b1, c31); }
    if (rows > 4) { t = v128.load32_splat(a, 16), c40 = madd(t, b0, c40), c41 = madd(t, b1, c41); }
    if (rows > 5) { t = v128.load32_splat(a, 20), c50 = madd(t, b0, c50), c51 = madd(t, b1, c51); }
    a += aRow, b += PANEL_ROW;
  }
  v128.store(c, c00), v128.store(c, c01, 16);
  if (rows > 1) { c += cRow, v128.store(c, c10), v128.store(c, c11, 16); }
  if (rows > 2) { c += cRow, v128.store(c, c20), v128.store(c, c21, 16); }
  if (rows > 3) { c += cRow, v128.store(c, c30), v128.store(c, c31, 16); }
  if (rows > 4) { c += cRow, v128.store(c, c40), v128.store(c, c41, 16); }
  if (rows > 5) { c += cRow, v128.store(c, c50), v128.store(c, c51, 16); }
}

function tile1(a: usize, aRow: usize, b: usize, depth: i32, c: usize, cRow: usize, add: bool): void {
  tile(1, a, aRow, b, depth, c, cRow, add);
}
function tile2(a: usize, aRow: usize, b: usize, depth: i32, c: usize, cRow: usize, add: bool): void {
  tile(2, a, aRow, b, depth, c, cRow, add);
}
function tile3(a: usize, aRow: usize, b: usize, depth: i32, c: usize, cRow: usize, add: bool): void {
  tile(3, a, aRow, b, depth, c, cRow, add);
}
function tile4(a: usize, aRow: usize, b: usize, depth: i32, c: usize, cRow: usize, add: bool): void {
  tile(4, a, aRow, b, depth, c, cRow, add);
}
function tile5(a: usize, aRow: usize, b: usize, depth: i32, c: usize, cRow: usize, add: bool): void {
  tile(5, a, aRow, b, depth, c, cRow, add);
}
function tile6(a: usize, aRow: usize, b: usize, depth: i32, c: usize, cRow: usize, add: bool): void {
  tile(6, a, aRow, b, depth, c, cRow, add);
}

/** {@link tile} for 1 to 6 rows. */
@inline
export function tileOf(rows: i32, a: usize, aRow: usize, b: usize, depth: i32, c: usize, cRow: usize, add: bool): void {
  switch (rows) {
    case 1: tile1(a, aRow, b, depth, c, cRow, add); break;
    case 2: tile2(a, aRow, b, depth, c, cRow, add); break;
    case 3: tile3(a, aRow, b, depth, c, cRow, add); break;
    case 4: tile4(a, aRow, b, depth, c, cRow, add); break;
    case 5: tile5(a, aRow, b, depth, c, cRow, add); break;
    default: tile6(a, aRow, b, depth, c, cRow, add);
  }
}

/**
 * How many of the rows that are left the next tile takes. A tile of 1 or 2 rows has too few sums under way to keep the
 * multipliers busy, so 8 rows are cut 4 + 4 and 7 rows 4 + 3 instead of 6 + 2 and 6 + 1.
 */
@inline
export function tileRows(left: i32): i32 {
  if (left > 8 || left == 6) return 6;
  return left > 5 ? 4 : left;
}
