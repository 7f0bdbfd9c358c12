/**
 * Where everything lies on the GPU, and how the work of a step is cut into workgroups. All kernels are generated from
 * one plan, so that no kernel has to know another's arithmetic.
 *
 * Every width is padded to a multiple of 4 numbers, so that kernels read and write `vec4f` only. Padding holds zeros and
 * stays zero: a padded unit has weights, bias and hence activation 0, so its gradient, its moments and its weight decay
 * are 0 too, and it adds nothing to the norm. Names that end in 4 count `vec4f`, all others count numbers.
 *
 * @module
 */
import type { NetworkShape } from "../engine.ts";
import { layersOf } from "../network.ts";

/** Rows and columns of the piece of a matrix product that one workgroup computes. */
export const TILE = 32;

/**
 * Workgroups that the first layer is cut into at least, where its inputs are long enough: enough for the 132
 * multiprocessors of the largest GPU of today. A small batch alone has only a few tiles.
 */
const WANTED_WORKGROUPS = 256;

/** Most pieces of the first layer's inputs; the rows kernel adds them up again, which is quick only while they are few. */
const MAX_SPLITS = 16;

/** From this batch size on a workgroup of the rows kernel takes four rows, and so reads the weights a fourth as often. */
const FOUR_ROWS_FROM = 257;

/** One layer, padded, and its places in the buffers. */
export interface PlannedLayer {
  /** Vectors of an input row. */
  readonly inputs4: number;
  /** Vectors of an output row. */
  readonly outputs4: number;
  /**
   * Where the layer starts in the buffers of parameters, moments and gradients: a matrix [inputs + 1, outputs] whose
   * last row is the bias, the transpose of torch's layout. Neighbouring threads own neighbouring outputs, and this way
   * they read neighbouring numbers.
   */
  readonly parameters4: number;
  /**
   * Where the transposed weights [outputs, inputs] start in the buffer `transposed`. Errors pass down through these, with
   * neighbouring threads on neighbouring inputs. The first layer passes nothing down and has none.
   */
  readonly transposed4: number;
  /** Where the layer's outputs start in a row's record in the buffer `activations`. */
  readonly activation4: number;
  /** Where the gradient at the layer's outputs starts in the same record. */
  readonly error4: number;
  /** The first of the layer's tiles of weight gradients, counted through all layers. */
  readonly firstTile: number;
  /** Tiles side by side over the outputs. */
  readonly columnTiles: number;
}

/** The layout of a network on the GPU. */
export interface NetworkPlan {
  /** The true sizes. */
  readonly shape: NetworkShape;
  /** First layer first. */
  readonly layers: readonly PlannedLayer[];
  /** Vectors of all padded parameters. */
  readonly parameters4: number;
  /** Vectors of all transposed weights. */
  readonly transposed4: number;
  /** Vectors of a row's record: the outputs of every layer, then the errors of every layer. */
  readonly record4: number;
  /** Tiles of weight gradients of all layers. */
  readonly tiles: number;
}

/** Vectors that hold so many numbers. */
export const vectors = (numbers: number): number => Math.ceil(numbers / 4);

/** Lays a network out. */
export function planNetwork(shape: NetworkShape): NetworkPlan {
  const sizes = layersOf(shape).map(({ inputs, outputs }) => ({
    inputs4: vectors(inputs),
    outputs4: vectors(outputs),
  }));
  const outputs4 = sizes.reduce((sum, size) => sum + size.outputs4, 0);
  let [parameters4, transposed4, activation4, tiles] = [0, 0, 0, 0];
  const layers = sizes.map((size, i): PlannedLayer => {
    const columnTiles = Math.ceil(4 * size.outputs4 / TILE);
    const layer = {
      ...size,
      parameters4,
      transposed4,
      activation4,
      error4: outputs4 + activation4,
      firstTile: tiles,
      columnTiles,
    };
    parameters4 += (4 * size.inputs4 + 1) * size.outputs4;
    if (i > 0) transposed4 += 4 * size.inputs4 * size.outputs4;
    activation4 += size.outputs4;
    tiles += Math.ceil((4 * size.inputs4 + 1) / TILE) * columnTiles;
    return layer;
  });
  return { shape, layers, parameters4, transposed4, record4: 2 * outputs4, tiles };
}

/** How the inputs of the first layer are cut for a batch: tiles of depth {@link TILE}, so many to each split. */
export interface Splits {
  /** Number of pieces. */
  readonly splits: number;
  /** Tiles of each but perhaps the last. */
  readonly tilesPerSplit: number;
}

/**
 * Cuts the first layer's inputs so that a small batch, too, keeps the whole GPU busy. Depends on the size of the batch
 * alone: the same batch is added up in the same order wherever it stands in a segment.
 */
export function splitsOf(plan: NetworkPlan, rows: number): Splits {
  const { inputs4, columnTiles } = plan.layers[0]!;
  const depth = Math.ceil(4 * inputs4 / TILE);
  const tiles = Math.ceil(rows / TILE) * columnTiles;
  const wanted = Math.min(MAX_SPLITS, Math.max(1, Math.floor(WANTED_WORKGROUPS / tiles)));
  const tilesPerSplit = Math.ceil(depth / wanted);
  return { splits: Math.ceil(depth / tilesPerSplit), tilesPerSplit };
}

/** Vectors of the buffer `partials` that batches of up to `rows` rows need: [split, row, output]. */
export function partials4(plan: NetworkPlan, rows: number): number {
  let largest = 0;
  for (let end = Math.min(rows, TILE);; end = Math.min(rows, end + TILE)) {
    largest = Math.max(largest, splitsOf(plan, end).splits * end);
    if (end === rows) return largest * plan.layers[0]!.outputs4;
  }
}

/** Rows that a workgroup of the rows kernel takes. */
export type RowsPerGroup = 1 | 4;

/** Rows per workgroup for a batch. Depends on the size of the batch alone, like {@link splitsOf}. */
export function rowsPerGroup(rows: number): RowsPerGroup {
  return rows < FOUR_ROWS_FROM ? 1 : 4;
}
