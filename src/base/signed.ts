/**
 * Differences in words.
 *
 * @module
 */

/** A difference with its sign; one too small for the given decimals with the two digits that count. */
export function signed(value: number, digits = 3): string {
  const size = Math.abs(value);
  const text = size > 0 && size < 10 ** -digits ? plain(size) : size.toFixed(digits);
  return `${value < 0 ? "-" : "+"}${text}`;
}

/** Two digits that count, without an exponent down to a millionth. */
function plain(size: number): string {
  return size < 1e-6 ? size.toExponential(1) : size.toPrecision(2);
}
