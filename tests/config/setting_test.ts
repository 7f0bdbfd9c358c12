import { equal } from "node:assert/strict";
import { decimal, integer } from "../../src/config/setting.ts";

Deno.test("a number without bounds is finite all the same", () => {
  const { read, wanted } = decimal({ default: 0, help: "any number" });
  equal(wanted, "a number");
  equal(read(-1e300), -1e300);
  for (const value of [Infinity, -Infinity, NaN, "1", 1n, null, undefined, [1]]) equal(read(value), undefined);
});

Deno.test("an integer is one that a double holds exactly", () => {
  const { read } = integer({ default: 0, help: "any integer" });
  equal(read(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
  equal(read(Number.MAX_SAFE_INTEGER + 1), undefined);
});

Deno.test("the bounds are said as they are", () => {
  const wanted = (bounds: object): string => decimal({ default: 0, help: "any number", ...bounds }).wanted;
  equal(wanted({ min: 1, max: 2 }), "a number from 1 to 2");
  equal(wanted({ above: 0, max: 1 }), "a number above 0 and at most 1");
  equal(wanted({ min: 0, below: 1 }), "a number of at least 0 and below 1");
  equal(wanted({ min: 1 }), "a number of at least 1");
});
