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

Deno.test("every shifted system is solved as if it were alone", async () => {
  const shifts = fc.array(fc.double({ min: 0.05, max: 500, noNaN: true }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.integer({ min: 1, max: 12 }),
      fc.nat({ max: 12 }),
      shifts,
      async (seed, size, rank, drawn) => {
        const random = new Random(seed);
        const matrix = gram(random, size, rank);
        const b = Float64Array.from({ length: size }, () => random.normal());
        const ascending = drawn.toSorted((x, y) => x - y);
        const stopping = { tolerance: 1e-10, maxIterations: 200 };
        const found = (await solveShifted((x) => times(matrix, x), b, [ascending], stopping))[0]!;
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

Deno.test("systems side by side end in the bits of each alone, however many steps the others take", async () => {
  const random = new Random(2);
  const matrices = [gram(random, 9, 9), gram(random, 9, 2), gram(random, 9, 9)];
  const b = Float64Array.from({ length: 27 }, (_, i) => i >= 18 ? 0 : random.normal());
  const shifts = [[0.01, 3], [5], [1, 2]];
  const stopping = { tolerance: 1e-8, maxIterations: 100 };
  const part = (x: Float64Array, k: number): Float64Array => x.slice(9 * k, 9 * k + 9);
  const multiply = (x: Float64Array): Float64Array =>
    Float64Array.from(matrices.flatMap((matrix, k) => Array.from(times(matrix, part(x, k)))));
  const together = await solveShifted(multiply, b, shifts, stopping);
  for (const [k, matrix] of matrices.entries()) {
    assert.deepEqual(await solveShifted((x) => times(matrix, x), part(b, k), [shifts[k]!], stopping), [together[k]]);
  }
});

Deno.test("the solution of a right side of zeros is zero", async () => {
  const found = await solveShifted((x) => x.slice(), new Float64Array(3), [[1, 10]], {
    tolerance: 1e-4,
    maxIterations: 9,
  });
  assert.deepEqual(found, [[new Float64Array(3), new Float64Array(3)]]);
});

Deno.test("it stops at the most iterations it may take", async () => {
  let products = 0;
  const multiply = (x: Float64Array): Float64Array => {
    products++;
    return x.map((entry, i) => entry * (i + 1));
  };
  await solveShifted(multiply, new Float64Array(50).fill(1), [[1e-6]], { tolerance: 0, maxIterations: 7 });
  assert.equal(products, 7);
});

Deno.test("how far the solution is grows from 0 towards 1, and an error of the listener ends the work", async () => {
  const random = new Random(5);
  const matrix = gram(random, 12, 12);
  const b = Float64Array.from({ length: 12 }, () => random.normal());
  const told: number[] = [];
  const multiply = (x: Float64Array): Float64Array => times(matrix, x);
  const stopping = { tolerance: 1e-8, maxIterations: 100 };
  await solveShifted(multiply, b, [[0.1]], stopping, (done) => told.push(done));
  assert.equal(told[0], 0);
  assert.deepEqual(told, told.toSorted((x, y) => x - y));
  assert.ok(told.length > 3 && told.at(-1)! > 0.3 && told.at(-1)! < 1, String(told));
  const stop = (done: number): void => {
    if (done > 0) throw new Error("enough");
  };
  await assert.rejects(solveShifted(multiply, b, [[0.1]], stopping, stop), /enough/);
});
