/**
 * What `assert.rejects` and `assert.throws` take to check an RlcfError.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ErrorCode, RlcfError } from "../../src/base/errors.ts";

/** Accepts an RlcfError of this kind whose message matches. */
export function refusal(code: ErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RlcfError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}
