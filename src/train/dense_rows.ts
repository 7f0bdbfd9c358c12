/**
 * Rows of a large matrix times a few vectors, and back, in float32 with float64 sums.
 *
 * The rows are copied into the kernels' memory window by window in every sweep: memory is bounded, however many rows
 * there are. A copy of all rows was no faster, because a window is still in a cache when it is worked on.
 *
 * @module
 */
import { RowKernels, type RowList, type Table } from "../engine/simd/row_kernels.ts";

/** Rows that are worked on together; so few that they are still in the second-level cache when they are added up. */
const BLOCK_ROWS = 48;
/**
 * Rows of a window: what is copied at a time, in the order of the matrix, and what is summed in float32 before it is
 * added to the float64 sums.
 */
export const WINDOW_ROWS = 1024;

/** Positions [from, to) of the rows. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/**
 * What is done with the products of a block of rows: `products` [count, vectors] belongs to the rows at positions
 * first, first + 1, .. It is the kernels' memory, and where rows are to be added up it becomes their factors.
 */
export type BlockVisitor = (first: number, count: number, products: Float32Array) => void;

/** Given rows of a matrix [.., width], in the given order. */
export class DenseRows {
  readonly #matrix: Float32Array;
  readonly #rows: Uint32Array;
  readonly #width: number;
  readonly #kernels: RowKernels;
  readonly #table: Table;
  readonly #vectors: Table;
  readonly #sums: Table;
  readonly #products: number;
  /** Positions in the order of the matrix, window by window: reading memory in order is several times faster. */
  readonly #copyOrder: Uint32Array;
  /** [vectors, width] the sums so far, without what is still in the kernels' memory. */
  readonly #totals: Float64Array;
  /** Sums that are not 0 in the kernels' memory. */
  readonly #touched = new Set<number>();
  #window = -1;

  /**
   * @param rows indices of rows, in any order
   * @param vectors most vectors that there will be
   */
  constructor(matrix: Float32Array, width: number, rows: Uint32Array, vectors: number) {
    this.#matrix = matrix;
    this.#rows = rows;
    this.#width = width;
    this.#kernels = new RowKernels(width);
    this.#vectors = this.#kernels.table(vectors);
    this.#sums = this.#kernels.table(vectors);
    this.#products = this.#kernels.room(BLOCK_ROWS * vectors);
    this.#totals = new Float64Array(vectors * width);
    this.#copyOrder = Uint32Array.from(rows, (_, i) => i);
    for (let from = 0; from < rows.length; from += WINDOW_ROWS) {
      this.#copyOrder.subarray(from, from + WINDOW_ROWS).sort((a, b) => rows[a]! - rows[b]!);
    }
    this.#table = this.#kernels.table(Math.min(rows.length, WINDOW_ROWS));
  }

  /** Bytes of memory taken for it all. */
  get memoryBytes(): number {
    return this.#kernels.memoryBytes;
  }

  /** Names some of the vectors, and of the sums that belong to them. */
  list(indices: readonly number[]): RowList {
    return this.#kernels.list(indices);
  }

  /** Sets the vectors [.., stride]: the first `width` entries of each. */
  setVectors(vectors: Float64Array, stride: number): void {
    for (let v = 0; v * stride < vectors.length; v++) this.#kernels.setRow(this.#vectors, v, vectors, v * stride);
  }

  /** Multiplies a range of rows by the listed vectors. */
  multiply(range: RowRange, list: RowList, visit: BlockVisitor): void {
    this.#sweep(range, list, visit, () => {});
  }

  /**
   * Multiplies a range of rows by the listed vectors and adds the rows, by the factors that `visit` makes of the
   * products, to the sums that belong to these vectors.
   */
  multiplyAndAdd(range: RowRange, list: RowList, visit: BlockVisitor): void {
    this.#sweep(range, list, visit, (first, count) => {
      this.#kernels.addRows(this.#table, first, count, this.#sums, list, this.#products);
      for (const v of list.indices) this.#touched.add(v);
    });
  }

  /** Moves the sums into the first `width` entries of each of several vectors [.., stride]; then they are 0 again. */
  takeSums(sums: Float64Array, stride: number): void {
    this.#drain();
    for (let v = 0; v * stride < sums.length; v++) {
      sums.set(this.#totals.subarray(v * this.#width, (v + 1) * this.#width), v * stride);
    }
    this.#totals.fill(0);
  }

  /** Visits the products of every block, then hands on where its rows lie in the table. */
  #sweep(
    { from, to }: RowRange,
    list: RowList,
    visit: BlockVisitor,
    done: (tableRow: number, count: number) => void,
  ): void {
    const products = this.#kernels.numbers(this.#products, BLOCK_ROWS * list.indices.length);
    for (let first = from; first < to;) {
      const window = Math.floor(first / WINDOW_ROWS);
      this.#enter(window);
      const count = Math.min(BLOCK_ROWS, to - first, (window + 1) * WINDOW_ROWS - first);
      const tableRow = first - window * WINDOW_ROWS;
      this.#kernels.multiplyRows(this.#table, tableRow, count, this.#vectors, list, this.#products);
      visit(first, count, products);
      done(tableRow, count);
      first += count;
    }
  }

  /** Makes sure that a window's rows are in the table, and that the sums of the one before are in the totals. */
  #enter(window: number): void {
    if (window === this.#window) return;
    this.#drain();
    this.#window = window;
    const from = window * WINDOW_ROWS;
    for (const position of this.#copyOrder.subarray(from, from + WINDOW_ROWS)) {
      this.#kernels.setRow(this.#table, position - from, this.#matrix, this.#rows[position]! * this.#width);
    }
  }

  /** Adds the float32 sums to the float64 ones. */
  #drain(): void {
    for (const v of this.#touched) {
      const [part, start] = [this.#kernels.row(this.#sums, v), v * this.#width];
      for (let i = 0; i < part.length; i++) this.#totals[start + i]! += part[i]!;
      part.fill(0);
    }
    this.#touched.clear();
  }
}
