/**
 * NumPy's single numbers, as NumPy 1.24 pickles them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readPickle } from "../../src/import/pickle.ts";
import { torchWorld } from "../../src/import/torch_tensor.ts";
import { Call, pickleOf } from "./torch_files.ts";

/** `pickle.dumps({"m": np.float64(0.1), "i": np.int64(-3), "b": np.bool_(True), "f": np.float32(.5)}, protocol=2)` */
const PICKLED =
  "gAJ9cQAoWAEAAABtcQFjbnVtcHkuY29yZS5tdWx0aWFycmF5CnNjYWxhcgpxAmNudW1weQpkdHlwZQpxA1gCAAAAZjhxBImIh3EFUnEG" +
  "KEsDWAEAAAA8cQdOTk5K/////0r/////SwB0cQhiY19jb2RlY3MKZW5jb2RlCnEJWA8AAADCmsKZwpnCmcKZwpnCuT9xClgGAAAAbGF0aW4xcQuG" +
  "cQxScQ2GcQ5ScQ9YAQAAAGlxEGgCaANYAgAAAGk4cRGJiIdxElJxEyhLA2gHTk5OSv////9K/////0sAdHEUYmgJWBAAAADDvcO/w7/Dv8O/w7/D" +
  "v8O/cRVoC4ZxFlJxF4ZxGFJxGVgBAAAAYnEaaAJoA1gCAAAAYjFxG4mIh3EcUnEdKEsDWAEAAAB8cR5OTk5K/////0r/////SwB0cR9iaAlYAQAA" +
  "AAFxIGgLhnEhUnEihnEjUnEkWAEAAABmcSVoAmgDWAIAAABmNHEmiYiHcSdScSgoSwNoB05OTkr/////Sv////9LAHRxKWJoCVgEAAAAAAAAP3Eq" +
  "aAuGcStScSyGcS1ScS51Lg==";

Deno.test("float64, int64, bool and float32 of NumPy are plain numbers", () => {
  const bytes = Uint8Array.fromBase64(PICKLED);
  const numbers = readPickle(bytes, torchWorld("file.pt"), "file.pt");
  assert.deepEqual(numbers, new Map<string, number | boolean>([["m", 0.1], ["i", -3], ["b", true], ["f", 0.5]]));
});

Deno.test("other types, other encodings and numbers of the wrong length are refused", () => {
  const read = (value: unknown): unknown => readPickle(pickleOf(value), torchWorld("file.pt"), "file.pt");
  const dtype = (code: unknown): Call => new Call("numpy", "dtype", [code, false, true]);
  const encoded = (text: string, encoding = "latin1"): Call => new Call("_codecs", "encode", [text, encoding]);
  const scalar = (type: unknown, bytes: unknown): Call => new Call("numpy.core.multiarray", "scalar", [type, bytes]);
  assert.equal(read(scalar(dtype("f8"), encoded("\0".repeat(8)))), 0);
  assert.throws(() => read(dtype("O8")), /found a number of NumPy's type "O8"/);
  assert.throws(() => read(dtype("__proto__")), /NumPy's type "__proto__"/);
  assert.throws(() => read(encoded("x", "rot13")), /not written as Latin-1/);
  assert.throws(() => read(encoded("€")), /not written as Latin-1/);
  assert.throws(() => read(scalar(dtype("f8"), encoded("\0".repeat(7)))), /not described as NumPy does it/);
  assert.throws(() => read(encoded("\0".repeat(9))), /found a number of NumPy with 9 bytes, wanted at most 8/);
  assert.throws(() => read(scalar("f8", encoded("\0".repeat(8)))), /not described as NumPy does it/);
  assert.throws(
    () => read(new Call("numpy.core.multiarray", "_reconstruct", [])),
    /"numpy\.core\.multiarray\._reconstruct"/,
  );
});

Deno.test("a long text that is named again and again is never copied", () => {
  const length = 1_000_000;
  const text = new TextEncoder().encode(`X????${"a".repeat(length)}q\0X????latin1q\x01c_codecs\nencode\nq\x02`);
  const view = new DataView(text.buffer);
  view.setUint32(1, length, true);
  view.setUint32(1 + 4 + length + 2 + 1, 6, true);
  // h 2, h 0, h 1: the function and its arguments from the memo; a tuple of two; a call.
  const calls = new TextEncoder().encode("h\x02h\0h\x01\x86R".replace("\x86", "?").repeat(1500));
  for (let i = 6; i < calls.length; i += 8) calls[i] = 0x86;
  const bomb = new Uint8Array([0x80, 2, ...text, ...calls, 0x2e]);
  const copied: number[] = [];
  const from = Uint8Array.from;
  try {
    Uint8Array.from = ((codes: number[]) => {
      copied.push(codes.length);
      return from.call(Uint8Array, codes);
    }) as typeof Uint8Array.from;
    assert.throws(() => readPickle(bomb, torchWorld("file.pt"), "file.pt"), /1000000 bytes, wanted at most 8/);
  } finally {
    Uint8Array.from = from;
  }
  assert.deepEqual(copied, []);
});
