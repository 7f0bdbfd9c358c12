import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { decodeManifest, encodeManifest, sealOf } from "../../src/checkpoint/manifest.ts";
import { publishCheckpoint } from "../../src/checkpoint/publish.ts";
import { decodeTrainer, encodeTrainer } from "../../src/checkpoint/trainer.ts";
import { rlcfError, sampleContent, withDirectory } from "../checkpoint/support.ts";

const PATH = "gating-v1.0.2";
const FILES: readonly string[] = ["policy.safetensors", "trainer.safetensors", "manifest.json"];
const FUZZ_SEED = 20261122;

/** Publishes the sample and hands over its files and a check that loading now names the broken one. */
async function withPublished(
  test: (
    at: { root: string; file: (name: string) => string; refused: (name: string) => Promise<void> },
  ) => Promise<void>,
): Promise<void> {
  await withDirectory(async (root) => {
    const { sha256 } = await publishCheckpoint(root, sampleContent());
    await test({
      root,
      file: (name) => join(root, PATH, name),
      refused: async (name) => {
        const escaped = name.replace(".", "\\.");
        await assert.rejects(loadCheckpoint(root, PATH, sha256), rlcfError("checkpoint", new RegExp(escaped)));
      },
    });
    await loadCheckpoint(root, PATH, sha256);
  });
}

for (const name of FILES) {
  Deno.test(`every single byte of ${name} counts: whichever bit of it is flipped, the file is named and not loaded`, () =>
    withPublished(async ({ file, refused }) => {
      const bytes = Deno.readFileSync(file(name));
      for (let i = 0; i < bytes.length; i++) {
        Deno.writeFileSync(file(name), bytes.with(i, bytes[i]! ^ (1 << i % 8)));
        await refused(name);
      }
      Deno.writeFileSync(file(name), bytes);
    }));

  Deno.test(`wherever ${name} is cut short, or however it grows, it is named and not loaded`, () =>
    withPublished(async ({ file, refused }) => {
      const bytes = Deno.readFileSync(file(name));
      for (let length = 0; length < bytes.length; length++) {
        Deno.writeFileSync(file(name), bytes.subarray(0, length));
        await refused(name);
      }
      for (const growth of [1, 4, 4096]) {
        const longer = new Uint8Array(bytes.length + growth);
        longer.set(bytes);
        Deno.writeFileSync(file(name), longer);
        await refused(name);
      }
      Deno.writeFileSync(file(name), bytes);
    }));
}

Deno.test(`damage of any kind to any part of a checkpoint is found (seed ${FUZZ_SEED})`, () =>
  withPublished(async ({ file, refused }) => {
    const sound = new Map(FILES.map((name) => [name, Deno.readFileSync(file(name))]));
    const damage = fc.record({
      name: fc.constantFrom(...FILES),
      kind: fc.constantFrom("zero", "garble", "duplicate", "remove"),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.integer({ min: 1, max: 600 }),
      key: fc.integer({ min: 1, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ name, kind, from, length, key }) => {
        const bytes = sound.get(name)!;
        const start = Math.floor(from * (bytes.length - 1));
        const end = Math.min(bytes.length, start + length);
        const part = bytes.subarray(start, end);
        const middle = kind === "zero"
          ? part.map(() => 0)
          : kind === "garble"
          ? part.map((byte) => byte ^ key)
          : kind === "duplicate"
          ? Uint8Array.of(...part, ...part)
          : new Uint8Array(0);
        const broken = Uint8Array.of(...bytes.subarray(0, start), ...middle, ...bytes.subarray(end));
        // Zeros over zeros change nothing.
        fc.pre(broken.length !== bytes.length || broken.some((byte, i) => byte !== bytes[i]));
        Deno.writeFileSync(file(name), broken);
        try {
          await refused(name);
        } finally {
          Deno.writeFileSync(file(name), bytes);
        }
      }),
      { seed: FUZZ_SEED, numRuns: 400 },
    );
  }));

Deno.test("files of another version, one by one and all together, are found", () =>
  withDirectory(async (root) => {
    const { sha256 } = await publishCheckpoint(root, sampleContent());
    const other = {
      ...sampleContent({ version: "v1.0.3" }).policy,
      "0.bias": { shape: [2], data: Float32Array.of(1, 2) },
    };
    await publishCheckpoint(root, sampleContent({ version: "v1.0.3", policy: other, metrics: { loss: 1 } }));
    const refused = (pattern: RegExp): Promise<void> =>
      assert.rejects(loadCheckpoint(root, PATH, sha256), rlcfError("checkpoint", pattern));
    for (const name of ["policy.safetensors", "manifest.json"]) {
      const sound = Deno.readFileSync(join(root, PATH, name));
      Deno.copyFileSync(join(root, "gating-v1.0.3", name), join(root, PATH, name));
      await refused(new RegExp(name.replace(".", "\\.")));
      Deno.writeFileSync(join(root, PATH, name), sound);
    }
    await loadCheckpoint(root, PATH, sha256);
    for (const name of FILES) Deno.copyFileSync(join(root, "gating-v1.0.3", name), join(root, PATH, name));
    await refused(/manifest\.json has SHA-256/);
    // Without the recorded hash, the version inside still tells.
    await assert.rejects(loadCheckpoint(root, PATH), rlcfError("checkpoint", /describes "gating-v1\.0\.3"/));
  }));

/** A checkpoint whose hashes agree with whatever hostile bytes its files hold. */
async function plant(root: string, files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>): Promise<void> {
  const content = sampleContent();
  const sound: Record<string, Uint8Array<ArrayBuffer>> = { "trainer.safetensors": encodeTrainer(content.trainer) };
  const all = { ...sound, ...files };
  const seals = await Promise.all(Object.entries(all).map(async ([name, bytes]) => [name, await sealOf(bytes)]));
  Deno.mkdirSync(join(root, PATH));
  for (const [name, bytes] of Object.entries(all)) Deno.writeFileSync(join(root, PATH, name), bytes);
  Deno.writeFileSync(
    join(root, PATH, "manifest.json"),
    encodeManifest({ ...content, files: Object.fromEntries(seals) }),
  );
}

Deno.test("100 MB of JSON as a header is refused by its length, though all hashes agree", () =>
  withDirectory(async (root) => {
    const size = 100 * 1024 * 1024;
    const bytes = new Uint8Array(8 + size).fill(0x20);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true);
    bytes[8] = 0x7b;
    bytes[7 + size] = 0x7d;
    await plant(root, { "policy.safetensors": bytes });
    await assert.rejects(
      loadCheckpoint(root, PATH),
      rlcfError("checkpoint", /policy\.safetensors: header of 104857600 bytes, wanted at most 16 MiB/),
    );
  }));

Deno.test("a sparse file of many gigabytes is refused before it is read, even if the manifest lists its size", () =>
  withDirectory(async (root) => {
    const content = sampleContent();
    await publishCheckpoint(root, content);
    const size = 40 * 1024 ** 3;
    const file = join(root, PATH, "manifest.json");
    const manifest = JSON.parse(Deno.readTextFileSync(file));
    manifest.files["policy.safetensors"].bytes = size;
    Deno.writeTextFileSync(file, JSON.stringify(manifest));
    Deno.truncateSync(join(root, PATH, "policy.safetensors"), size);
    await assert.rejects(
      loadCheckpoint(root, PATH),
      rlcfError("checkpoint", /policy\.safetensors has 42949672960 bytes, wanted at most 2147483647/),
    );
  }));

/** Decodes; whatever is not accepted must be refused as a checkpoint that cannot be read. */
function acceptedOrRefused(decode: () => unknown): boolean {
  try {
    decode();
    return true;
  } catch (thrown) {
    assert.ok(thrown instanceof RlcfError, `found ${thrown instanceof Error ? thrown.stack : thrown}`);
    assert.equal(thrown.code, "checkpoint");
    assert.match(thrown.message, /fuzz/);
    return false;
  }
}

Deno.test(`any bytes and any JSON as manifest are refused or read, and nothing else happens (seed ${FUZZ_SEED})`, async () => {
  const files = { "policy.safetensors": await sealOf(new Uint8Array(3)) };
  const valid = encodeManifest({ ...sampleContent(), files });
  const fields = JSON.parse(new TextDecoder().decode(valid)) as Record<string, unknown>;
  const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const options = { seed: FUZZ_SEED, numRuns: 1500 };
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      (bytes) => void acceptedOrRefused(() => decodeManifest(bytes, "fuzz")),
    ),
    options,
  );
  fc.assert(
    fc.property(fc.json(), (json) => {
      acceptedOrRefused(() => decodeManifest(new TextEncoder().encode(json), "fuzz"));
    }),
    options,
  );
  // One field of a valid manifest replaced by anything at all.
  let refused = 0;
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(fields)), fc.jsonValue(), (name, value) => {
      const isAccepted = acceptedOrRefused(() => decodeManifest(encode({ ...fields, [name]: value }), "fuzz"));
      if (!isAccepted) refused++;
    }),
    options,
  );
  assert.ok(refused > 700, `${refused} refused`);
  // Bytes of a valid manifest changed.
  const change = fc.record({ at: fc.nat({ max: valid.length - 1 }), to: fc.nat({ max: 255 }) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = valid.slice();
      for (const { at, to } of changes) bytes[at] = to;
      acceptedOrRefused(() => decodeManifest(bytes, "fuzz"));
    }),
    options,
  );
});

Deno.test(`changed bytes of a trainer's file are refused or read, and nothing else happens (seed ${FUZZ_SEED})`, () => {
  const valid = encodeTrainer(sampleContent().trainer);
  const change = fc.record({ at: fc.nat({ max: valid.length - 1 }), to: fc.nat({ max: 255 }) });
  let refused = 0;
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = valid.slice();
      for (const { at, to } of changes) bytes[at] = to;
      if (!acceptedOrRefused(() => decodeTrainer(bytes, "fuzz"))) refused++;
    }),
    { seed: FUZZ_SEED, numRuns: 3000 },
  );
  assert.ok(refused > 1000, `${refused} refused`);
});
