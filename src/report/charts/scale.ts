/**
 * From values to places on a drawing, with ticks at round numbers.
 *
 * @module
 */

/** What is smaller counts as 0: the smallest floats have no round fractions. */
const NOTHING = 1e-30;

/** A linear scale. */
export interface Scale {
  /** Round values across the domain, ascending, two at least. */
  readonly ticks: readonly number[];
  /** The place of a value. */
  at(value: number): number;
  /** A tick's value in words. */
  label(tick: number): string;
}

/**
 * A scale over the values, widened to round numbers. Equal values get a domain around them.
 *
 * @param values finite; at least one
 * @param range places of the smallest and the largest tick
 * @param about ticks wanted, roughly
 */
export function linearScale(values: readonly number[], range: readonly [number, number], about = 4): Scale {
  const [min, max] = [Math.min(...values), Math.max(...values)];
  const size = Math.max(Math.abs(min), Math.abs(max));
  const hasSpread = max - min > Math.max(1e-12 * size, NOTHING);
  const spread = hasSpread ? max - min : size > NOTHING ? size : 1;
  const step = roundStep(spread / about);
  const first = Math.floor(min / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(max / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  const [low, high] = [first * step, last * step];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return {
    ticks,
    at: (value) => range[0] + (value - low) / (high - low) * (range[1] - range[0]),
    label: (tick) => labelOf(tick, digits),
  };
}

/** The smallest of 1, 2, 5 times a power of ten that is no smaller. */
function roundStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= atLeast * (1 - 1e-9))!;
}

function labelOf(tick: number, digits: number): string {
  if (digits > 5) return tick === 0 ? "0" : Number(tick.toPrecision(3)).toExponential().replaceAll("-", "−");
  const text = digits === 0 ? Math.round(tick).toLocaleString("en-US") : tick.toFixed(digits);
  return /^-0\.?0*$/.test(text) ? text.slice(1) : text.replace("-", "−");
}
