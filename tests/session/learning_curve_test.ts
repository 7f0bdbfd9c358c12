import assert from "node:assert/strict";
import fc from "fast-check";
import { CURVE_POINTS, LearningCurve } from "../../src/session/learning_curve.ts";
import { Workplace } from "./support.ts";

/** Steps whose loss is their number and whose other metrics follow from it. */
function steps(from: number, to: number): Parameters<LearningCurve["add"]>[0] {
  const numbers = Float32Array.from({ length: to - from }, (_, k) => from + k);
  return { loss: numbers, entropy: numbers.map((x) => 1 / (1 + x)), gradNorm: numbers, baseline: numbers };
}

Deno.test("a point is the mean over its steps and ends where they end", () => {
  const curve = new LearningCurve({ rows: 10, batchSize: 4, epochs: 40 });
  curve.add(steps(0, 120));
  const { episodes, loss } = curve.toJSON() as { episodes: number[]; loss: number[] };
  assert.deepEqual(loss.slice(0, 3), [0.5, 2.5, 4.5]);
  // Three steps a pass, the last one of two rows.
  assert.deepEqual(episodes.slice(0, 3), [8, 14, 20]);
  assert.deepEqual([episodes.length, episodes.at(-1)], [60, 400]);
});

Deno.test("however the steps are cut, the curve is the same, and never longer than it may be", () => {
  const runs = fc.record({
    rows: fc.integer({ min: 1, max: 300 }),
    batchSize: fc.integer({ min: 1, max: 40 }),
    epochs: fc.integer({ min: 1, max: 12 }),
    cuts: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 200 }),
  });
  fc.assert(
    fc.property(runs, ({ rows, batchSize, epochs, cuts }) => {
      const total = epochs * Math.ceil(rows / batchSize);
      const [whole, cut] = [1, 2].map(() => new LearningCurve({ rows, batchSize, epochs })) as [
        LearningCurve,
        LearningCurve,
      ];
      whole.add(steps(0, total));
      for (let at = 0, i = 0; at < total; i++) {
        const end = Math.min(total, at + cuts[i % cuts.length]!);
        cut.add(steps(at, end));
        at = end;
      }
      const json = whole.toJSON() as { episodes: number[] };
      assert.deepEqual(cut.toJSON(), json);
      assert.ok(json.episodes.length <= CURVE_POINTS);
      assert.equal(json.episodes.at(-1), epochs * rows);
    }),
    { seed: 3 },
  );
});

Deno.test("a run that was taken up has the curve of what was left of it", () => {
  const curve = new LearningCurve({ rows: 10, batchSize: 4, epochs: 3, cursor: { epoch: 1, position: 4 } });
  curve.add(steps(0, 5));
  assert.deepEqual((curve.toJSON() as { episodes: number[] }).episodes, [18, 20, 24, 28, 30]);
});

Deno.test("a session keeps its curve with the version, and its end is where training ended", async () => {
  await using work = await Workplace.open(80);
  const { metrics, episodes, updates } = await work.train();
  const curve = metrics.curve as Record<string, number[]>;
  assert.deepEqual(Object.keys(curve), ["episodes", "loss", "entropy", "grad_norm", "baseline"]);
  assert.equal(curve.episodes!.at(-1), 2 * episodes.trained);
  // Fewer steps than points: each point is a step.
  assert.equal(curve.loss!.length, updates);
  assert.ok(Math.abs(curve.loss!.at(-1)! - (metrics.loss as number)) < 1e-4);
  assert.ok(Math.abs(curve.baseline!.at(-1)! - (metrics.baseline as number)) < 1e-4);
  const [row] = await work.store.listPolicyCheckpoints();
  assert.deepEqual(row!.trainingMetrics.curve, curve);
});
