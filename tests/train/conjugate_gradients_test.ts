import assert from "node:assert/strict";
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import { solveShifted } from "../../src/train/conjugate_gradients.ts";
import { relativeError } from "../support/numbers.ts";
import { solve } from "./linear_system.ts";

/** A random matrix `B^T B` of the given rank, as rows. */
function gram(random: Random, size: number, rank: number): Float64Array[] {
  const b = Array.from({ length: rank }, () => Float64Array.from({ length: size }, () => random.normal()));
  return Array.from(
    { length: size },
    (_, j) => Float64Array.from({ length: size }, (_, k) => b.reduce((sum, row) => sum + row[j]! * row[k]!, 0)),
  );
}

function times(matrix: readonly Float64Array[], x: Float64Array): Float64Array {
  return Float64Array.from(matrix, (row) => row.reduce((sum, entry, k) => sum + entry * x[k]!, 0));
}

Deno.test("every shifted system is solved as if it were alone", () => {
  const shifts = fc.array(fc.double({ min: 0.05, max: 500, noNaN: true }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 12 }),
      fc.nat({ max: 12 }),
      shifts,
      (seed, size, rank, drawn) => {
        const random = new Random(seed);
        const matrix = gram(random, size, rank);
        const b = Float64Array.from({ length: size }, () => random.normal());
        const ascending = drawn.toSorted((x, y) => x - y);
        const found = solveShifted((x) => times(matrix, x), b, ascending, { tolerance: 1e-10, maxIterations: 200 });
        for (const [i, shift] of ascending.entries()) {
          const rows = matrix.map((row, j) => {
            return Float64Array.from([...row.map((entry, k) => entry + (j === k ? shift : 0)), b[j]!]);
          });
          assert.ok(relativeError(found[i]!, solve(rows)) < 1e-6, `shift ${shift}`);
        }
      },
    ),
    { seed: 1, numRuns: 200 },
  );
});

Deno.test("the solution of a right side of zeros is zero", () => {
  const found = solveShifted((x) => x.slice(), new Float64Array(3), [1, 10], { tolerance: 1e-4, maxIterations: 9 });
  assert.deepEqual(found, [new Float64Array(3), new Float64Array(3)]);
});

Deno.test("it stops at the most iterations it may take", () => {
  let products = 0;
  const multiply = (x: Float64Array): Float64Array => {
    products++;
    return x.map((entry, i) => entry * (i + 1));
  };
  solveShifted(multiply, new Float64Array(50).fill(1), [1e-6], { tolerance: 0, maxIterations: 7 });
  assert.equal(products, 7);
});
