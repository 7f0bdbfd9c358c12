/**
 * The uploaded set, resident on the GPU. A set larger than what one kernel can read is cut into blocks of whole rows.
 *
 * @module
 */
import type { Gpu } from "./device.ts";
import type { NetworkPlan } from "./plan.ts";

/** Bytes sent at once. The queue copies what it is given, and keeps the copy until the GPU has taken it. */
const PIECE_BYTES = 2 ** 25;

/** Blocks are not made larger than this, though some devices could: large free stretches of memory are rare. */
const MAX_BLOCK_BYTES = 2 ** 30;

/** Visited rows that lie in one block. */
export interface BlockVisits {
  /** The block. */
  readonly block: GPUBuffer;
  /** First of these visits among those of the submit, ordered by block. */
  readonly first: number;
  /** Number of these visits. */
  readonly count: number;
}

/** Inputs [N, inputDim] on the GPU, padded. Made by {@link uploadInputs}. */
export class ResidentInputs {
  /** Number of rows N. */
  readonly rows: number;
  readonly #blocks: readonly GPUBuffer[];
  readonly #rowsPerBlock: number;

  /** Takes over blocks of so many rows each, the last one perhaps of fewer. */
  constructor(rows: number, blocks: readonly GPUBuffer[], rowsPerBlock: number) {
    this.rows = rows;
    this.#blocks = blocks;
    this.#rowsPerBlock = rowsPerBlock;
  }

  /** Number of blocks. */
  get blocks(): number {
    return this.#blocks.length;
  }

  /**
   * Sorts visits by block.
   *
   * @param visited rows in visiting order
   * @param placesV2 filled with pairs: row in its block, place in visiting order
   */
  sortByBlock(visited: Uint32Array, placesV2: Uint32Array): BlockVisits[] {
    const counts = new Uint32Array(this.#blocks.length);
    for (const row of visited) counts[Math.floor(row / this.#rowsPerBlock)]!++;
    let first = 0;
    const next = counts.map((count) => (first += count) - count);
    const visits = this.#blocks.map((block, i) => ({ block, first: next[i]!, count: counts[i]! }));
    for (let place = 0; place < visited.length; place++) {
      const row = visited[place]!;
      const block = Math.floor(row / this.#rowsPerBlock);
      const position = 2 * next[block]!++;
      placesV2[position] = row - block * this.#rowsPerBlock;
      placesV2[position + 1] = place;
    }
    return visits.filter(({ count }) => count > 0);
  }

  /** Frees the blocks. */
  free(gpu: Gpu): void {
    for (const block of this.#blocks) gpu.free(block);
  }
}

/**
 * Sends inputs to the GPU in pieces, so that main memory never holds a second copy of the set.
 *
 * @param inputsNI [N, inputDim]
 * @param maxBlockBytes largest block, at least a row
 * @throws {RlcfError} of kind `backend` when the GPU has no room; nothing is left there then
 */
export async function uploadInputs(
  gpu: Gpu,
  plan: NetworkPlan,
  inputsNI: Float32Array,
  maxBlockBytes: number,
): Promise<ResidentInputs> {
  const { inputDim } = plan.shape;
  const rows = inputsNI.length / inputDim;
  const rowBytes = 16 * plan.layers[0]!.inputs4;
  const rowsPerBlock = Math.max(
    1,
    Math.floor(Math.min(maxBlockBytes, gpu.maxBindingBytes, MAX_BLOCK_BYTES) / rowBytes),
  );
  const rowsPerPiece = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
  const blocks: GPUBuffer[] = [];
  try {
    for (let start = 0; start < rows; start += rowsPerBlock) {
      const end = Math.min(start + rowsPerBlock, rows);
      const block = await gpu.attempt("cannot upload inputs", () => {
        const made = gpu.buffer("block", (end - start) * rowBytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
        blocks.push(made);
        return made;
      });
      for (let from = start; from < end; from += rowsPerPiece) {
        const piece = inputsNI.subarray(from * inputDim, Math.min(from + rowsPerPiece, end) * inputDim);
        await gpu.attempt("cannot upload inputs", () => {
          gpu.device.queue.writeBuffer(block, (from - start) * rowBytes, paddedRows(piece, inputDim));
          gpu.device.queue.submit([]);
        });
        // One piece is on its way at a time.
        if (rows > rowsPerPiece) await gpu.device.queue.onSubmittedWorkDone();
      }
    }
    return new ResidentInputs(rows, blocks, rowsPerBlock);
  } catch (error) {
    for (const block of blocks) gpu.free(block);
    throw error;
  }
}

/** Rows with zeros up to a multiple of 4 numbers; the same array where none are needed. */
export function paddedRows(inputsBI: Float32Array, inputDim: number): Float32Array<ArrayBuffer> {
  // The queue only reads it, and a Float32Array over shared memory it would refuse.
  if (inputDim % 4 === 0) {
    return (inputsBI.buffer instanceof ArrayBuffer ? inputsBI : inputsBI.slice()) as Float32Array<ArrayBuffer>;
  }
  const width = 4 * Math.ceil(inputDim / 4);
  const rows = inputsBI.length / inputDim;
  const result = new Float32Array(rows * width);
  for (let b = 0; b < rows; b++) result.set(inputsBI.subarray(b * inputDim, (b + 1) * inputDim), b * width);
  return result;
}
