import assert from "node:assert/strict";
import { counted, listed, moment, percent, score, signed, whole } from "../../src/report/numbers.ts";

Deno.test("shares that are not quite nothing or all are not written as such", () => {
  assert.deepEqual([0, 0.001, 0.25, 0.999, 1].map(percent), ["0%", "<1%", "25%", ">99%", "100%"]);
});

Deno.test("scores have three decimals, differences a sign, and nothing is minus zero", () => {
  assert.deepEqual([score(0.5), score(null), score(-0.0001)], ["0.500", "–", "0.000"]);
  assert.deepEqual([signed(0.02), signed(-0.02), signed(-0.0001)], ["+0.020", "−0.020", "+0.000"]);
});

Deno.test("counts, lists and times read as a sentence wants them", () => {
  assert.deepEqual([whole(14567), counted(1, "person", "people"), counted(2, "query", "queries")], [
    ...["14,567", "1 person", "2 queries"],
  ]);
  assert.deepEqual([listed([]), listed(["a"]), listed(["a", "b", "c"])], ["", "a", "a, b and c"]);
  assert.equal(moment("2025-12-30T23:59:59.000+01:00"), "30 December 2025, 22:59 UTC");
});
