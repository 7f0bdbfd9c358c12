import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../../src/base/random.ts";
import { RowKernels } from "../../../src/engine/simd/row_kernels.ts";
import { relativeError } from "../../support/numbers.ts";

for (const kind of ["relaxed", "plain"] as const) {
  Deno.test(`the ${kind} kernels of linear models agree with naive loops for awkward sizes`, () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.nat({ max: 8 }), { minLength: 1, maxLength: 8 }),
        (seed, width, count, chosen) => {
          const random = new Random(seed);
          const indices = [...new Set(chosen)];
          const kernels = new RowKernels(width, kind);
          const [rows, vectors, sums] = [kernels.table(count + 1), kernels.table(9), kernels.table(9)];
          const matrix = kernels.table(8 * Math.ceil(width / 8));
          const list = kernels.list(indices);
          const [out, packed] = [kernels.room(count * indices.length), kernels.room(8 * count)];
          const filled = (table: typeof rows): Float32Array[] =>
            Array.from({ length: table.rows }, (_, i) => {
              const row = Float32Array.from({ length: width }, () => random.normal());
              kernels.setRow(table, i, row, 0);
              return row;
            });
          const [x, v, s] = [filled(rows), filled(vectors), filled(sums)];

          // The first row is left out: addresses count.
          kernels.multiplyRows(rows, 1, count, vectors, list, out);
          const products = kernels.numbers(out, count * indices.length);
          const wanted = Array.from({ length: count }, (_, n) => indices.map((i) => product(x[n + 1]!, v[i]!))).flat();
          assert.ok(distanceTo(wanted, products) < 1e-5, "products");

          kernels.addRows(rows, 1, count, sums, list, out);
          for (const [j, i] of indices.entries()) {
            for (let n = 0; n < count; n++) {
              s[i] = s[i]!.map((entry, k) => entry + products[n * indices.length + j]! * x[n + 1]![k]!);
            }
          }
          for (let i = 0; i < 9; i++) assert.ok(relativeError(kernels.row(sums, i), s[i]!) < 1e-5, `sum ${i}`);

          kernels.addOuterProducts(rows, count, matrix, packed);
          for (let i = 0; i < width; i++) {
            const below = Array.from({ length: i + 1 }, (_, j) => {
              return x.slice(0, count).reduce((sum, row) => sum + row[i]! * row[j]!, 0);
            });
            assert.ok(distanceTo(below, kernels.row(matrix, i).subarray(0, i + 1)) < 1e-5, `row ${i} of the matrix`);
          }
        },
      ),
      { seed: 1, numRuns: 80 },
    );
  });

  Deno.test(`the ${kind} kernels give a vector the same bits whatever is listed beside it`, () => {
    const random = new Random(3);
    const kernels = new RowKernels(50, kind);
    const [rows, vectors, sums] = [kernels.table(7), kernels.table(6), kernels.table(6)];
    for (let i = 0; i < 7; i++) kernels.row(rows, i).set(Float32Array.from({ length: 50 }, () => random.normal()));
    for (let i = 0; i < 6; i++) kernels.row(vectors, i).set(Float32Array.from({ length: 50 }, () => random.normal()));
    const out = kernels.room(42);
    const run = (indices: readonly number[]): { products: number[]; sums: Float32Array[] } => {
      const list = kernels.list(indices);
      kernels.multiplyRows(rows, 0, 7, vectors, list, out);
      for (const i of indices) kernels.row(sums, i).fill(0);
      kernels.addRows(rows, 0, 7, sums, list, out);
      return {
        products: [...kernels.numbers(out, 7 * indices.length)],
        sums: indices.map((i) => kernels.row(sums, i).slice()),
      };
    };
    const all = run([0, 1, 2, 3, 4, 5]);
    for (const indices of [[3], [5, 2], [4, 1, 0], [2, 3, 4, 5], [0, 2, 1, 5, 3]]) {
      const some = run(indices);
      for (const [j, i] of indices.entries()) {
        for (let n = 0; n < 7; n++) assert.equal(some.products[n * indices.length + j], all.products[n * 6 + i]);
        assert.deepEqual(some.sums[j], all.sums[i]);
      }
    }
  });
}

function product(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, entry, i) => sum + entry * b[i]!, 0);
}

/** The largest difference, beside the size of what was wanted or 1, whichever is larger. */
function distanceTo(wanted: readonly number[], found: ArrayLike<number>): number {
  assert.equal(found.length, wanted.length);
  return Math.max(...wanted.map((value, i) => Math.abs(value - found[i]!) / Math.max(1, Math.abs(value))));
}
