/**
 * Conjugate gradients for several ridges at once.
 *
 * @module
 */

/** When to stop. */
export interface Stopping {
  /** Relative residual of the hardest system. */
  readonly tolerance: number;
  readonly maxIterations: number;
}

/**
 * Solves `(A + s I) x = b` for every shift s in the time of one: all systems share their Krylov space (Jegerlehner, 1996,
 * "Krylov space solvers for shifted linear systems", section 2.3).
 *
 * @param multiply the product with A, symmetric and positive semidefinite
 * @param shifts ascending and positive; the smallest converges last and decides when to stop
 */
export function solveShifted(
  multiply: (x: Float64Array) => Float64Array,
  b: Float64Array,
  shifts: readonly number[],
  { tolerance, maxIterations }: Stopping,
): Float64Array[] {
  const base = shifts[0]!;
  const systems = shifts.map((shift) => ({
    distance: shift - base,
    solution: new Float64Array(b.length),
    direction: b.slice(),
    zeta: 1,
    zetaBefore: 1,
  }));
  const residual = b.slice();
  const direction = b.slice();
  let square = dot(b, b);
  const goal = tolerance ** 2 * square;
  let [step, momentum] = [1, 0];
  for (let iteration = 0; iteration < maxIterations && square > goal; iteration++) {
    const product = multiply(direction);
    for (let i = 0; i < product.length; i++) product[i]! += base * direction[i]!;
    const stepBefore = step;
    step = square / dot(direction, product);
    for (let i = 0; i < residual.length; i++) residual[i]! -= step * product[i]!;
    const squareAfter = dot(residual, residual);
    const momentumBefore = momentum;
    momentum = squareAfter / square;
    for (const system of systems) {
      const { distance, zeta, zetaBefore, solution } = system;
      const zetaAfter = zeta * zetaBefore * stepBefore /
        (step * momentumBefore * (zetaBefore - zeta) + zetaBefore * stepBefore * (1 + distance * step));
      const own = step * zetaAfter / zeta;
      const ownMomentum = momentum * (zetaAfter / zeta) ** 2;
      for (let i = 0; i < solution.length; i++) {
        solution[i]! += own * system.direction[i]!;
        system.direction[i] = zetaAfter * residual[i]! + ownMomentum * system.direction[i]!;
      }
      [system.zetaBefore, system.zeta] = [zeta, zetaAfter];
    }
    for (let i = 0; i < direction.length; i++) direction[i] = residual[i]! + momentum * direction[i]!;
    square = squareAfter;
  }
  return systems.map((system) => system.solution);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
