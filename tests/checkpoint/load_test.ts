import assert from "node:assert/strict";
import { join } from "node:path";
import { loadCheckpoint, verifyCheckpoint } from "../../src/checkpoint/load.ts";
import { publishCheckpoint } from "../../src/checkpoint/publish.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { sealOf } from "../../src/checkpoint/manifest.ts";
import { rlcfError, sampleContent, withDirectory } from "./support.ts";

const PATH = "gating-v1.0.2";

/** Publishes the sample, runs `damage` on its directory, and wants loading and verifying to report the pattern. */
async function expectBroken(damage: (directory: string) => unknown, ...patterns: RegExp[]): Promise<void> {
  await withDirectory(async (root) => {
    await publishCheckpoint(root, sampleContent());
    assert.deepEqual(await verifyCheckpoint(root, PATH), []);
    await damage(join(root, PATH));
    await assert.rejects(loadCheckpoint(root, PATH), rlcfError("checkpoint", ...patterns));
    const problems = (await verifyCheckpoint(root, PATH)).join("; ");
    for (const pattern of patterns) assert.match(problems, pattern);
  });
}

/** Edits the parsed manifest in place. */
// deno-lint-ignore no-explicit-any -- damage is done to fields of any kind
function editManifest(directory: string, edit: (manifest: any) => void): void {
  const file = join(directory, "manifest.json");
  const manifest = JSON.parse(Deno.readTextFileSync(file));
  edit(manifest);
  Deno.writeTextFileSync(file, JSON.stringify(manifest));
}

function editBytes(file: string, edit: (bytes: Uint8Array) => Uint8Array): void {
  Deno.writeFileSync(file, edit(Deno.readFileSync(file)));
}

for (const name of ["policy.safetensors", "trainer.safetensors"]) {
  Deno.test(`one flipped bit in ${name} is found, with both hashes`, () =>
    expectBroken(
      (directory) =>
        editBytes(join(directory, name), (bytes) => {
          bytes[bytes.length - 1]! ^= 1;
          return bytes;
        }),
      new RegExp(`${name} has SHA-256 [0-9a-f]{64}, wanted [0-9a-f]{64}`),
    ));

  Deno.test(`a ${name} cut short is found, with both sizes`, () =>
    expectBroken(
      (directory) => editBytes(join(directory, name), (bytes) => bytes.subarray(0, -4)),
      new RegExp(`${name} has \\d+ bytes, wanted \\d+`),
    ));

  Deno.test(`a missing ${name} is found`, () =>
    expectBroken((directory) => Deno.remove(join(directory, name)), new RegExp(`${name} is missing`)));

  Deno.test(`a directory in place of ${name} is found`, () =>
    expectBroken(async (directory) => {
      await Deno.remove(join(directory, name));
      await Deno.mkdir(join(directory, name));
    }, new RegExp(`${name} is not a regular file`)));
}

Deno.test("two files that changed places are both reported", () =>
  expectBroken(
    async (directory) => {
      await Deno.rename(join(directory, "policy.safetensors"), join(directory, "x"));
      await Deno.rename(join(directory, "trainer.safetensors"), join(directory, "policy.safetensors"));
      await Deno.rename(join(directory, "x"), join(directory, "trainer.safetensors"));
    },
    /policy\.safetensors has/,
    /trainer\.safetensors has/,
  ));

Deno.test("a missing, empty, cut or huge manifest is found", async () => {
  const file = (directory: string): string => join(directory, "manifest.json");
  await expectBroken((directory) => Deno.remove(file(directory)), /manifest\.json is missing/);
  await expectBroken((directory) => Deno.writeTextFile(file(directory), ""), /manifest\.json.*JSON/);
  await expectBroken((directory) => editBytes(file(directory), (bytes) => bytes.subarray(0, 200)), /valid JSON/);
  await expectBroken((directory) => Deno.truncate(file(directory), 17 * 1024 * 1024), /has 17825792 bytes, wanted at/);
});

Deno.test("a manifest with a field twice is refused: two readers could disagree on it", () =>
  expectBroken(
    (directory) =>
      editBytes(
        join(directory, "manifest.json"),
        (bytes) => new TextEncoder().encode(new TextDecoder().decode(bytes).replace("{", '{"version":"v1.0.2",')),
      ),
    /"version" appears twice/,
  ));

const DAMAGED_MANIFESTS: readonly (readonly [string, (manifest: Record<string, unknown>) => void, RegExp])[] = [
  ["another format", (m) => m.format = 2, /format is 2, wanted 1/],
  ["no version", (m) => delete m.version, /version: found nothing/],
  ["a number as policy type", (m) => m.policy_type = 3, /policy_type: found 3/],
  ["a text as network", (m) => m.network = "big", /network: found the text "big"/],
  ["no engine", (m) => m.engine = null, /engine: found null/],
  ["no date", (m) => m.created_at = "soon", /created_at/],
  ["no files", (m) => m.files = {}, /does not list policy\.safetensors.*does not list trainer\.safetensors/],
  ["another version's files", (m) => m.version = "v1.0.9", /describes "gating-v1\.0\.9", wanted gating-v1\.0\.2/],
  ["an impossible version", (m) => m.version = "../..", /describes "gating-\.\.\/\.\."/],
  ["a file outside", (m) => m.files = { "../../etc/passwd": {} }, /wanted a plain file name/],
  ["an absolute file", (m) => m.files = { "/etc/passwd": {} }, /wanted a plain file name/],
  ["a hash of another length", (m) => m.files = { "policy.safetensors": { sha256: "00", bytes: 1 } }, /64 lower-case/],
  ["half a byte", (m) => m.files = { x: { sha256: "0".repeat(64), bytes: 0.5 } }, /files\.x\.bytes.*whole number/],
  ["a negative size", (m) => m.files = { x: { sha256: "0".repeat(64), bytes: -1 } }, /files\.x\.bytes/],
];
for (const [name, edit, pattern] of DAMAGED_MANIFESTS) {
  Deno.test(`a manifest is refused for: ${name}`, () =>
    expectBroken((directory) => editManifest(directory, edit), pattern));
}

Deno.test("a further file that the manifest lists is verified too", () =>
  expectBroken(
    (directory) => editManifest(directory, (m) => m.files["extra.bin"] = { sha256: "0".repeat(64), bytes: 3 }),
    /extra\.bin is missing/,
  ));

Deno.test("files that match their hashes but hold no tensors are reported, not loaded", () =>
  expectBroken((directory) => {
    const bytes = encodeSafetensors({}, { other: "text" });
    Deno.writeFileSync(join(directory, "trainer.safetensors"), bytes);
    const seal = sealOf(bytes);
    editManifest(directory, (m) => m.files["trainer.safetensors"] = seal);
  }, /trainer\.safetensors: found no state in its metadata/));

Deno.test("a trainer's state that is no JSON object is reported, not loaded", async () => {
  for (const [state, pattern] of [["[1]", /an array of 1, wanted an object/], ["{", /wanted valid JSON/]] as const) {
    await expectBroken((directory) => {
      const bytes = encodeSafetensors({}, { state });
      Deno.writeFileSync(join(directory, "trainer.safetensors"), bytes);
      const seal = sealOf(bytes);
      editManifest(directory, (m) => m.files["trainer.safetensors"] = seal);
    }, pattern);
  }
});

Deno.test("the manifest itself is compared with the hash that the caller recorded", () =>
  withDirectory(async (root) => {
    const { sha256 } = await publishCheckpoint(root, sampleContent());
    assert.equal((await loadCheckpoint(root, PATH, sha256)).sha256, sha256);
    editManifest(join(root, PATH), (m) => m.metrics.value = 1);
    assert.deepEqual(await verifyCheckpoint(root, PATH), [], "no hash seals the manifest unless one is given");
    await assert.rejects(loadCheckpoint(root, PATH, sha256), rlcfError("checkpoint", /manifest\.json has SHA-256/));
    assert.match((await verifyCheckpoint(root, PATH, sha256)).join(), new RegExp(`wanted ${sha256}`));
  }));

Deno.test("fields and files that this version does not know do no harm", () =>
  withDirectory(async (root) => {
    await publishCheckpoint(root, sampleContent());
    editManifest(join(root, PATH), (m) => m.added_later = { a: 1 });
    Deno.writeTextFileSync(join(root, PATH, "bench.json"), "{}");
    assert.deepEqual(await verifyCheckpoint(root, PATH), []);
    assert.deepEqual((await loadCheckpoint(root, PATH)).policy, sampleContent().policy);
  }));

Deno.test("a checkpoint that is not there is not found, whatever is missing of the way to it", () =>
  withDirectory(async (root) => {
    for (const [place, path] of [[root, PATH], [join(root, "no/such/place"), PATH]] as const) {
      await assert.rejects(loadCheckpoint(place, path), (thrown) => {
        rlcfError("checkpoint", /^Policy checkpoint not found: gating-v1\.0\.2 in /)(thrown);
        assert.match((thrown as { hint: string }).hint, /rlcf policy list/);
        return true;
      });
      assert.match((await verifyCheckpoint(place, path)).join(), /^Policy checkpoint not found/);
    }
  }));

Deno.test("a checkpoint of the original, one .pt file, is refused with the reason", () =>
  withDirectory(async (root) => {
    Deno.writeTextFileSync(join(root, "gating_v1.0.0.pt"), "");
    await assert.rejects(
      loadCheckpoint(root, "gating_v1.0.0.pt"),
      rlcfError("checkpoint", /found a file, wanted a dir/),
    );
  }));

Deno.test("paths that are more than one plain name are refused before the disk is touched", async () => {
  const paths = [
    "",
    ".",
    "..",
    "../gating-v1.0.2",
    "a/../b",
    "sub/gating-v1.0.2",
    "/etc",
    "C:\\policies",
    "a\\b",
    "a\0b",
  ];
  for (const path of [...paths, ".tmp-gating-v1.0.2-00", "~", "gating-v1.0.2/", "x".repeat(300), "%2e%2e", "a\nb"]) {
    await assert.rejects(
      loadCheckpoint("/nowhere", path),
      rlcfError("checkpoint", /wanted the name of a directory inside \/nowhere/),
    );
    assert.equal((await verifyCheckpoint("/nowhere", path)).length, 1);
  }
});

const cannotLink = Deno.build.os === "windows";

Deno.test({
  name: "a link that leads out of the checkpoint directory is refused, for the directory and for each file",
  ignore: cannotLink,
  fn: () =>
    withDirectory(async (directory) => {
      const [inside, outside] = [join(directory, "policies"), join(directory, "policies-elsewhere")];
      Deno.mkdirSync(inside);
      await publishCheckpoint(outside, sampleContent());
      const link = join(inside, PATH);
      Deno.symlinkSync(join(outside, PATH), link);
      const refused = rlcfError("checkpoint", /gating-v1\.0\.2: it is a link that leaves/);
      await assert.rejects(loadCheckpoint(inside, PATH), refused);
      for (const name of ["policy.safetensors", "trainer.safetensors", "manifest.json"]) {
        Deno.removeSync(link, { recursive: true });
        await publishCheckpoint(inside, sampleContent());
        Deno.removeSync(join(link, name));
        Deno.symlinkSync(join(outside, PATH, name), join(link, name));
        await assert.rejects(loadCheckpoint(inside, PATH), rlcfError("checkpoint", new RegExp(`${name} is a link`)));
        assert.match((await verifyCheckpoint(inside, PATH)).join(), new RegExp(`${name} is a link`));
      }
    }),
});

Deno.test({
  name: "a checkpoint directory that is itself a link works",
  ignore: cannotLink,
  fn: () =>
    withDirectory(async (directory) => {
      await publishCheckpoint(join(directory, "real"), sampleContent());
      Deno.symlinkSync("real", join(directory, "link"));
      assert.deepEqual(await verifyCheckpoint(join(directory, "link"), PATH), []);
    }),
});

Deno.test({
  name: "links that run in a circle are an error of the disk",
  ignore: cannotLink,
  fn: () =>
    withDirectory(async (root) => {
      Deno.symlinkSync(PATH, join(root, PATH));
      await assert.rejects(
        loadCheckpoint(root, PATH),
        rlcfError("checkpoint", /look for checkpoint/, /symbolic links/),
      );
    }),
});

Deno.test("publishing and loading need no permission beyond the checkpoint directory", () =>
  withDirectory(async (directory) => {
    const root = join(directory, "policies");
    const script = join(directory, "script.ts");
    const module = (name: string): string => JSON.stringify(import.meta.resolve(`../../src/checkpoint/${name}`));
    const support = JSON.stringify(import.meta.resolve("./support.ts"));
    Deno.writeTextFileSync(
      script,
      `import { publishCheckpoint } from ${module("publish.ts")};
       import { loadCheckpoint } from ${module("load.ts")};
       import { removeCheckpoint, sweepTemporaries } from ${module("retention.ts")};
       import { sampleContent } from ${support};
       const [root] = Deno.args;
       const { path } = await publishCheckpoint(root, sampleContent());
       const { manifest } = await loadCheckpoint(root, path);
       await removeCheckpoint(root, path);
       await sweepTemporaries(root, 0);
       console.log(manifest.version, [...Deno.readDirSync(root)].length);`,
    );
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--config",
        new URL("../../deno.json", import.meta.url).pathname,
        `--allow-read=${root}`,
        `--allow-write=${root}`,
        script,
        root,
      ],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "v1.0.2 0\n", new TextDecoder().decode(stderr));
  }));
