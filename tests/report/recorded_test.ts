import assert from "node:assert/strict";
import fc from "fast-check";
import type { JsonObject } from "../../src/base/check.ts";
import { recordedOf } from "../../src/report/recorded.ts";
import { METRICS } from "./sample.ts";

Deno.test("the metrics of a trained version are read whole", () => {
  const recorded = recordedOf(METRICS);
  assert.deepEqual([recorded.objective, recorded.epochs, recorded.holdout], ["doubly_robust", 3, 50]);
  assert.deepEqual(recorded.candidate, { value: 0.7, interval: [0.6, 0.8], effective: 30 });
  assert.deepEqual(recorded.active, { value: 0.69, interval: null, effective: 31 });
  assert.deepEqual(recorded.gate!.levels, [{ level: "retrieval", difference: 0.02, lower: -0.01, upper: 0.05 }]);
  assert.deepEqual([recorded.gate!.verdict, recorded.gate!.rows, recorded.gate!.feedbackNeeded], ["hold", 50, 1200]);
  assert.deepEqual(Object.keys(recorded.curve!.series), ["loss", "entropy", "grad_norm"]);
});

Deno.test("metrics of an imported version give nulls, and half a verdict is none", () => {
  const empty = recordedOf({});
  assert.deepEqual([empty.gate, empty.curve, empty.candidate, empty.objective], [null, null, null, null]);
  assert.equal(recordedOf({ evaluation: { gate: { verdict: "hold" } } }).gate, null);
  assert.equal(recordedOf({ curve: { episodes: [1, 2], loss: [1] } }).curve, null);
});

Deno.test("whatever the metrics hold, reading them does not fail", () => {
  const names = [
    "evaluation",
    "gate",
    "curve",
    "candidate",
    "warnings",
    "levels",
    "total",
    "verdict",
    "rule",
    "reason",
  ];
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, 1, "hold", "paired", true),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie("tree"), { maxKeys: 6 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), tree), (json) => void recordedOf(json as JsonObject)),
    {
      seed: 5,
      numRuns: 500,
    },
  );
});
