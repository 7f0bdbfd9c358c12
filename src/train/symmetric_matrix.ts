/**
 * A symmetric matrix of sums of outer products, in float32.
 *
 * @module
 */
import { RowKernels, type RowList, type Table } from "../engine/simd/row_kernels.ts";

/** Rows whose outer products are added together: a panel of them fits into the nearest cache. */
const BLOCK_ROWS = 256;
/** Vectors that are multiplied together. */
const MAX_VECTORS = 24;

/** A symmetric matrix [size, size]. */
export class SymmetricMatrix {
  readonly #size: number;
  readonly #kernels: RowKernels;
  readonly #matrix: Table;
  readonly #vectors: Table;
  /** The first 1, 2, .. vectors. */
  readonly #lists: readonly RowList[];
  readonly #products: number;

  private constructor(kernels: RowKernels, matrix: Table) {
    this.#size = kernels.width;
    this.#kernels = kernels;
    this.#matrix = matrix;
    this.#vectors = kernels.table(MAX_VECTORS);
    this.#products = kernels.room(MAX_VECTORS * this.#size);
    this.#lists = Array.from({ length: MAX_VECTORS }, (_, v) => kernels.list(Array(v + 1).keys().toArray()));
  }

  /**
   * `sum_i row_i row_i^T`.
   *
   * @param write writes row i of `count`, of length `size`
   * @param kernels for rows of length `size`, where several matrices are to share their memory
   */
  static ofRows(
    size: number,
    count: number,
    write: (i: number, row: Float32Array) => void,
    kernels: RowKernels = new RowKernels(size),
  ): SymmetricMatrix {
    const matrix = kernels.table(8 * Math.ceil(size / 8));
    const rows = kernels.table(BLOCK_ROWS);
    const packed = kernels.room(8 * BLOCK_ROWS);
    for (let first = 0; first < count; first += BLOCK_ROWS) {
      const length = Math.min(BLOCK_ROWS, count - first);
      for (let i = 0; i < length; i++) write(first + i, kernels.row(rows, i));
      kernels.addOuterProducts(rows, length, matrix, packed);
    }
    for (let i = 0; i < size; i++) {
      const below = kernels.row(matrix, i);
      for (let j = 0; j < i; j++) kernels.row(matrix, j)[i] = below[j]!;
    }
    return new SymmetricMatrix(kernels, matrix);
  }

  /** The sum of the diagonal. */
  get trace(): number {
    let trace = 0;
    for (let i = 0; i < this.#size; i++) trace += this.#kernels.row(this.#matrix, i)[i]!;
    return trace;
  }

  /** Multiplies the matrix by a factor, in place. */
  scale(factor: number): void {
    for (let i = 0; i < this.#size; i++) {
      const row = this.#kernels.row(this.#matrix, i);
      for (let j = 0; j < this.#size; j++) row[j]! *= factor;
    }
  }

  /** The product with each of several vectors [.., stride], whose entries after the first `size` are kept. */
  multiply(vectors: Float64Array, stride: number): Float64Array {
    const product = vectors.slice();
    const count = vectors.length / stride;
    for (let first = 0; first < count; first += MAX_VECTORS) {
      const length = Math.min(MAX_VECTORS, count - first);
      for (let v = 0; v < length; v++) this.#kernels.setRow(this.#vectors, v, vectors, (first + v) * stride);
      const [list, out] = [this.#lists[length - 1]!, this.#products];
      this.#kernels.multiplyRows(this.#matrix, 0, this.#size, this.#vectors, list, out);
      const found = this.#kernels.numbers(out, this.#size * length);
      for (let v = 0; v < length; v++) {
        const start = (first + v) * stride;
        for (let i = 0; i < this.#size; i++) product[start + i] = found[i * length + v]!;
      }
    }
    return product;
  }
}
