import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import { SymmetricMatrix } from "../../src/train/symmetric_matrix.ts";
import { relativeError } from "../support/numbers.ts";

Deno.test("sums of outer products, their trace and their products with vectors are those of float64", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 600 }),
      fc.integer({ min: 1, max: 30 }),
      (seed, size, count, vectorCount) => {
        const random = new Random(seed);
        const rows = Array.from({ length: count }, () => Float32Array.from({ length: size }, () => random.normal()));
        const matrix = SymmetricMatrix.ofRows(size, count, (i, row) => row.set(rows[i]!));
        const squares = rows.reduce((sum, row) => sum + row.reduce((s, entry) => s + entry ** 2, 0), 0);
        assert.ok(Math.abs(matrix.trace / squares - 1) < 1e-5);
        matrix.scale(0.5);
        const stride = size + 2;
        const vectors = Float64Array.from({ length: vectorCount * stride }, () => random.normal());
        const wanted = vectors.slice();
        for (let start = 0; start < vectors.length; start += stride) {
          wanted.fill(0, start, start + size);
          for (const row of rows) {
            let product = 0;
            for (let i = 0; i < size; i++) product += row[i]! * vectors[start + i]!;
            for (let i = 0; i < size; i++) wanted[start + i]! += 0.5 * product * row[i]!;
          }
        }
        assert.ok(relativeError(matrix.multiply(vectors, stride), wanted) < 1e-5);
      },
    ),
    { seed: 1, numRuns: 60 },
  );
});
