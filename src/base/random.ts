/**
 * Seeded random numbers whose whole state is four integers, so that it can be written to a checkpoint and a resumed
 * run draws the same numbers as an uninterrupted one.
 *
 * @module
 */

/**
 * xoshiro128** 1.1 (Blackman and Vigna, 2018), seeded through SplitMix32 so that neighbouring seeds give unrelated
 * sequences.
 */
export class Random {
  #state: Uint32Array;

  /** @param seed an integer; two generators with the same seed give the same numbers */
  constructor(seed: number) {
    let mixed = seed >>> 0;
    this.#state = Uint32Array.from({ length: 4 }, () => {
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let word = mixed;
      word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
      word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
      return (word ^ (word >>> 15)) >>> 0;
    });
  }

  /** A generator that goes on from a state read earlier. */
  static fromState(state: readonly number[]): Random {
    const random = new Random(0);
    random.#state = Uint32Array.from(state);
    return random;
  }

  /** The state, four unsigned 32-bit integers. */
  get state(): number[] {
    return Array.from(this.#state);
  }

  /** An unsigned 32-bit integer. */
  nextUint32(): number {
    const s = this.#state;
    const [s0, s1, s2, s3] = [s[0]!, s[1]!, s[2]!, s[3]!];
    const product = Math.imul(s1, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const [n2, n3] = [s2 ^ s0, s3 ^ s1];
    s[1] = s1 ^ n2;
    s[0] = s0 ^ n3;
    s[2] = n2 ^ (s1 << 9);
    s[3] = (n3 << 11) | (n3 >>> 21);
    return result;
  }

  /** A number in `[0, 1)` with 32 random bits. */
  uniform(): number {
    return this.nextUint32() / 4294967296;
  }

  /** A standard normal number (Box and Muller, 1958). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** An integer in `[0, bound)`. */
  below(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  /** The indices `0 .. n-1` in random order (Fisher and Yates). */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const kept = order[i]!;
      order[i] = order[j]!;
      order[j] = kept;
    }
    return order;
  }

  /** The index of a category drawn with the given probabilities, which must sum to about 1; never one of 0. */
  categorical(probabilities: ArrayLike<number>): number {
    let rest = this.uniform();
    let possible = 0;
    for (let i = 0; i < probabilities.length; i++) {
      if (probabilities[i] === 0) continue;
      possible = i;
      rest -= probabilities[i]!;
      if (rest < 0) return i;
    }
    return possible;
  }
}
