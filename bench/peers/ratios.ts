/**
 * Ratios of our times to a peer's: pair by pair, since a noisy machine is noisy for both sides of a pair.
 *
 * @module
 */
import { percentile } from "../../src/bench/timing.ts";

/** Milliseconds per training step by batch size, as one fresh process found them. */
export interface StepTimes {
  /** `torch 1 thread`, `simd 1 thread`, ... */
  readonly variant: string;
  /** Round, from 1. */
  readonly round: number;
  /** Batch size to milliseconds. */
  readonly ms: Readonly<Record<string, number>>;
}

/** One of our variants beside the peer at one batch size. */
export interface Comparison {
  /** Ours. */
  readonly variant: string;
  /** Rows of a step. */
  readonly batch_size: number;
  /** Median of our times, in ms. */
  readonly ms: number;
  /** Median of the peer's times, in ms. */
  readonly peer_ms: number;
  /** Ours / the peer's in each round that has both. */
  readonly ratios: readonly number[];
  /** Median of the ratios. */
  readonly ratio: number;
  /** Our best time / the peer's best time. */
  readonly best_ratio: number;
  /** What the ratio should be at most; absent where nothing was promised. */
  readonly target?: number;
  /** Whether it is. */
  readonly met?: boolean;
}

/** Largest ratios wanted, by variant and batch size: those of issue 3. */
export const TARGETS: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  "simd 1 thread": { 1: 0.25, 32: 0.5, 256: 1.3, 1024: 2.2 },
  "simd 2 threads": { 256: 0.9, 1024: 1.5 },
};

/** Compares every other variant with the peer. Rounds in which either is missing count for nothing. */
export function compareSteps(times: readonly StepTimes[], peer: string): Comparison[] {
  const variants = new Set(times.map(({ variant }) => variant).filter((variant) => variant !== peer));
  const peers = new Map(times.filter(({ variant }) => variant === peer).map(({ round, ms }) => [round, ms]));
  const comparisons: Comparison[] = [];
  for (const variant of variants) {
    const ours = times.filter((one) => one.variant === variant && peers.has(one.round));
    const sizes = new Set(ours.flatMap(({ ms }) => Object.keys(ms)));
    for (const size of sizes) {
      const pairs = ours.map(({ round, ms }) => [ms[size], peers.get(round)![size]])
        .filter((pair): pair is [number, number] => pair[0] !== undefined && pair[1] !== undefined);
      if (pairs.length === 0) continue;
      const ratios = pairs.map(([our, theirs]) => our / theirs);
      const ratio = percentile(ratios, 0.5);
      const target = TARGETS[variant]?.[Number(size)];
      comparisons.push({
        variant,
        batch_size: Number(size),
        ms: percentile(pairs.map(([our]) => our), 0.5),
        peer_ms: percentile(pairs.map(([, theirs]) => theirs), 0.5),
        ratios,
        ratio,
        best_ratio: Math.min(...pairs.map(([our]) => our)) / Math.min(...pairs.map(([, theirs]) => theirs)),
        ...target === undefined ? {} : { target, met: ratio <= target },
      });
    }
  }
  return comparisons;
}
