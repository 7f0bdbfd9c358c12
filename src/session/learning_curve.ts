/**
 * How training went, as a curve short enough to be kept with every version.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { VisitMetrics } from "../train/single_step_trainer.ts";
import type { RunCursor } from "../train/training_run.ts";

/** Most points of a curve. */
export const CURVE_POINTS = 60;
/** Digits kept: a curve is looked at, not calculated with. */
const DIGITS = 5;

/** What is averaged, by its name in JSON. */
const SERIES = { loss: "loss", entropy: "entropy", grad_norm: "gradNorm", baseline: "baseline" } as const;
type SeriesName = keyof typeof SERIES;

/**
 * Means over equal numbers of steps, the last point perhaps over fewer. Steps are counted over the whole run (since its
 * resumption, if it was taken up), so the curve does not depend on the portions in which they arrive.
 */
export class LearningCurve {
  readonly #run: { readonly rows: number; readonly batchSize: number };
  readonly #stepsPerPass: number;
  readonly #first: number;
  readonly #stepsPerPoint: number;
  readonly #sums: Record<SeriesName, number[]> = { loss: [], entropy: [], grad_norm: [], baseline: [] };
  #steps = 0;

  /**
   * An empty curve of a run.
   *
   * @param run `rows`: training rows of one pass; `cursor`: where the run starts, the beginning by default
   */
  constructor(run: {
    readonly rows: number;
    readonly batchSize: number;
    readonly epochs: number;
    readonly cursor?: RunCursor | undefined;
  }) {
    const { rows, batchSize, epochs, cursor = { epoch: 0, position: 0 } } = run;
    this.#run = run;
    this.#stepsPerPass = Math.ceil(rows / batchSize);
    this.#first = cursor.epoch * this.#stepsPerPass + cursor.position / batchSize;
    this.#stepsPerPoint = Math.max(1, Math.ceil((epochs * this.#stepsPerPass - this.#first) / CURVE_POINTS));
  }

  /** Takes the next steps of the run. */
  add(metrics: Pick<VisitMetrics, (typeof SERIES)[SeriesName]>): void {
    for (let k = 0; k < metrics.loss.length; k++, this.#steps++) {
      const point = Math.floor(this.#steps / this.#stepsPerPoint);
      for (const name of Object.keys(SERIES) as SeriesName[]) {
        this.#sums[name][point] = (this.#sums[name][point] ?? 0) + metrics[SERIES[name]][k]!;
      }
    }
  }

  /** Columns of the same length: `episodes` visited at the end of each point, and the means of the series. */
  toJSON(): JsonObject {
    const points = this.#sums.loss.length;
    const lengthOf = (point: number): number =>
      Math.min(this.#stepsPerPoint, this.#steps - point * this.#stepsPerPoint);
    return {
      episodes: Array.from(
        { length: points },
        (_, point) => this.#visitedAfter(this.#first + point * this.#stepsPerPoint + lengthOf(point)),
      ),
      ...Object.fromEntries(
        Object.entries(this.#sums).map(([name, sums]) => [
          name,
          sums.map((sum, point) => Number((sum / lengthOf(point)).toPrecision(DIGITS))),
        ]),
      ),
    };
  }

  /** Episodes visited after so many steps from the beginning; the last batch of a pass may be short. */
  #visitedAfter(steps: number): number {
    const { rows, batchSize } = this.#run;
    const [passes, rest] = [Math.floor(steps / this.#stepsPerPass), steps % this.#stepsPerPass];
    return passes * rows + Math.min(rows, rest * batchSize);
  }
}
