/**
 * The pieces that the two kernels with tiled matrix products share. A workgroup of 256 threads computes a tile of 32 x 32
 * results. Its threads form 4 slices of 64; each slice goes through a fourth of the depth of the product, and each of its
 * threads keeps 4 x 4 results in registers (`sum0` to `sum3`), so that eight reads of shared memory serve 64
 * multiplications. At the end the slices are added up in a fixed order.
 *
 * @module
 */

/** Threads of a workgroup. */
export const TILE_THREADS = 256;

/** Shared memory: two staged tiles of 32 x 32 numbers; the left one may be padded to 9 vectors a row. 8.5 KiB. */
export const STAGE_WGSL = /* wgsl */ `
var<workgroup> stage: array<vec4f, 544>;`;

/** Names the parts that a thread plays. Columns of a thread's results: `4 across` to `4 across + 3`. */
export const THREAD_WGSL = /* wgsl */ `
  let slice = thread / 64u;
  let place = thread % 64u;
  let across = thread % 8u;
  let down = place / 8u;
  var sum0 = vec4f(0.0);
  var sum1 = vec4f(0.0);
  var sum2 = vec4f(0.0);
  var sum3 = vec4f(0.0);`;

/** Leaves in slice 0 the sums over all slices. */
export const ADD_SLICES_WGSL = `${hand("slice >= 2u", "(slice - 2u) * 256u")}
  workgroupBarrier();${take("slice < 2u", "slice * 256u")}
  workgroupBarrier();${hand("slice == 1u", "0u")}
  workgroupBarrier();${take("slice == 0u", "0u")}`;

/** Repeats a piece of WGSL for 0 to n - 1. Loops of fixed length are written out: the device need not check their ends. */
export function unrolled(n: number, piece: (i: number) => string): string {
  return Array.from({ length: n }, (_, i) => piece(i)).join("\n");
}

/** Hands a thread's results over to another slice. */
function hand(who: string, offset: string): string {
  return `
  if (${who}) {
    ${unrolled(4, (m) => `stage[${offset} + ${64 * m}u + place] = sum${m};`)}
  }`;
}

/** Adds the results that another slice has handed over. */
function take(who: string, offset: string): string {
  return `
  if (${who}) {
    ${unrolled(4, (m) => `sum${m} += stage[${offset} + ${64 * m}u + place];`)}
  }`;
}
