/**
 * From the times of single samples to what a benchmark reports.
 *
 * @module
 */

/** What one operation took; the field names are those of `bench --json`. */
export interface Timing {
  /** `train_step`, `forward`, or a stage of the run from the database to the checkpoint. */
  readonly op: string;
  /** Rows that one operation handles: of a step, of a forward pass, of a whole log. */
  readonly batch_size: number;
  /** Median of the samples, in milliseconds for one operation. */
  readonly ms_median: number;
  /** The tenth percentile: what the machine does when nothing disturbs it. */
  readonly ms_p10: number;
  /** Rows per second, from the median. */
  readonly per_second: number;
  /** How many samples there were; with one, median and percentile are the same number. */
  readonly samples: number;
}

/**
 * The value below which a share of the samples lies, interpolated between the two nearest (numpy's default).
 *
 * @param samples at least one, in any order
 * @param share from 0, the smallest, to 1, the largest
 */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new Error("a percentile of no samples");
  const sorted = samples.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
  return low + (place - Math.floor(place)) * (high - low);
}

/**
 * Sums up the samples of an operation.
 *
 * @param samples milliseconds for one operation each, at least one
 */
export function timingOf(op: string, batchSize: number, samples: readonly number[]): Timing {
  const median = percentile(samples, 0.5);
  return {
    op,
    batch_size: batchSize,
    ms_median: median,
    ms_p10: percentile(samples, 0.1),
    // A clock that did not move would give an infinite rate, which JSON cannot hold.
    per_second: 1000 * batchSize / Math.max(median, 1e-6),
    samples: samples.length,
  };
}

/** Milliseconds that some work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
