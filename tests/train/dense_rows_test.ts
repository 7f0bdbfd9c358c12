import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { DenseRows, WINDOW_ROWS } from "../../src/train/dense_rows.ts";
import { relativeError } from "../support/numbers.ts";

const WIDTH = 21;
const STRIDE = WIDTH + 1;
const LISTED = [4, 0, 3, 1];

/** More rows than two windows have, in a random order, five vectors, and what float64 makes of them. */
function example(): { matrix: Float32Array; rows: Uint32Array; vectors: Float64Array; products: number[] } {
  const random = new Random(1);
  const count = 2 * WINDOW_ROWS + 77;
  const matrix = Float32Array.from({ length: (count + 50) * WIDTH }, () => random.normal());
  const rows = random.permutation(count + 50).subarray(0, count);
  const vectors = Float64Array.from({ length: 5 * STRIDE }, () => random.normal());
  const products = Array.from(rows).flatMap((row) =>
    LISTED.map((v) => {
      let product = 0;
      for (let i = 0; i < WIDTH; i++) product += matrix[row * WIDTH + i]! * vectors[v * STRIDE + i]!;
      return product;
    })
  );
  return { matrix, rows, vectors, products };
}

/** Products and sums of all rows, in two ranges. */
function found(): { products: number[]; sums: Float64Array } {
  const { matrix, rows, vectors } = example();
  const dense = new DenseRows(matrix, WIDTH, rows, 5);
  dense.setVectors(vectors, STRIDE);
  const list = dense.list(LISTED);
  const products: number[] = [];
  for (const range of [{ from: 0, to: 1000 }, { from: 1000, to: rows.length }]) {
    dense.multiplyAndAdd(range, list, (first, count, block) => {
      assert.equal(first, products.length / LISTED.length);
      products.push(...block.subarray(0, count * LISTED.length));
    });
  }
  const sums = new Float64Array(5 * STRIDE).fill(7);
  dense.takeSums(sums, STRIDE);
  const again = sums.slice();
  dense.takeSums(again, STRIDE);
  assert.ok(again.every((sum, i) => sum === (i % STRIDE === WIDTH ? 7 : 0)), "sums are 0 once taken");
  return { products, sums };
}

Deno.test("products and sums of rows in any order are those of float64", () => {
  const { matrix, rows, products } = example();
  const result = found();
  assert.ok(relativeError(result.products, products) < 1e-6);
  const wanted = new Float64Array(5 * STRIDE);
  for (const [n, row] of rows.entries()) {
    for (const [j, v] of LISTED.entries()) {
      // The example leaves the products as they are: they are the factors.
      for (let i = 0; i < WIDTH; i++) wanted[v * STRIDE + i]! += products[n * 4 + j]! * matrix[row * WIDTH + i]!;
    }
  }
  for (let v = 0; v < 5; v++) wanted[v * STRIDE + WIDTH] = 7;
  assert.ok(relativeError(result.sums, wanted) < 1e-6);
  assert.ok(result.sums.subarray(2 * STRIDE, 2 * STRIDE + WIDTH).every((sum) => sum === 0), "a vector not listed");
});

Deno.test("memory does not grow with the rows", () => {
  const width = 64;
  const matrix = new Float32Array(width);
  const bytes = (count: number): number => new DenseRows(matrix, width, new Uint32Array(count), 4).memoryBytes;
  assert.equal(bytes(10_000), bytes(100_000));
  assert.ok(bytes(100_000) < 2 ** 20);
});
