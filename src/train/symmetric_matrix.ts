/**
 * Symmetric matrices of sums of outer products, in float32.
 *
 * @module
 */
import { RowKernels, type RowList, type Table } from "../engine/simd/row_kernels.ts";

/** Rows whose outer products are added together: a panel of them fits into the nearest cache. */
const BLOCK_ROWS = 256;
/** Vectors that are multiplied together. */
const MAX_VECTORS = 24;

/** What matrices of one size are made and multiplied with; several may share it. */
export class MatrixTools {
  /** Rows and columns of a matrix. */
  readonly size: number;
  /** The kernels and the memory of everything here. */
  readonly kernels: RowKernels;
  /** A block of rows to be added. */
  readonly rows: Table;
  /** Room for the kernel that adds them. */
  readonly packed: number;
  /** Vectors to be multiplied. */
  readonly vectors: Table;
  /** The first 1, 2, .. vectors. */
  readonly lists: readonly RowList[];
  /** Where their products come to lie. */
  readonly products: number;

  constructor(size: number) {
    this.size = size;
    const kernels = this.kernels = new RowKernels(size);
    this.rows = kernels.table(BLOCK_ROWS);
    this.packed = kernels.room(8 * BLOCK_ROWS);
    this.vectors = kernels.table(MAX_VECTORS);
    this.products = kernels.room(MAX_VECTORS * size);
    this.lists = Array.from({ length: MAX_VECTORS }, (_, v) => kernels.list(Array(v + 1).keys().toArray()));
  }
}

/** A symmetric matrix [size, size]. */
export class SymmetricMatrix {
  readonly #tools: MatrixTools;
  readonly #matrix: Table;

  /** Zeros. */
  constructor(tools: MatrixTools) {
    this.#tools = tools;
    this.#matrix = tools.kernels.table(8 * Math.ceil(tools.size / 8));
  }

  /**
   * `sum_i row_i row_i^T`.
   *
   * @param write writes row i of `count`, of length `size`
   */
  static ofRows(size: number, count: number, write: (i: number, row: Float32Array) => void): SymmetricMatrix {
    const matrix = new SymmetricMatrix(new MatrixTools(size));
    matrix.addRows(0, count, write);
    matrix.complete();
    return matrix;
  }

  /**
   * Adds `sum_i row_i row_i^T` over `from <= i < to`. Only half of the matrix is right until it is completed.
   *
   * @param write writes row i, of length `size`
   */
  addRows(from: number, to: number, write: (i: number, row: Float32Array) => void): void {
    const { kernels, rows, packed } = this.#tools;
    for (let first = from; first < to; first += BLOCK_ROWS) {
      const length = Math.min(BLOCK_ROWS, to - first);
      for (let i = 0; i < length; i++) write(first + i, kernels.row(rows, i));
      kernels.addOuterProducts(rows, length, this.#matrix, packed);
    }
  }

  /** Fills the other half in, when all rows are added. */
  complete(): void {
    const { kernels, size } = this.#tools;
    for (let i = 0; i < size; i++) {
      const below = kernels.row(this.#matrix, i);
      for (let j = 0; j < i; j++) kernels.row(this.#matrix, j)[i] = below[j]!;
    }
  }

  /** The sum of the diagonal. */
  get trace(): number {
    let trace = 0;
    for (let i = 0; i < this.#tools.size; i++) trace += this.#tools.kernels.row(this.#matrix, i)[i]!;
    return trace;
  }

  /** Multiplies the matrix by a factor, in place. */
  scale(factor: number): void {
    for (let i = 0; i < this.#tools.size; i++) {
      const row = this.#tools.kernels.row(this.#matrix, i);
      for (let j = 0; j < row.length; j++) row[j]! *= factor;
    }
  }

  /** The product with each of several vectors [.., stride], whose entries after the first `size` are kept. */
  multiply(vectors: Float64Array, stride: number): Float64Array {
    const { kernels, size, vectors: operands, lists, products: out } = this.#tools;
    const product = vectors.slice();
    const count = vectors.length / stride;
    for (let first = 0; first < count; first += MAX_VECTORS) {
      const length = Math.min(MAX_VECTORS, count - first);
      for (let v = 0; v < length; v++) kernels.setRow(operands, v, vectors, (first + v) * stride);
      kernels.multiplyRows(this.#matrix, 0, size, operands, lists[length - 1]!, out);
      const found = kernels.numbers(out, size * length);
      for (let v = 0; v < length; v++) {
        const start = (first + v) * stride;
        for (let i = 0; i < size; i++) product[start + i] = found[i * length + v]!;
      }
    }
    return product;
  }
}
