/**
 * Measures of how far two arrays of numbers are apart.
 *
 * @module
 */

/** The l2 norm. */
export function norm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum);
}

/** The l2 norm of `found - wanted`, without a copy. */
export function distance(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) throw new Error(`found ${found.length} numbers, wanted ${wanted.length}`);
  let sum = 0;
  for (let i = 0; i < wanted.length; i++) sum += (found[i]! - wanted[i]!) ** 2;
  return Math.sqrt(sum);
}

/** l2 error relative to the l2 norm of what was wanted; 0 for two zero vectors. */
export function relativeError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  const error = distance(found, wanted);
  return error === 0 ? 0 : error / norm(wanted);
}
