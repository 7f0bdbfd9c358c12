import assert from "node:assert/strict";
import { normalProbability, normalQuantile, studentQuantile } from "../../src/evaluate/normal.ts";

Deno.test("normal quantiles are those of the tables, on both sides and far out", () => {
  const known: [number, number][] = [
    ...[[0.5, 0], [0.8, 0.8416212], [0.975, 1.9599640], [0.9875, 2.2414027], [0.999, 3.0902323]] as [number, number][],
    ...[[1 - 1e-6, 4.7534243], [1e-12, -7.0344838]] as [number, number][],
  ];
  for (const [p, z] of known) {
    assert.ok(Math.abs(normalQuantile(p) - z) < 1e-6, `${p}: ${normalQuantile(p)}`);
    assert.ok(Math.abs(normalQuantile(1 - p) + z) < 1e-5, `${1 - p}`);
  }
});

Deno.test("normal probabilities undo the quantiles", () => {
  for (const p of [0.001, 0.0125, 0.3, 0.5, 0.9, 0.975]) {
    assert.ok(Math.abs(normalProbability(normalQuantile(p)) - p) < 3e-7, String(p));
  }
});

Deno.test("quantiles of Student's t are those of the tables, and normal ones in the end", () => {
  for (
    const [p, v, t] of [[0.975, 5, 2.5706], [0.975, 10, 2.2281], [0.9875, 39, 2.3313], [0.975, 59, 2.0010]] as const
  ) {
    assert.ok(Math.abs(studentQuantile(p, v) - t) < 0.01, `${p}, ${v}: ${studentQuantile(p, v)}`);
  }
  assert.ok(Math.abs(studentQuantile(0.975, 1e7) - normalQuantile(0.975)) < 1e-6);
});
