/**
 * The normal equations of a large log, summed up once. Conjugate gradients go through the rows of a log some fifty times;
 * where every row drew one expert, a matrix for each expert says the same as its rows, and is made sooner: with 768 inputs
 * a fit to 120,000 rows took 3.0 s instead of 5.0.
 *
 * Index letters: K regressions, E experts, I inputs.
 *
 * @module
 */
import { Turns } from "../base/turns.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { type Design, type DrawnRows, INTERCEPT } from "./design.ts";
import { MatrixTools, SymmetricMatrix } from "./symmetric_matrix.ts";

/** The matrices take at most this share of the memory of the embeddings that they are made of. */
const LARGEST_SHARE = 1 / 8;
/** And no more than this, in bytes: the kernels address 4 GiB. */
const MOST_BYTES = 2 ** 30;
/** Rows that are added between two turns of others; at 768 inputs this takes 35 ms. */
const SLICE_ROWS = 2048;

/** Whether to sum up so many rows as so many matrices. */
export function paysToSum(rows: number, matrices: number, inputDim: number): boolean {
  const bytes = 4 * matrices * inputDim ** 2;
  return bytes <= LARGEST_SHARE * 4 * rows * inputDim && bytes <= MOST_BYTES;
}

/** Rows that met the same regressions, as a matrix. */
interface Sums {
  readonly expert: number;
  readonly regressions: readonly number[];
  /** [I + 1, I + 1] sum of `w_i z_i z_i^T`, where `z_i = [x_i - mean, 1]`. */
  readonly matrix: SymmetricMatrix;
}

/**
 * The products of {@link Design.weightedSums} for the factors `w_i * product`, without going through the rows. The sums
 * are float32: their relative error grows with the square root of the rows of a matrix, to 2e-5 at two million, which is
 * small beside the tolerance that the equations are solved to.
 */
export class NormalEquations {
  readonly #width: number;
  readonly #experts: number;
  readonly #sums: readonly Sums[];

  private constructor(width: number, experts: number, sums: readonly Sums[]) {
    this.#width = width;
    this.#experts = experts;
    this.#sums = sums;
  }

  /**
   * Sums up the rows of a design; undefined where that does not pay: a log of mixtures, whose experts depend on each
   * other, or one so small that its rows take less memory than the matrices.
   *
   * @param onRows told now and then which share of the rows is summed up; an error thrown here ends it
   */
  static async of(
    episodes: EpisodeSet,
    design: Design,
    mean: Float64Array,
    onRows: (share: number) => void = () => {},
  ): Promise<NormalEquations | undefined> {
    const { inputDim, experts } = episodes;
    const drawn = design.drawnRows();
    if (drawn === undefined || !paysToSum(design.rows.length, drawn.length, inputDim)) return undefined;
    const tools = new MatrixTools(inputDim + 1);
    const turns = new Turns();
    const sums: Sums[] = [];
    let done = 0;
    for (const { expert, regressions, rows } of drawn) {
      const matrix = new SymmetricMatrix(tools);
      const write = rowWriter(episodes, rows, mean);
      for (let from = 0; from < rows.length; from += SLICE_ROWS) {
        await turns.give();
        onRows((done + from) / design.rows.length);
        matrix.addRows(from, Math.min(from + SLICE_ROWS, rows.length), write);
      }
      matrix.complete();
      sums.push({ expert, regressions, matrix });
      done += rows.length;
    }
    return new NormalEquations(inputDim + 1, experts.length, sums);
  }

  /** `sum_i w_i row_i (row_i . theta)` of each regression, for coefficients [K, E, I + 1]. */
  multiply(coefficients: Float64Array): Float64Array {
    const width = this.#width;
    // The matrices know the intercept's feature as 1.
    const scaled = coefficients.map((value, i) => i % width === width - 1 ? INTERCEPT * value : value);
    const sums = new Float64Array(coefficients.length);
    for (const { expert, regressions, matrix } of this.#sums) {
      const starts = regressions.map((k) => (k * this.#experts + expert) * width);
      const vectors = new Float64Array(starts.length * width);
      for (const [j, start] of starts.entries()) vectors.set(scaled.subarray(start, start + width), j * width);
      const products = matrix.multiply(vectors, width);
      for (const [j, start] of starts.entries()) {
        for (let i = 0; i < width; i++) sums[start + i]! += products[j * width + i]!;
      }
    }
    return sums.map((value, i) => i % width === width - 1 ? INTERCEPT * value : value);
  }
}

/** Writes `sqrt(w_i) z_i`, where `z_i = [x_i - mean, 1]`: centred before anything is rounded. */
function rowWriter(
  { embeddings, inputDim, sampleWeights }: EpisodeSet,
  rows: DrawnRows["rows"],
  mean: Float64Array,
): (n: number, row: Float32Array) => void {
  return (n, row) => {
    const [start, root] = [rows[n]! * inputDim, Math.sqrt(sampleWeights[rows[n]!]!)];
    for (let i = 0; i < inputDim; i++) row[i] = root * (embeddings[start + i]! - mean[i]!);
    row[inputDim] = root;
  };
}
