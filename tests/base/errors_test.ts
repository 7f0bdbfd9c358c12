import assert from "node:assert/strict";
import { messageOf, RlcfError } from "../../src/base/errors.ts";

Deno.test("an error carries its kind, its message, the next step and the error underneath", () => {
  const cause = new TypeError("underneath");
  const error = new RlcfError("database", "cannot read", { hint: "try again", cause });
  assert.ok(error instanceof Error);
  assert.equal(error.name, "RlcfError");
  assert.equal(error.code, "database");
  assert.equal(error.message, "cannot read");
  assert.equal(error.hint, "try again");
  assert.equal(error.cause, cause);
});

Deno.test("an error without a hint or a cause has neither", () => {
  const error = new RlcfError("usage", "wrong");
  assert.equal(error.hint, undefined);
  assert.equal(Object.hasOwn(error, "cause"), false);
});

Deno.test("the message of anything thrown is text", () => {
  assert.equal(messageOf(new RlcfError("usage", "wrong")), "wrong");
  assert.equal(messageOf("a text"), "a text");
  assert.equal(messageOf(undefined), "undefined");
  assert.equal(messageOf({ toString: () => "an object" }), "an object");
});
