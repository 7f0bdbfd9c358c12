/**
 * Linear systems by Gaussian elimination.
 *
 * @module
 */

/** The solution of a positive definite system whose rows are `[A_j1, ..., A_jn, b_j]`; the rows are overwritten. */
export function solve(system: readonly Float64Array[]): Float64Array {
  const size = system.length;
  for (let p = 0; p < size; p++) {
    for (let j = p + 1; j < size; j++) {
      const factor = system[j]![p]! / system[p]![p]!;
      for (let k = p; k <= size; k++) system[j]![k]! -= factor * system[p]![k]!;
    }
  }
  const solution = new Float64Array(size);
  for (let p = size - 1; p >= 0; p--) {
    let rest = system[p]![size]!;
    for (let k = p + 1; k < size; k++) rest -= system[p]![k]! * solution[k]!;
    solution[p] = rest / system[p]![p]!;
  }
  return solution;
}
