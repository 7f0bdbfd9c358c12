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
  assert.throws(() => read(scalar("f8", encoded("\0".repeat(8)))), /not described as NumPy does it/);
  assert.throws(
    () => read(new Call("numpy.core.multiarray", "_reconstruct", [])),
    /"numpy\.core\.multiarray\._reconstruct"/,
  );
});
