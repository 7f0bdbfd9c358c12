/**
 * The ZIP reader: what torch writes is read, and nothing else is.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { readTorchZip } from "../../src/import/torch_zip.ts";
import { joined, zipOf } from "./torch_files.ts";

const CONTENT = Uint8Array.from({ length: 40 }, (_, i) => i);
const ENTRIES = [["a/data.pkl", CONTENT], ["a/data/0", CONTENT.subarray(0, 8)]] as const;

function refused(bytes: Uint8Array<ArrayBuffer>, message: RegExp): void {
  assert.throws(() => readTorchZip(bytes, "file.pt").read("a/data.pkl"), (thrown: unknown) => {
    assert.ok(thrown instanceof RlcfError);
    assert.equal(thrown.code, "checkpoint");
    assert.match(thrown.message, message);
    return true;
  });
}

Deno.test("stored entries come back as they are, others not at all", () => {
  const archive = readTorchZip(zipOf(ENTRIES), "file.pt");
  assert.deepEqual(archive.names, ["a/data.pkl", "a/data/0"]);
  assert.deepEqual([...archive.read("a/data.pkl")!], [...CONTENT]);
  assert.deepEqual([...archive.read("a/data/0")!], [...CONTENT.subarray(0, 8)]);
  assert.equal(archive.read("none"), undefined);
});

Deno.test("a file that is cut off, or followed by something, is refused", () => {
  const whole = zipOf(ENTRIES);
  for (const length of [0, 10, 21, whole.length - 1]) {
    refused(whole.slice(0, length), /end of a ZIP archive is missing/);
  }
  refused(zipOf(ENTRIES, { comment: CONTENT }), /end of a ZIP archive is missing/);
  refused(joined([CONTENT, whole]), /no entry of the directory begins|directory ends at byte/);
});

Deno.test("compressed and encrypted entries are refused: nothing can be larger than the file", () => {
  refused(zipOf(ENTRIES, { method: 8 }), /is compressed \(method 8\), wanted it stored/);
  refused(zipOf(ENTRIES, { flags: 1 }), /is encrypted/);
  refused(zipOf(ENTRIES, { entry: (i, view) => i === 0 && view.setUint32(24, 2 ** 31, true) }), /is compressed/);
});

Deno.test("a wrong checksum is refused", () => {
  refused(zipOf(ENTRIES, { crc: 1 }), /"a\/data.pkl" is damaged, its checksum does not match/);
  const bytes = zipOf(ENTRIES);
  bytes[45]! ^= 1;
  refused(bytes, /is damaged/);
});

Deno.test("entries that overlap, leave the file or share a name are refused", () => {
  const twice = [ENTRIES[0], ENTRIES[0]];
  refused(zipOf(twice), /appears twice/);
  const nested = zipOf([["aa", zipOf([["bb", CONTENT]])]], {});
  // The second entry's local header lies inside of the first one's content.
  const inside = zipOf([["aa", nested.slice(32, 32 + 72)], ["bb", CONTENT]], {
    entry: (i, view) => i === 1 && view.setUint32(42, 32, true),
  });
  refused(inside, /overlaps the one in front of it/);
  refused(zipOf(ENTRIES, { entry: (_, view) => [20, 24].forEach((at) => view.setUint32(at, 5000, true)) }), /leaves/);
  refused(zipOf(ENTRIES, { entry: (i, view) => i === 1 && view.setUint32(42, 3, true) }), /does not begin at byte 3/);
});

Deno.test("any bytes, and any change of a good file, give the same entries or one error", () => {
  const good = zipOf(ENTRIES);
  const read = (bytes: Uint8Array<ArrayBuffer>): void => {
    try {
      const archive = readTorchZip(bytes, "file.pt");
      const total = archive.names.reduce((sum, name) => sum + archive.read(name)!.length, 0);
      assert.ok(total <= bytes.length);
    } catch (thrown) {
      if (!(thrown instanceof RlcfError)) throw thrown;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => read(new Uint8Array(bytes))), {
    seed: 1,
    numRuns: 2000,
  });
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.nat(good.length), (changes, cut) => {
      const bytes = good.slice();
      for (const [at, value] of changes) bytes[at] = value;
      read(bytes);
      read(bytes.slice(0, cut));
    }),
    { seed: 2, numRuns: 3000 },
  );
});
