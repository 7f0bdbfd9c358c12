import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeSafetensors, encodeSafetensors, type TensorMap } from "../../src/checkpoint/safetensors.ts";
import { rlcfError, sampleContent } from "./support.ts";

/** The file that `safetensors` 0.8.0 for Python (numpy.save) wrote for {@link OFFICIAL_TENSORS}. */
const OFFICIAL_FILE =
  "IAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCIsIndobyI6Inpvw6sifSwiMC5iaWFzIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUi" +
  "OlsyXSwiZGF0YV9vZmZzZXRzIjpbMCw4XX0sIjAud2VpZ2h0Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyLDNdLCJkYXRhX29mZnNldHMiOls4" +
  "LDMyXX0sImVtcHR5Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlswLDNdLCJkYXRhX29mZnNldHMiOlszMiwzMl19LCJzdGVwIjp7ImR0eXBlIjoi" +
  "RjMyIiwic2hhcGUiOltdLCJkYXRhX29mZnNldHMiOlszMiwzNl19fSAgICAAAIA+AACAfwAAwD8AAADAAABAQAAAgEAAAKBAppvEOwAA4EA=";
const OFFICIAL_TENSORS: TensorMap = {
  "0.bias": { shape: [2], data: Float32Array.of(0.25, Infinity) },
  "0.weight": { shape: [2, 3], data: Float32Array.of(1.5, -2, 3, 4, 5, 6e-3) },
  empty: { shape: [0, 3], data: new Float32Array(0) },
  step: { shape: [], data: Float32Array.of(7) },
};

Deno.test("a file written by the official library is read as it was meant", () => {
  const { tensors, metadata } = decodeSafetensors(Uint8Array.fromBase64(OFFICIAL_FILE), "official");
  assert.deepEqual(tensors, OFFICIAL_TENSORS);
  assert.deepEqual(metadata, { format: "pt", who: "zoë" });
});

Deno.test("our file of the same tensors is the official library's file to the last byte", () => {
  assert.equal(encodeSafetensors(OFFICIAL_TENSORS, { format: "pt", who: "zoë" }).toBase64(), OFFICIAL_FILE);
});

Deno.test("a parser written from the format's description alone finds torch's names, shapes and numbers", () => {
  const { policy } = sampleContent();
  const bytes = encodeSafetensors(policy, { format: "pt" });
  const view = new DataView(bytes.buffer);
  const headerBytes = Number(view.getBigUint64(0, true));
  assert.equal((8 + headerBytes) % 8, 0);
  const text = String.fromCharCode(...bytes.subarray(8, 8 + headerBytes));
  assert.equal(text[0], "{");
  const header = JSON.parse(text);
  assert.deepEqual(Object.keys(header), ["__metadata__", ...Object.keys(policy)]);
  assert.deepEqual(header["__metadata__"], { format: "pt" });
  let end = 0;
  for (const [name, { shape, data }] of Object.entries(policy)) {
    assert.equal(header[name].dtype, "F32");
    assert.deepEqual(header[name].shape, shape);
    const [from, to] = header[name].data_offsets;
    assert.equal(from, end);
    const numbers: number[] = [];
    for (let at = from; at < to; at += 4) numbers.push(view.getFloat32(8 + headerBytes + at, true));
    assert.deepEqual(numbers, Array.from(data));
    end = to;
  }
  assert.equal(8 + headerBytes + end, bytes.length);
});

Deno.test("decoded tensors are copies that start on their own memory, wherever the file lies in its buffer", () => {
  const file = encodeSafetensors(OFFICIAL_TENSORS);
  for (const shift of [1, 2, 3, 5]) {
    const bytes = new Uint8Array(file.length + 16).subarray(shift, shift + file.length);
    bytes.set(file);
    const { tensors } = decodeSafetensors(bytes, "shifted");
    bytes.fill(0);
    assert.deepEqual(tensors, OFFICIAL_TENSORS);
  }
});

Deno.test("NaN payloads, infinities, subnormals and negative zero keep their bits", () => {
  const bits = Uint32Array.of(0x7fc00001, 0xffc12345, 0x7f800000, 0xff800000, 1, 0x80000000, 0x7f800001);
  const { tensors } = decodeSafetensors(
    encodeSafetensors({ x: { shape: [7], data: new Float32Array(bits.buffer) } }),
    "bits",
  );
  assert.deepEqual(new Uint32Array(tensors.x!.data.buffer), bits);
});

Deno.test("only the given part of a larger buffer is written", () => {
  const whole = Float32Array.of(1, 2, 3, 4, 5);
  const { tensors } = decodeSafetensors(encodeSafetensors({ x: { shape: [2], data: whole.subarray(1, 3) } }), "part");
  assert.deepEqual(tensors, { x: { shape: [2], data: Float32Array.of(2, 3) } });
});

Deno.test("names that every object inherits are ordinary names", () => {
  const tensors: TensorMap = { constructor: { shape: [1], data: Float32Array.of(1) } };
  assert.deepEqual(decodeSafetensors(encodeSafetensors(tensors), "x").tensors, tensors);
});

Deno.test("the encoder refuses what no reader could take back", () => {
  const one = { shape: [1], data: Float32Array.of(1) };
  const cases: [TensorMap, Record<string, string>, RegExp][] = [
    [{ x: { shape: [2], data: Float32Array.of(1) } }, {}, /"x": shape \[2\] does not fit 1 numbers/],
    [{ x: { shape: [-1, -1], data: Float32Array.of(1) } }, {}, /shape \[-1,-1\]/],
    [{ x: { shape: [0.5, 2], data: Float32Array.of(1) } }, {}, /shape \[0.5,2\]/],
    [{ __metadata__: one }, {}, /reserved/],
    [Object.fromEntries([["__proto__", one]]), {}, /not allowed/],
    [{ "\ud800": one }, {}, /not valid Unicode/],
    [{ x: one }, { key: "\udc00" }, /not valid Unicode/],
    [{ x: one }, { key: "y".repeat(17 * 1024 * 1024) }, /header of \d+ bytes, wanted at most 16 MiB/],
  ];
  for (const [tensors, metadata, pattern] of cases) {
    assert.throws(() => encodeSafetensors(tensors, metadata), rlcfError("checkpoint", pattern));
  }
});

/** A file with the given header text and number of data bytes. */
function fileOf(header: string | Uint8Array, dataBytes: number): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

function entry(shape: string, begin: number | string, end: number | string, dtype = "F32"): string {
  return `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`;
}

Deno.test("the hand-made files of the hostile cases are sound apart from their one fault", () => {
  const { tensors } = decodeSafetensors(fileOf(`{"x":${entry("[2]", 4, 12)},"y":${entry("[1]", 0, 4)}}`, 12), "f");
  assert.deepEqual(Object.keys(tensors), ["x", "y"]);
  assert.deepEqual(decodeSafetensors(fileOf("{}", 0), "f"), { tensors: {}, metadata: {} });
});

const HOSTILE: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ["an empty file", new Uint8Array(0), /file of 0 bytes/],
  ["seven bytes", new Uint8Array(7), /file of 7 bytes/],
  ["a header of no bytes", new Uint8Array(8), /JSON/],
  ["a header longer than the file", Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 123, 125), /but only 2 bytes follow/],
  ["a header of 2^64 - 1 bytes", new Uint8Array(64).fill(255), /18446744073709551615 bytes, wanted at most 16 MiB/],
  ["a header over 16 MiB", fileOf(`{}${" ".repeat(16 * 1024 * 1024)}`, 0), /wanted at most 16 MiB/],
  ["no JSON", fileOf("{hello}", 0), /wanted valid JSON/],
  ["JSON with a rest", fileOf("{}{}", 0), /wanted valid JSON/],
  ["no UTF-8", fileOf(Uint8Array.of(123, 34, 255, 34, 58, 49, 125), 0), /UTF-8/],
  ["a byte order mark", fileOf("\ufeff{}", 0), /wanted valid JSON/],
  ["an array as header", fileOf("[]", 0), /header is an array of 0, wanted an object/],
  ["null as header", fileOf("null", 0), /header is null/],
  ["a tensor named twice", fileOf(`{"x":${entry("[1]", 0, 4)},"x":${entry("[1]", 0, 4)}}`, 4), /"x" appears twice/],
  [
    "a tensor named twice in two spellings",
    fileOf(`{"x":${entry("[1]", 0, 4)} , "\\u0078" :${entry("[1]", 0, 4)}}`, 4),
    /"x" appears twice/,
  ],
  ["a field named twice", fileOf(`{"x":{"dtype":"F16",${entry("[1]", 0, 4).slice(1)}}`, 4), /"dtype" appears twice/],
  ["a metadata key named twice", fileOf(`{"__metadata__":{"a":"1","a":"2"}}`, 0), /"a" appears twice/],
  ["__proto__ as name", fileOf(`{"__proto__":${entry("[1]", 0, 4)}}`, 4), /__proto__ is not allowed/],
  ["__proto__ escaped", fileOf(`{"\\u005f_proto__":${entry("[1]", 0, 4)}}`, 4), /__proto__ is not allowed/],
  ["a lone surrogate as name", fileOf(`{"\\ud800":${entry("[1]", 0, 4)}}`, 4), /not valid Unicode/],
  ["a number as tensor", fileOf(`{"x":4}`, 4), /"x": found 4, wanted an object/],
  ["float16", fileOf(`{"x":${entry("[2]", 0, 4, "F16")}}`, 4), /dtype is the text "F16", wanted F32/],
  ["no dtype", fileOf(`{"x":{"shape":[1],"data_offsets":[0,4]}}`, 4), /dtype is nothing/],
  ["no shape", fileOf(`{"x":{"dtype":"F32","data_offsets":[0,4]}}`, 4), /shape must be/],
  ["a negative size", fileOf(`{"x":${entry("[-1]", 0, 4)}}`, 4), /shape must be/],
  ["a negative zero", fileOf(`{"x":${entry("[-0]", 0, 0)}}`, 0), /shape must be/],
  ["a fractional size", fileOf(`{"x":${entry("[0.5,2]", 0, 4)}}`, 4), /shape must be/],
  ["a text as size", fileOf(`{"x":${entry('["1"]', 0, 4)}}`, 4), /shape must be/],
  ["one offset", fileOf(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4]}}`, 4), /data_offsets must be/],
  ["a negative offset", fileOf(`{"x":${entry("[2]", -4, 4)}}`, 4), /data_offsets must be/],
  ["a huge offset", fileOf(`{"x":${entry("[1]", "1e300", "1e300")}}`, 4), /data_offsets must be/],
  ["an end before its begin", fileOf(`{"x":${entry("[1]", 8, 4)}}`, 8), /begins at byte 8, after its end 4/],
  ["a misaligned begin", fileOf(`{"x":${entry("[1]", 2, 6)}}`, 8), /begins at byte 2, wanted a multiple of 4/],
  ["a misaligned end", fileOf(`{"x":${entry("[1]", 0, 5)}}`, 5), /5 bytes of data, wanted 4/],
  ["a shape too small for its data", fileOf(`{"x":${entry("[1]", 0, 8)}}`, 8), /8 bytes of data, wanted 4/],
  ["a shape too large for its data", fileOf(`{"x":${entry("[2,3]", 0, 8)}}`, 8), /8 bytes of data, wanted 24/],
  [
    "a shape whose product wraps to 1 in 64 bits",
    fileOf(`{"x":${entry("[4294967297,18446744069414584321]", 0, 4)}}`, 4),
    /shape must be/,
  ],
  ["a shape of 2^60 numbers", fileOf(`{"x":${entry("[1073741824,1073741824]", 0, 4)}}`, 4), /more elements/],
  ["a shape of 2^66 numbers, times 0", fileOf(`{"x":${entry("[4194304,4194304,4194304,0]", 0, 0)}}`, 0), /more elem/],
  ["an end beyond the file", fileOf(`{"x":${entry("[1000000000]", 0, 4000000000)}}`, 4), /but the file has 4 bytes/],
  [
    "overlapping tensors",
    fileOf(`{"x":${entry("[2]", 0, 8)},"y":${entry("[2]", 4, 12)}}`, 12),
    /"y": begins at byte 4 and overlaps/,
  ],
  ["two tensors on the same bytes", fileOf(`{"x":${entry("[1]", 0, 4)},"y":${entry("[1]", 0, 4)}}`, 4), /overlaps/],
  ["a hole in front", fileOf(`{"x":${entry("[1]", 4, 8)}}`, 8), /leaves a hole after 0/],
  ["a hole between", fileOf(`{"x":${entry("[1]", 0, 4)},"y":${entry("[1]", 8, 12)}}`, 12), /leaves a hole after 4/],
  ["a rest behind", fileOf(`{"x":${entry("[1]", 0, 4)}}`, 5), /end at byte 4, but the file has 5 bytes/],
  ["data without tensors", fileOf("{}", 4), /end at byte 0, but the file has 4 bytes/],
  ["metadata that are no object", fileOf(`{"__metadata__":[]}`, 0), /__metadata__ is an array/],
  ["metadata with a number", fileOf(`{"__metadata__":{"a":1}}`, 0), /"a": found 1, wanted a text/],
  ["very deep nesting", fileOf("[".repeat(10_000_000), 0), /nested deeper than 32/],
  ["an unfinished text", fileOf(`{"x`, 0), /wanted valid JSON/],
  ["a text that ends in a backslash", fileOf(`{"x\\`, 0), /wanted valid JSON/],
  ["very many keys", fileOf(`{${Array.from({ length: 70_000 }, (_, i) => `"${i}":0`)}}`, 0), /more than 65536 keys/],
  ["very many arrays", fileOf(`{"x":[${"[],".repeat(70_000)}0]}`, 0), /more than 65536 keys, objects and arrays/],
];
for (const [name, bytes, pattern] of HOSTILE) {
  Deno.test(`a file is refused for: ${name}`, () => {
    assert.throws(() => decodeSafetensors(bytes, "policy file"), rlcfError("checkpoint", /policy file/, pattern));
  });
}

const tensorMaps = fc.dictionary(
  fc.string({ unit: "grapheme", maxLength: 12 }).filter((name) => name !== "__metadata__" && name !== "__proto__"),
  fc.array(fc.nat({ max: 3 }), { maxLength: 3 }).chain((shape) => {
    const length = shape.reduce((product, size) => product * size, 1);
    return fc.float32Array({ minLength: length, maxLength: length }).map((data) => ({ shape, data }));
  }),
  { maxKeys: 6, noNullPrototype: true },
);
const texts = fc.dictionary(
  fc.string({ unit: "grapheme", maxLength: 8 }).filter((key) => key !== "__proto__"),
  fc.string({ unit: "grapheme" }),
  { maxKeys: 3, noNullPrototype: true },
);

Deno.test("decoding what was encoded gives it back, in the same order", () => {
  fc.assert(
    fc.property(tensorMaps, texts, (tensors, metadata) => {
      const decoded = decodeSafetensors(encodeSafetensors(tensors, metadata), "round trip");
      assert.deepEqual(decoded, { tensors, metadata });
      assert.deepEqual(Object.keys(decoded.tensors), Object.keys(tensors));
    }),
    { seed: 8, numRuns: 300 },
  );
});

/** Decodes; whatever is accepted must mean the same after another encoding, whatever is not must say so. */
function decodeOrRefuse(bytes: Uint8Array): boolean {
  let decoded;
  try {
    decoded = decodeSafetensors(bytes, "fuzz");
  } catch (thrown) {
    rlcfError("checkpoint", /fuzz/)(thrown);
    return false;
  }
  const again = decodeSafetensors(encodeSafetensors(decoded.tensors, decoded.metadata), "fuzz");
  const bitsOf = ({ tensors }: typeof again): unknown =>
    Object.entries(tensors).map(([name, { shape, data }]) => [name, shape, new Uint8Array(data.buffer)]);
  assert.deepEqual(bitsOf(again), bitsOf(decoded));
  assert.deepEqual(again.metadata, decoded.metadata);
  return true;
}

Deno.test("random bytes are refused or decoded, and nothing else happens", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeOrRefuse(bytes)), {
    seed: 8,
    numRuns: 500,
  });
  fc.assert(fc.property(fc.json(), fc.nat({ max: 16 }), (json, rest) => void decodeOrRefuse(fileOf(json, rest))), {
    seed: 8,
    numRuns: 500,
  });
});

Deno.test("valid files with some bytes changed, cut or added are refused or decoded", () => {
  const valid = encodeSafetensors(sampleContent().policy, { format: "pt" });
  const change = fc.record({ at: fc.nat({ max: valid.length - 1 }), to: fc.nat({ max: 255 }) });
  let accepted = 0;
  let refused = 0;
  fc.assert(
    fc.property(fc.array(change, { maxLength: 3 }), fc.integer({ min: -9, max: 3 }), (changes, growth) => {
      const bytes = new Uint8Array(valid.length + Math.max(0, growth));
      bytes.set(valid);
      for (const { at, to } of changes) bytes[at] = to;
      if (decodeOrRefuse(growth < 0 ? bytes.subarray(0, valid.length + growth) : bytes)) accepted++;
      else refused++;
    }),
    { seed: 8, numRuns: 2000 },
  );
  assert.ok(accepted > 20 && refused > 1000, `${accepted} accepted, ${refused} refused`);
});
