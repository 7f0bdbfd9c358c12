import assert from "node:assert/strict";
import fc from "fast-check";
import {
  describe,
  expectArray,
  expectNumber,
  expectObject,
  expectText,
  expectTimestamp,
  unwanted,
} from "../../src/base/check.ts";
import { RlcfError } from "../../src/base/errors.ts";

/** Asserts that the call is refused with the whole message. */
function refuses(work: () => unknown, message: string): void {
  assert.throws(work, (thrown) => {
    assert.ok(thrown instanceof RlcfError && thrown.code === "usage", String(thrown));
    assert.equal(thrown.message, message);
    return true;
  });
}

Deno.test("a description says what was found in a few words", () => {
  assert.equal(describe(undefined), "nothing");
  assert.equal(describe(null), "null");
  assert.equal(describe(NaN), "NaN");
  assert.equal(describe(-0.5), "-0.5");
  assert.equal(describe("a\nb"), 'the text "a\\nb"');
  assert.equal(describe([1, 2]), "an array of 2");
  assert.equal(describe({}), "an object");
  assert.equal(describe(true), "boolean true");
  assert.equal(describe(10n), "bigint 10");
  assert.equal(describe(() => 1), "a function");
});

Deno.test("a description of anything is one short line", () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: false }), (value) => {
      const text = describe(value);
      assert.ok(text.length < 300 && !text.includes("\n"), text);
    }),
    { seed: 1, numRuns: 500 },
  );
  assert.ok(describe("x".repeat(100_000)).length < 60);
});

Deno.test("an unwanted value is reported with place, value found and value wanted", () => {
  refuses(() => unwanted(7, "trace.metadata", "an object"), "trace.metadata: found 7, wanted an object");
});

Deno.test("an object is neither null nor an array", () => {
  const object = { a: 1 };
  assert.equal(expectObject(object, "x"), object);
  refuses(() => expectObject(null, "x"), "x: found null, wanted an object");
  refuses(() => expectObject([], "x"), "x: found an array of 0, wanted an object");
  refuses(() => expectObject("{}", "x"), 'x: found the text "{}", wanted an object');
});

Deno.test("an array is nothing that only looks like one", () => {
  assert.deepEqual(expectArray([1], "x"), [1]);
  refuses(() => expectArray({ length: 0 }, "x"), "x: found an object, wanted an array");
});

Deno.test("a text is not empty, not too long, and holds no NUL", () => {
  assert.equal(expectText("però", "x"), "però");
  assert.equal(expectText("y".repeat(255), "x").length, 255);
  refuses(() => expectText(5, "x"), "x: found 5, wanted a text");
  refuses(() => expectText("", "x"), 'x: found the text "", wanted a text that is not empty');
  refuses(() => expectText("abc", "x", 2), 'x: found the text "abc", wanted a text of at most 2 characters');
  refuses(() => expectText("a\0b", "x"), 'x: found the text "a\\u0000b", wanted a text without NUL');
});

Deno.test("a number is finite and in its range, ends included", () => {
  assert.equal(expectNumber(0, "x", 0, 1), 0);
  assert.equal(expectNumber(1, "x", 0, 1), 1);
  assert.equal(expectNumber(-1e300, "x"), -1e300);
  refuses(() => expectNumber(NaN, "x"), "x: found NaN, wanted a finite number");
  refuses(() => expectNumber(Infinity, "x"), "x: found Infinity, wanted a finite number");
  refuses(() => expectNumber("1", "x"), 'x: found the text "1", wanted a finite number');
  refuses(() => expectNumber(1.0001, "x", 0, 1), "x: found 1.0001, wanted a number from 0 to 1");
  refuses(() => expectNumber(-1, "x", 0), "x: found -1, wanted a finite number of at least 0");
  refuses(() => expectNumber(1, "x", -Infinity, 0), "x: found 1, wanted a finite number of at most 0");
});

Deno.test("a date and time becomes UTC, and one without a zone is read as UTC", () => {
  const utc = "2025-12-30T09:00:00.000Z";
  assert.equal(expectTimestamp("2025-12-30T09:00:00Z", "x"), utc);
  assert.equal(expectTimestamp("2025-12-30T09:00:00", "x"), utc);
  assert.equal(expectTimestamp("2025-12-30 09:00", "x"), utc);
  assert.equal(expectTimestamp("2025-12-30T10:00:00+01:00", "x"), utc);
  assert.equal(expectTimestamp("2025-12-30T04:00:00-0500", "x"), utc);
  assert.equal(expectTimestamp("2025-12-30T09:00:00.123456", "x"), "2025-12-30T09:00:00.123Z");
});

Deno.test("what is no date and time is refused", () => {
  const odd = ["", "yesterday", "2025-12-30", "2025-13-01T00:00", "2025-12-30T25:00", "2025-12-30T09:00 UTC", 0, null];
  for (const value of odd) {
    assert.throws(() => expectTimestamp(value, "x"), /^RlcfError: x: found .*wanted a date and time/, String(value));
  }
});

Deno.test("a date and time survives being read again", () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }), (date) => {
      assert.equal(expectTimestamp(date.toISOString(), "x"), date.toISOString());
    }),
    { seed: 2, numRuns: 200 },
  );
});
