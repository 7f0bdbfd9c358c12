/**
 * A linear reward model `q(x, e) = theta_e . x + c_e`, fitted to rewards of drawn experts or of mixtures:
 * `r ~ sum_e u_e q(x, e)`, by ridge regression under a {@link SpectralPrior}.
 *
 * Linear on purpose: it has to be right from a few hundred episodes, and the policy that learns from it is not linear.
 *
 * @module
 */
import { hashToUnit } from "../episodes/holdout.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { solveShifted } from "./conjugate_gradients.ts";
import { DenseRows, type RowRange } from "./dense_rows.ts";
import { Design, INTERCEPT } from "./design.ts";
import { dot } from "./dot.ts";
import { NormalEquations } from "./normal_equations.ts";
import { SpectralPrior } from "./spectral_prior.ts";

/** A fitted reward model. */
export interface RewardModel {
  /** [E, I + 1] coefficients of each expert, its intercept last. */
  readonly theta: Float64Array;
}

/** Values of a training set that no row's own reward has touched, and the model of all its rows for others. */
export interface CrossFit {
  /** [N, E] value of each expert on each row; 0 on rows that were not asked for. */
  readonly valuesNE: Float32Array;
  /** The model fitted to all of the rows, for rows that are not among them. */
  readonly model: RewardModel;
  /** The ridge with the smallest squared error on rows left out. */
  readonly ridge: number;
  /** That error: weighted mean of `(r - sum_e u_e q_e)^2`. */
  readonly meanSquaredError: number;
}

/** The ridges tried, in units of the embeddings' variance per training row. */
export const RIDGES: readonly number[] = [3, 10, 30, 100, 300];
/** How a {@link crossFitValues} goes about it. */
export interface CrossFitOptions {
  /** The ridges to try, ascending; {@link RIDGES} by default. */
  readonly ridges?: readonly number[];
  /**
   * Told again and again how far the fit is, from 0 to 1; an error thrown here ends it. Timers and signals had their
   * turn just before.
   */
  readonly onFit?: ((done: number) => void) | undefined;
}

/** Folds of the cross-fit. */
const FOLDS = 4;
/** Share of the time that the normal equations take, where they are summed up. */
const SUMMING = 0.9;
/** Far below the noise of any log. */
const STOPPING = { tolerance: 1e-3, maxIterations: 150 };

/**
 * Values [N, E] of the given rows, each from a model that has not seen its query (Chernozhukov et al., 2018, section
 * 3.1): without this the model's own errors would look like rewards to the policy. The model of all rows is a further
 * regression beside the others: where the rows are swept over, it costs a third of what these cost together.
 */
export async function crossFitValues(
  episodes: EpisodeSet,
  rows: Uint32Array,
  { ridges = RIDGES, onFit }: CrossFitOptions = {},
): Promise<CrossFit> {
  const experts = episodes.experts.length;
  const prior = new SpectralPrior(episodes, rows);
  // A digit of the hash that the holdout split does not look at.
  const folds = Uint8Array.from(rows, (row) => Math.floor(hashToUnit(`fold ${episodes.queryIds[row]}`) * FOLDS));
  const vectors = ridges.length * experts;
  const design = new Design(episodes, { rows, folds, regressions: FOLDS + 1, mean: prior.mean, vectors });
  const tries = ridges.map((ridge) => ({ ridge, valuesNE: new Float32Array(episodes.size * experts), error: 0 }));
  const targets = tries.map(({ valuesNE }) => valuesNE);
  let mass = 0;
  const fitted = await fitRidges(episodes, design, ridges, prior, onFit);
  for (const [fold, models] of fitted.slice(0, FOLDS).entries()) {
    const leftOut = design.leftOut(fold);
    writeValues(models, design, leftOut, episodes.inputDim, targets);
    for (const row of leftOut.flatMap(({ from, to }) => Array.from(design.rows.subarray(from, to)))) {
      const weight = episodes.sampleWeights[row]!;
      for (const attempt of tries) {
        attempt.error += weight * (episodes.rewards[row]! - mixtureValue(episodes, row, attempt.valuesNE)) ** 2;
      }
      mass += weight;
    }
  }
  const best = tries.reduce((a, b) => b.error < a.error ? b : a);
  return {
    valuesNE: best.valuesNE,
    model: fitted[FOLDS]![tries.indexOf(best)]!,
    ridge: best.ridge,
    meanSquaredError: best.error / mass,
  };
}

/** Fits one model to the given rows. */
export async function fitRewardModel(episodes: EpisodeSet, rows: Uint32Array, ridge: number): Promise<RewardModel> {
  const prior = new SpectralPrior(episodes, rows);
  // There is no regression 1 that could leave them out.
  const folds = new Uint8Array(rows.length).fill(1);
  const design = new Design(episodes, { rows, folds, regressions: 1, mean: prior.mean });
  const [[model]] = await fitRidges(episodes, design, [ridge], prior) as [[RewardModel]];
  return model;
}

/** Writes q(x, e) of the given rows into values [N, E]. */
export function predictRows(model: RewardModel, episodes: EpisodeSet, rows: Uint32Array, valuesNE: Float32Array): void {
  const { inputDim, embeddings, experts } = episodes;
  const dense = new DenseRows(embeddings, inputDim, rows, experts.length);
  writeValues([model], { rows, dense }, [{ from: 0, to: rows.length }], inputDim, [valuesNE]);
}

/** Writes q(x, e) of ranges of rows into values [N, E], one array for each model. */
function writeValues(
  models: readonly RewardModel[],
  { rows, dense }: Pick<Design, "rows" | "dense">,
  ranges: readonly RowRange[],
  inputDim: number,
  targets: readonly Float32Array[],
): void {
  const width = inputDim + 1;
  const thetas = Float64Array.from(models.flatMap(({ theta }) => Array.from(theta)));
  const vectors = Array.from({ length: thetas.length / width }, (_, v) => v);
  const intercepts = vectors.map((v) => thetas[v * width + inputDim]!);
  const experts = vectors.length / models.length;
  dense.setVectors(thetas, width);
  const list = dense.list(vectors);
  const write = (first: number, count: number, products: Float32Array): void => {
    for (let i = first, p = 0; i < first + count; i++) {
      const start = rows[i]! * experts;
      for (let m = 0; m < targets.length; m++) {
        const target = targets[m]!;
        for (let e = 0; e < experts; e++, p++) target[start + e] = products[p]! + intercepts[m * experts + e]!;
      }
    }
  };
  for (const range of ranges) dense.multiply(range, list, write);
}

/**
 * Minimises `sum_i w_i (r_i - sum_e u_ie (theta_e . x_i + c_e))^2 + ridge |phi|^2` with `theta = C phi` for each
 * regression and each ridge, through the normal equations in phi. Returns the models of each regression.
 */
async function fitRidges(
  episodes: EpisodeSet,
  design: Design,
  ridges: readonly number[],
  prior: SpectralPrior,
  onFit?: (done: number) => void,
): Promise<RewardModel[][]> {
  const { inputDim, rewards, sampleWeights, experts } = episodes;
  const width = inputDim + 1;
  // Fitted to what is left of the rewards without their mean, so that the solver's tolerance is spent on what tells
  // experts and queries apart. Mixtures sum to 1, so the mean belongs to every intercept.
  const means = design.means();
  const zeros = new Float64Array(design.regressions * experts.length * width);
  const share = (from: number, to: number) => (done: number): void => onFit?.(from + (to - from) * done);
  const summed = await NormalEquations.of(episodes, design, prior.mean, share(0, SUMMING));
  const products = (coefficients: Float64Array): Float64Array =>
    summed?.multiply(coefficients) ??
      design.weightedSums(coefficients, (row, _, predicted) => sampleWeights[row]! * predicted);
  const solutions = await solveShifted(
    (phi) => prior.multiply(products(prior.multiply(phi))),
    prior.multiply(
      design.weightedSums(zeros, (row, k) => sampleWeights[row]! * (rewards[row]! - means[k]!.meanReward)),
    ),
    means.map(({ meanWeight }) => ridges.map((ridge) => ridge * (meanWeight * prior.totalVariance || 1))),
    STOPPING,
    summed === undefined ? onFit : share(SUMMING, 1),
  );
  return solutions.map((ofRidges, k) =>
    ofRidges.map((phi) => {
      const theta = prior.multiply(phi);
      for (let start = 0; start < theta.length; start += width) {
        const shift = dot(theta, start, prior.mean, 0, inputDim);
        theta[start + inputDim] = means[k]!.meanReward + INTERCEPT * theta[start + inputDim]! - shift;
      }
      return { theta };
    })
  );
}

/** The value that a row's logged mixture has under values [N, E]. */
export function mixtureValue(episodes: EpisodeSet, row: number, valuesNE: Float32Array): number {
  const experts = episodes.experts.length;
  let value = 0;
  for (let k = row * experts; k < (row + 1) * experts; k++) value += episodes.mixtures[k]! * valuesNE[k]!;
  return value;
}
