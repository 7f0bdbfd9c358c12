/**
 * Conjugate gradients for several ridges at once, and for several systems side by side.
 *
 * @module
 */
import { Turns } from "../base/turns.ts";
import { dot } from "./dot.ts";

/** When to stop. */
export interface Stopping {
  /** Relative residual of the hardest shift. */
  readonly tolerance: number;
  readonly maxIterations: number;
}

/**
 * Solves `(A_k + s I) x = b_k` for several systems k and every shift s of each. The systems share nothing but the calls
 * of `multiply`, so that data that all of them need is read once for all.
 *
 * @param multiply the products `A_k x_k` [K, size] of vectors [K, size]; every A_k symmetric and positive semidefinite
 * @param b [K, size] right sides
 * @param shifts of each system, ascending and positive; the smallest converges last and decides when to stop
 * @param onStep told before every product how far the solution is, from 0 to 1; an error thrown here ends the work
 * @returns the solutions [size] of each system, in the order of its shifts
 */
export async function solveShifted(
  multiply: (x: Float64Array) => Float64Array,
  b: Float64Array,
  shifts: readonly (readonly number[])[],
  { tolerance, maxIterations }: Stopping,
  onStep: (done: number) => void = () => {},
): Promise<Float64Array[][]> {
  const size = b.length / shifts.length;
  const directions = b.slice();
  const systems = shifts.map((own, k) => new ShiftedSystem(directions.subarray(k * size, (k + 1) * size), own));
  const turns = new Turns();
  let done = 0;
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    const residual = Math.max(...systems.map((system) => system.residual));
    if (residual <= tolerance) break;
    // Residuals shrink by about the same factor at each step, if not at every single one.
    done = Math.max(done, iteration / maxIterations, Math.log(residual) / Math.log(tolerance));
    await turns.give();
    onStep(done);
    const products = multiply(directions);
    for (const [k, system] of systems.entries()) {
      if (system.residual > tolerance) system.step(products.subarray(k * size, (k + 1) * size));
    }
  }
  return systems.map((system) => system.solutions);
}

/**
 * One system with all its shifts, in the time of one: they share their Krylov space (Jegerlehner, 1996, "Krylov space
 * solvers for shifted linear systems", section 2.3).
 */
class ShiftedSystem {
  readonly #direction: Float64Array;
  readonly #residual: Float64Array;
  readonly #base: number;
  readonly #shifted: {
    readonly distance: number;
    readonly solution: Float64Array;
    readonly direction: Float64Array;
    zeta: number;
    zetaBefore: number;
  }[];
  readonly #squareAtFirst: number;
  #square: number;
  #step = 1;
  #momentum = 0;

  /** @param direction the right side; becomes the next vector to be multiplied, after every step */
  constructor(direction: Float64Array, shifts: readonly number[]) {
    this.#direction = direction;
    this.#residual = direction.slice();
    this.#base = shifts[0]!;
    this.#shifted = shifts.map((shift) => ({
      distance: shift - this.#base,
      solution: new Float64Array(direction.length),
      direction: direction.slice(),
      zeta: 1,
      zetaBefore: 1,
    }));
    this.#squareAtFirst = this.#square = dot(direction, 0, direction, 0, direction.length);
  }

  /** The norm of the hardest shift's residual, relative to the right side's. */
  get residual(): number {
    return this.#squareAtFirst === 0 ? 0 : Math.sqrt(this.#square / this.#squareAtFirst);
  }

  /** The solution of each shift. */
  get solutions(): Float64Array[] {
    return this.#shifted.map(({ solution }) => solution);
  }

  /** One step, given the product of the matrix with the direction; the product is overwritten. */
  step(product: Float64Array): void {
    const [direction, residual] = [this.#direction, this.#residual];
    const size = direction.length;
    for (let i = 0; i < size; i++) product[i]! += this.#base * direction[i]!;
    const [stepBefore, momentumBefore] = [this.#step, this.#momentum];
    const step = this.#step = this.#square / dot(direction, 0, product, 0, size);
    for (let i = 0; i < size; i++) residual[i]! -= step * product[i]!;
    const square = dot(residual, 0, residual, 0, size);
    const momentum = this.#momentum = square / this.#square;
    this.#square = square;
    for (const system of this.#shifted) {
      const { distance, zeta, zetaBefore, solution, direction } = system;
      const zetaAfter = zeta * zetaBefore * stepBefore /
        (step * momentumBefore * (zetaBefore - zeta) + zetaBefore * stepBefore * (1 + distance * step));
      const own = step * zetaAfter / zeta;
      const ownMomentum = momentum * (zetaAfter / zeta) ** 2;
      for (let i = 0; i < size; i++) {
        solution[i]! += own * direction[i]!;
        direction[i] = zetaAfter * residual[i]! + ownMomentum * direction[i]!;
      }
      [system.zetaBefore, system.zeta] = [zeta, zetaAfter];
    }
    for (let i = 0; i < size; i++) direction[i] = residual[i]! + momentum * direction[i]!;
  }
}
