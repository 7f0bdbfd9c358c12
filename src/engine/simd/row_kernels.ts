/**
 * The kernels of linear models, and the memory that their operands lie in: tables of rows, padded with zeros to
 * multiples of 8 and all at the same stride.
 *
 * @module
 */
import { RlcfError } from "../../base/errors.ts";
import { compileSimd, type SimdKind } from "./device.ts";
import { DATA, PANEL } from "./plan.ts";

/** What the module exports for linear models; all addresses and strides in bytes. */
interface RowExports {
  readonly multiplyRows: (
    rows: number,
    count: number,
    stride: number,
    width: number,
    vectors: number,
    list: number,
    length: number,
    out: number,
  ) => void;
  readonly addRows: (
    rows: number,
    count: number,
    stride: number,
    width: number,
    sums: number,
    list: number,
    length: number,
    factors: number,
  ) => void;
  readonly addOuterProducts: (
    rows: number,
    count: number,
    stride: number,
    width: number,
    matrix: number,
    packed: number,
  ) => void;
}

/** A table [rows, width] in the kernels' memory. */
export interface Table {
  /** Where its first row lies, in bytes. */
  readonly address: number;
  /** Number of rows there is room for. */
  readonly rows: number;
}

/** Rows of a table that a kernel works with. */
export interface RowList {
  /** Where the list lies in the kernels' memory, in bytes. */
  readonly address: number;
  /** The rows' indices. */
  readonly indices: readonly number[];
}

const PAGE = 65536;
const MAX_PAGES = 65536;
const CACHE_LINE = 64;

/** Kernels for rows of one width, and their memory, which is let go with the object. */
export class RowKernels {
  /** Numbers in a row. */
  readonly width: number;
  readonly #padded: number;
  /** Floats from a row to the next. */
  readonly #stride: number;
  readonly #memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true });
  readonly #exports: RowExports;
  #floats = new Float32Array(this.#memory.buffer);
  #words = new Uint32Array(this.#memory.buffer);
  #next = DATA;

  /** @param kind which of the modules; the better one by default */
  constructor(width: number, kind?: SimdKind) {
    this.width = width;
    this.#padded = PANEL * Math.ceil(width / PANEL);
    // An odd number of cache lines: at a power of two, the rows would throw each other out of the nearest cache.
    const lines = Math.ceil(4 * this.#padded / CACHE_LINE);
    this.#stride = CACHE_LINE / 4 * (lines % 2 === 0 ? lines + 1 : lines);
    const instance = new WebAssembly.Instance(compileSimd(kind), { env: { memory: this.#memory } });
    this.#exports = instance.exports as unknown as RowExports;
  }

  /** Bytes of memory taken so far. */
  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Takes memory for a table of zeros. Arrays from {@link row} and {@link numbers} stay valid. */
  table(rows: number): Table {
    return { address: this.#take(rows * 4 * this.#stride), rows };
  }

  /** Takes memory for so many 32-bit numbers, all 0; returns the address. */
  room(numbers: number): number {
    return this.#take(4 * numbers);
  }

  /** Takes memory for a list of rows of a table, for {@link multiplyRows} and {@link addRows}. */
  list(indices: readonly number[]): RowList {
    const address = this.#take(4 * indices.length);
    this.#words.set(indices, address / 4);
    return { address, indices };
  }

  /** [width] one row of a table, to be read and written. */
  row(table: Table, index: number): Float32Array {
    const start = table.address / 4 + index * this.#stride;
    return this.#floats.subarray(start, start + this.width);
  }

  /** Numbers at an address, to be read and written. */
  numbers(address: number, length: number): Float32Array {
    return this.#floats.subarray(address / 4, address / 4 + length);
  }

  /** Copies `width` numbers from `start` of an array into a row of a table. */
  setRow(table: Table, index: number, source: Float32Array | Float64Array, start: number): void {
    this.#floats.set(source.subarray(start, start + this.width), table.address / 4 + index * this.#stride);
  }

  /** Writes the products of `count` rows from `first` with the listed vectors to `out`, [count, list's length]. */
  multiplyRows(rows: Table, first: number, count: number, vectors: Table, list: RowList, out: number): void {
    const from = rows.address + first * 4 * this.#stride;
    const { address, indices } = list;
    this.#exports
      .multiplyRows(from, count, 4 * this.#stride, this.#padded, vectors.address, address, indices.length, out);
  }

  /** Adds `count` rows from `first` to the listed sums, by the factors at an address, [count, list's length]. */
  addRows(rows: Table, first: number, count: number, sums: Table, list: RowList, factors: number): void {
    const from = rows.address + first * 4 * this.#stride;
    const { address, indices } = list;
    this.#exports.addRows(from, count, 4 * this.#stride, this.#padded, sums.address, address, indices.length, factors);
  }

  /**
   * Adds `sum_i row_i row_i^T` over the first `count` rows to the lower triangle of a matrix, a table of `width` rows
   * rounded up to a multiple of 8; above the diagonal some entries are written, too.
   *
   * @param packed room for `8 count` numbers
   */
  addOuterProducts(rows: Table, count: number, matrix: Table, packed: number): void {
    this.#exports.addOuterProducts(rows.address, count, 4 * this.#stride, this.#padded, matrix.address, packed);
  }

  #take(bytes: number): number {
    const address = this.#next;
    this.#next = CACHE_LINE * Math.ceil((address + bytes) / CACHE_LINE);
    const missing = Math.ceil(this.#next / PAGE) - this.#memory.buffer.byteLength / PAGE;
    if (missing > 0) this.#grow(missing);
    return address;
  }

  #grow(pages: number): void {
    try {
      this.#memory.grow(pages);
    } catch (error) {
      throw new RlcfError(
        "usage",
        `cannot make room for the reward model: it takes ${this.#next} bytes, wanted at most ${MAX_PAGES * PAGE} and ` +
          "no more than the machine has free",
        { cause: error },
      );
    }
    this.#floats = new Float32Array(this.#memory.buffer);
    this.#words = new Uint32Array(this.#memory.buffer);
  }
}
