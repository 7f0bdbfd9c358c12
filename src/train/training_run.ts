/**
 * Several passes over the training rows, in an order that comes from the seed alone, that can be stopped after any
 * step and taken up again from two numbers.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { needsValues, type Objective } from "./objective.ts";
import { type Contradiction, discountContradictions } from "./contradictions.ts";
import { type CrossFit, crossFitValues, type RewardModel } from "./reward_model.ts";
import type { SingleStepTrainer, VisitMetrics } from "./single_step_trainer.ts";

/** Where a run stands. */
export interface RunCursor {
  /** Passes finished. */
  readonly epoch: number;
  /** Rows visited in the current pass; a multiple of the batch size. */
  readonly position: number;
}

/**
 * The steps that `auto` aims at, and the passes that it makes at least. How far the policy gets depends on the number of
 * steps, whatever the size of the log (bench/README.md). Further ones only learn the reward model's errors; a linear
 * policy, with a single layer to move, needs three times as many.
 */
const AUTO_EPOCHS = { steps: 900, linearSteps: 3000, passes: 3 } as const;

/** The number of passes over so many rows: the one asked for, or enough for the policy to settle. */
export function epochsFor(
  choice: number | "auto",
  rows: number,
  { batchSize, hiddenDim }: { readonly batchSize: number; readonly hiddenDim: number },
): number {
  if (choice !== "auto") return choice;
  const steps = hiddenDim === 0 ? AUTO_EPOCHS.linearSteps : AUTO_EPOCHS.steps;
  return Math.max(AUTO_EPOCHS.passes, Math.ceil(steps / Math.ceil(rows / batchSize)));
}

/** Episodes visited before a cursor, over all passes of so many rows. */
export function visitedAt({ epoch, position }: RunCursor, rows: number): number {
  return epoch * rows + position;
}

/** What a {@link TrainingRun} is made of. */
export interface TrainingRunOptions {
  readonly trainer: SingleStepTrainer;
  readonly episodes: EpisodeSet;
  /** Rows of `episodes` to train on. */
  readonly trainingRows: Uint32Array;
  readonly objective: Objective;
  readonly epochs: number;
  readonly batchSize: number;
  readonly seed: number;
  /** Whether users who contradict the rest count less, where the objective fits a reward model; true by default. */
  readonly discountContradictions?: boolean | undefined;
  /** Where to start; at the beginning by default. */
  readonly cursor?: RunCursor | undefined;
  /** Told how far the reward model is, from 0 to 1, while it is fitted; an error thrown here ends the fit. */
  readonly onFit?: ((done: number) => void) | undefined;
}

/** What a log teaches an objective. */
interface Lesson {
  /** The log, with the weights that training gives its rows. */
  readonly episodes: EpisodeSet;
  readonly contradictions: readonly Contradiction[];
  readonly crossFit?: CrossFit | undefined;
  /** The model of all training rows by the weights of the log itself. */
  readonly rewardModel?: RewardModel | undefined;
}

/** The values and weights that a run learns from; fitted again where somebody contradicts the rest. */
async function lessonOf(options: TrainingRunOptions): Promise<Lesson> {
  const { episodes, trainingRows, objective, onFit } = options;
  if (!needsValues(objective)) return { episodes, contradictions: [] };
  const first = await crossFitValues(episodes, trainingRows, { onFit });
  const { model: rewardModel } = first;
  if (options.discountContradictions === false) return { episodes, contradictions: [], crossFit: first, rewardModel };
  const discounted = discountContradictions(episodes, trainingRows, first.valuesNE);
  const agreed = discounted.contradictions.length === 0;
  const crossFit = agreed ? first : await crossFitValues(discounted.episodes, trainingRows, { onFit });
  return { ...discounted, crossFit, rewardModel };
}

/** The passes of one training session. */
export class TrainingRun {
  readonly #options: TrainingRunOptions;
  readonly #weightScale: number;
  readonly #lesson: Lesson;
  #cursor: RunCursor;
  #order: Uint32Array | undefined;

  private constructor(options: TrainingRunOptions, lesson: Lesson) {
    this.#options = options;
    this.#lesson = lesson;
    this.#cursor = options.cursor ?? { epoch: 0, position: 0 };
    const { trainingRows } = options;
    const mass = trainingRows.reduce((sum, row) => sum + lesson.episodes.sampleWeights[row]!, 0);
    this.#weightScale = trainingRows.length / mass;
  }

  /** Uploads the embeddings and, where the objective needs one, fits the reward model. */
  static async start(options: TrainingRunOptions): Promise<TrainingRun> {
    await options.trainer.policy.engine.upload(options.episodes.embeddings);
    return new TrainingRun(options, await lessonOf(options));
  }

  /**
   * The reward model of the training rows, which the evaluation needs; undefined where the objective needs none. It was
   * fitted before anybody was discounted: the evaluation weighs by authority alone.
   */
  get rewardModel(): RewardModel | undefined {
    return this.#lesson.rewardModel;
  }

  /** Users who count less in this run than their authority says; nobody where no reward model is fitted. */
  get contradictions(): readonly Contradiction[] {
    return this.#lesson.contradictions;
  }

  /** Where the run stands. */
  get cursor(): RunCursor {
    return this.#cursor;
  }

  /** Episodes visited so far, over all passes. */
  get visited(): number {
    return visitedAt(this.#cursor, this.#options.trainingRows.length);
  }

  /** Episodes to visit in all. */
  get total(): number {
    return this.#options.epochs * this.#options.trainingRows.length;
  }

  /** Whether every pass is finished. */
  get done(): boolean {
    return this.#cursor.epoch >= this.#options.epochs;
  }

  /**
   * Visits up to `episodes` more rows, rounded up to whole batches, within the current pass. Cutting a run into more
   * or fewer calls changes no bit of the result.
   */
  async advance(episodes: number): Promise<VisitMetrics> {
    const { trainer, trainingRows, batchSize, objective } = this.#options;
    const order = this.#order ??= this.#orderOfPass(this.#cursor.epoch);
    const start = this.#cursor.position;
    const end = Math.min(trainingRows.length, start + Math.ceil(episodes / batchSize) * batchSize);
    const metrics = await trainer.trainRows({
      episodes: this.#lesson.episodes,
      rows: order.subarray(start, end),
      batchSize,
      objective,
      weightScale: this.#weightScale,
      valuesNE: this.#lesson.crossFit?.valuesNE,
    });
    if (end < trainingRows.length) {
      this.#cursor = { epoch: this.#cursor.epoch, position: end };
    } else {
      this.#cursor = { epoch: this.#cursor.epoch + 1, position: 0 };
      this.#order = undefined;
    }
    return metrics;
  }

  #orderOfPass(epoch: number): Uint32Array {
    const { seed, trainingRows } = this.#options;
    // Every pass has a generator of its own, so that a resumed run needs no state to draw the same order.
    const random = new Random(new Random(seed).nextUint32() ^ Math.imul(epoch + 1, 0x9e3779b9));
    return random.permutation(trainingRows.length).map((i) => trainingRows[i]!);
  }
}
