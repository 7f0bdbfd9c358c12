import assert from "node:assert/strict";
import fc from "fast-check";
import { isFiniteVector } from "../../src/base/finite.ts";

const LARGEST = Math.fround(3.4028234663852886e38);

Deno.test("the largest numbers of float32 are finite, however many there are and whatever their signs", () => {
  assert.ok(isFiniteVector(new Float32Array(100_003).fill(LARGEST)));
  assert.ok(isFiniteVector(new Float32Array(100_003).map((_, i) => i % 3 === 0 ? -LARGEST : LARGEST)));
  assert.ok(isFiniteVector(new Float32Array(0)));
});

Deno.test("one entry that is not finite is found at every place, beside any others", () => {
  fc.assert(
    fc.property(
      fc.float32Array({ noNaN: true, noDefaultInfinity: true, minLength: 1, maxLength: 40 }),
      fc.nat(),
      fc.constantFrom(NaN, Infinity, -Infinity),
      fc.constantFrom(undefined, Infinity, -Infinity),
      (vector, place, wrong, second) => {
        assert.ok(isFiniteVector(vector));
        vector[place % vector.length] = wrong;
        if (second !== undefined) vector[(place + 1) % vector.length] = second;
        assert.ok(!isFiniteVector(vector));
      },
    ),
    { seed: 1 },
  );
});
