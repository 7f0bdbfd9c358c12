/** Medians, percentiles and rates. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { percentile, timingOf } from "../../src/bench/timing.ts";

Deno.test("percentiles are interpolated between the nearest samples, in whatever order these come", () => {
  assert.equal(percentile([3, 1, 2], 0.5), 2);
  assert.equal(percentile([4, 1, 3, 2], 0.5), 2.5);
  assert.equal(percentile([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110], 0.1), 20);
  // numpy.percentile([1, 2, 4, 8, 16], 10) is 1.4
  assert.ok(Math.abs(percentile([16, 2, 8, 4, 1], 0.1) - 1.4) < 1e-12);
  assert.equal(percentile([7], 0.1), 7);
  assert.throws(() => percentile([], 0.5), /no samples/);
});

Deno.test("a percentile lies between the extremes, grows with its share, and leaves the samples as they are", () => {
  const samples = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(samples, share, share, (given, a, b) => {
      const before = [...given];
      const [low, high] = [percentile(given, Math.min(a, b)), percentile(given, Math.max(a, b))];
      assert.ok(low <= high + 1e-9);
      assert.ok(low >= Math.min(...given) && high <= Math.max(...given) + 1e-9);
      assert.deepEqual(given, before);
    }),
    { seed: 1, numRuns: 200 },
  );
});

Deno.test("a timing tells rows per second from the median", () => {
  assert.deepEqual(timingOf("train_step", 32, [4, 2, 3]), {
    op: "train_step",
    batch_size: 32,
    ms_median: 3,
    ms_p10: 2.2,
    per_second: 32_000 / 3,
    samples: 3,
  });
});

Deno.test("a clock that stands still gives a rate that JSON can hold", () => {
  assert.ok(Number.isFinite(timingOf("forward", 1, [0]).per_second));
});
