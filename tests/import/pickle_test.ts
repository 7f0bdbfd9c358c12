/**
 * The pickle reader: plain values and the names it was given, nothing that runs, and an end to every input.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { MAX_PICKLE_BYTES, readPickle } from "../../src/import/pickle.ts";
import { PickleGlobal, type PickleValue } from "../../src/import/pickle_values.ts";
import { Call, joined, pickleOf, Tuple } from "./torch_files.ts";

const WORLD = {
  globals: new Map([["known.pair", new PickleGlobal("known.pair", (args) => [...args])]]),
  persistent: (id: PickleValue): PickleValue => ["persistent", id],
};

const read = (bytes: Uint8Array): PickleValue => readPickle(bytes, WORLD, "file.pt");
const ops = (...codes: (number | string)[]): Uint8Array =>
  joined(codes.map((code) => typeof code === "number" ? Uint8Array.of(code) : new TextEncoder().encode(code)));

function refused(bytes: Uint8Array, message: RegExp): void {
  assert.throws(() => read(bytes), (thrown: unknown) => {
    assert.ok(thrown instanceof RlcfError);
    assert.equal(thrown.code, "checkpoint");
    assert.match(thrown.message, message);
    return true;
  });
}

Deno.test("plain values come back", () => {
  const value = {
    text: "à «b»",
    whole: -7,
    real: 0.1,
    yes: true,
    none: null,
    list: [1, [2, "x"]],
    tuple: new Tuple([1, 2]),
  };
  const map = read(pickleOf(value)) as Map<string, unknown>;
  assert.deepEqual(Object.fromEntries(map), {
    text: "à «b»",
    whole: -7,
    real: 0.1,
    yes: true,
    none: null,
    list: [1, [2, "x"]],
    tuple: [1, 2],
  });
});

Deno.test("long integers, memo, frames and names on the stack are read as Python writes them", () => {
  assert.equal(read(ops(0x80, 2, 0x8a, 2, 0x00, 0xff, ".")), -256);
  assert.equal(read(ops(0x80, 2, 0x8a, 5, 0, 0, 0, 0, 1, ".")), 2 ** 32);
  // [x, x] by MEMOIZE and BINGET, inside a frame of protocol 4.
  assert.deepEqual(read(ops(0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0, 0, "](", 0x8c, 1, "x", 0x94, "h", 0, "e.")), [
    "x",
    "x",
  ]);
  assert.deepEqual(read(ops(0x80, 4, 0x8c, 5, "known", 0x8c, 4, "pair", 0x93, "K", 1, "K", 2, 0x86, "R.")), [1, 2]);
  assert.deepEqual(read(ops(0x80, 2, "K", 9, "Q.")), ["persistent", 9]);
});

Deno.test("every name that is not known is refused by its name, and nothing is called", () => {
  refused(pickleOf(new Call("os", "system", ["touch /tmp/x"])), /it wants to call or build "os\.system"/);
  refused(pickleOf(new Call("builtins", "eval", ["1"])), /"builtins\.eval"/);
  refused(pickleOf(new Call("known.pair.__class__", "x", [])), /"known\.pair\.__class__\.x"/);
  refused(pickleOf(new Call("__proto__", "constructor", [])), /"__proto__\.constructor"/);
  refused(ops(0x80, 2, "K", 1, ")R."), /it calls something that is no function/);
});

Deno.test("opcodes that torch does not use are refused by their number", () => {
  for (const opcode of ["i", "o", "P", "S", 0x81, 0x92, 0x82, 0x8d, 0x8e, 0x96]) {
    const code = typeof opcode === "number" ? opcode : opcode.charCodeAt(0);
    refused(ops(0x80, 2, code, ")."), new RegExp(`opcode 0x${code.toString(16)} at byte 2`));
  }
});

Deno.test("a damaged pickle is refused wherever it breaks off", () => {
  const whole = pickleOf({ a: [1, 2.5, "x"], b: new Call("known", "pair", [1, 2]) });
  for (let length = 0; length < whole.length; length++) refused(whole.slice(0, length), /cannot read file\.pt: /);
  refused(ops(0x80, 2, "NN."), /values are left on its stack/);
  refused(ops(0x80, 2, "."), /takes a value that there is not/);
  refused(ops(0x80, 2, "h", 3, "."), /refers to value 3/);
  refused(ops(0x80, 2, "}]Ns."), /a key is no text and no number/);
  refused(ops(0x80, 2, "X", 1, 0, 0, 0, 0xff, "."), /not UTF-8/);
  refused(new Uint8Array(MAX_PICKLE_BYTES + 1), /wanted at most/);
});

Deno.test("any bytes, and any change of a good pickle, end in a value or in one error", () => {
  const good = pickleOf({ a: [1, 2.5, "x"], b: new Call("known", "pair", [1, { c: null }]) });
  const attempt = (bytes: Uint8Array): void => {
    try {
      read(bytes);
    } catch (thrown) {
      if (!(thrown instanceof RlcfError)) throw thrown;
    }
  };
  const interesting = fc.constantFrom(...[
    ..."()]}NQRSXabcehjlqrstu.GJKM",
    "\x80",
    "\x85",
    "\x86",
    "\x88",
    "\x93",
    "\x94",
  ])
    .map((letter) => letter.charCodeAt(0));
  const byte = fc.oneof(fc.nat(255), interesting);
  fc.assert(fc.property(fc.array(byte, { maxLength: 120 }), (bytes) => attempt(Uint8Array.from(bytes))), {
    seed: 3,
    numRuns: 5000,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), byte), { minLength: 1, maxLength: 5 }), (changes) => {
      const bytes = good.slice();
      for (const [at, value] of changes) bytes[at] = value;
      attempt(bytes);
    }),
    { seed: 4, numRuns: 5000 },
  );
});
