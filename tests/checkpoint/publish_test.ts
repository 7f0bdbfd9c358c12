import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { publishCheckpoint } from "../../src/checkpoint/publish.ts";
import { decodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { namesIn, rlcfError, sampleContent, withDirectory } from "./support.ts";

Deno.test("what was published is loaded back, to the last bit", () =>
  withDirectory(async (root) => {
    const content = sampleContent();
    const published = await publishCheckpoint(root, content);
    const loaded = await loadCheckpoint(root, published.path);
    assert.equal(loaded.path, "gating-v1.0.2");
    assert.equal(loaded.sha256, published.sha256);
    assert.deepEqual(loaded.policy, content.policy);
    assert.deepEqual(loaded.trainer, content.trainer);
    const { policy: _policy, trainer: _trainer, ...described } = content;
    const { files, ...manifest } = loaded.manifest;
    assert.deepEqual(manifest, described);
    assert.deepEqual(Object.keys(files), ["policy.safetensors", "trainer.safetensors"]);
  }));

Deno.test("a published directory holds three files, and the manifest's hashes are what another library computes", () =>
  withDirectory(async (root) => {
    const { path, sha256 } = await publishCheckpoint(root, sampleContent());
    assert.deepEqual(namesIn(root), ["gating-v1.0.2"]);
    assert.deepEqual(namesIn(join(root, path)), ["manifest.json", "policy.safetensors", "trainer.safetensors"]);
    const hash = (name: string): string =>
      createHash("sha256").update(Deno.readFileSync(join(root, path, name))).digest("hex");
    assert.equal(hash("manifest.json"), sha256);
    const manifest = JSON.parse(Deno.readTextFileSync(join(root, path, "manifest.json")));
    assert.equal(manifest.format, 1);
    assert.equal(manifest.policy_type, "gating");
    assert.equal(manifest.parent_version, "v1.0.1");
    assert.equal(manifest.session_id, "5e8b8f0a-6a0e-4f6e-9a58-1d2b3c4d5e6f");
    for (const name of ["policy.safetensors", "trainer.safetensors"]) {
      assert.deepEqual(manifest.files[name], {
        sha256: hash(name),
        bytes: Deno.statSync(join(root, path, name)).size,
      });
    }
  }));

Deno.test("the policy file says in its metadata what it is", () =>
  withDirectory(async (root) => {
    await publishCheckpoint(root, sampleContent());
    const { metadata } = decodeSafetensors(Deno.readFileSync(join(root, "gating-v1.0.2/policy.safetensors")), "file");
    assert.deepEqual(metadata, { format: "pt", policy_type: "gating", version: "v1.0.2" });
  }));

Deno.test("the same content gives the same bytes", () =>
  withDirectory(async (root) => {
    const first = await publishCheckpoint(join(root, "a"), sampleContent());
    const second = await publishCheckpoint(join(root, "b"), sampleContent());
    assert.deepEqual(first, second);
  }));

Deno.test("the checkpoint directory is created with its parents", () =>
  withDirectory(async (directory) => {
    const root = join(directory, "models/policies");
    await publishCheckpoint(root, sampleContent({ version: "v1.0.3-ep.300", parentVersion: null, sessionId: null }));
    const { manifest } = await loadCheckpoint(root, "gating-v1.0.3-ep.300");
    assert.equal(manifest.parentVersion, null);
    assert.equal(manifest.sessionId, null);
  }));

Deno.test("a version that exists is never overwritten, not even an empty directory or a broken link", () =>
  withDirectory(async (root) => {
    await publishCheckpoint(root, sampleContent());
    Deno.mkdirSync(join(root, "gating-v1.0.3"));
    Deno.symlinkSync("nowhere", join(root, "gating-v1.0.4"));
    Deno.writeTextFileSync(join(root, "gating-v1.0.5"), "a file");
    const before = namesIn(root);
    const manifest = Deno.readTextFileSync(join(root, "gating-v1.0.2/manifest.json"));
    for (const version of ["v1.0.2", "v1.0.3", "v1.0.4", "v1.0.5"]) {
      await assert.rejects(
        publishCheckpoint(root, sampleContent({ version, metrics: {} })),
        rlcfError("checkpoint", new RegExp(`^cannot publish checkpoint \\S+/gating-${version}: it exists already$`)),
      );
    }
    assert.deepEqual(namesIn(root), before);
    assert.equal(Deno.readTextFileSync(join(root, "gating-v1.0.2/manifest.json")), manifest);
  }));

Deno.test("of many publishers of one version exactly one succeeds, and the result is whole", () =>
  withDirectory(async (root) => {
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => publishCheckpoint(root, sampleContent({ metrics: { publisher: i } }))),
    );
    const winners = results.flatMap((result, i) => result.status === "fulfilled" ? [i] : []);
    assert.equal(winners.length, 1);
    for (const result of results) {
      if (result.status === "rejected") {
        rlcfError("checkpoint", /^cannot publish checkpoint \S+: it exists already$/)(result.reason);
      }
    }
    assert.deepEqual(namesIn(root), ["gating-v1.0.2"]);
    assert.deepEqual((await loadCheckpoint(root, "gating-v1.0.2")).manifest.metrics, { publisher: winners[0] });
  }));

Deno.test("a checkpoint directory below a file is an error that names action, path and remedy", () =>
  withDirectory(async (directory) => {
    const file = join(directory, "file");
    Deno.writeTextFileSync(file, "");
    for (const root of [file, join(file, "policies")]) {
      await assert.rejects(publishCheckpoint(root, sampleContent()), (thrown) => {
        rlcfError("checkpoint", /^cannot /, /Not a directory/, new RegExp(root))(thrown);
        assert.match((thrown as { hint: string }).hint, /is a file where a directory is wanted/);
        return true;
      });
    }
    assert.deepEqual(namesIn(directory), ["file"]);
  }));

Deno.test({
  name: "a checkpoint directory without write permission is an error, and nothing is left",
  ignore: Deno.build.os === "windows" || Deno.uid() === 0, // root may write anywhere
  fn: () =>
    withDirectory(async (root) => {
      Deno.chmodSync(root, 0o500);
      try {
        await assert.rejects(publishCheckpoint(root, sampleContent()), rlcfError("checkpoint", /Permission denied/));
        assert.deepEqual(namesIn(root), []);
      } finally {
        Deno.chmodSync(root, 0o700);
      }
    }),
});

Deno.test({
  name: "without Deno's permission to write, the error says which flag is missing",
  permissions: { read: true, write: false },
  fn: async () => {
    await assert.rejects(publishCheckpoint("/nowhere/policies", sampleContent()), (thrown) => {
      rlcfError("checkpoint", /create checkpoint directory/)(thrown);
      assert.match((thrown as { hint: string }).hint, /--allow-write/);
      return true;
    });
  },
});

/** Runs a publication in which one function of Deno fails, and puts the function back. */
async function publishWithFailing(
  root: string,
  name: "open" | "rename",
  fails: (...given: readonly unknown[]) => boolean,
  failure: Error,
): Promise<void> {
  const original = Deno[name];
  const replacement = (...given: unknown[]): unknown =>
    fails(...given) ? Promise.reject(failure) : Reflect.apply(original, Deno, given);
  Object.defineProperty(Deno, name, { value: replacement, configurable: true, writable: true });
  try {
    await assert.rejects(publishCheckpoint(root, sampleContent()), (thrown) => {
      if ("code" in failure) rlcfError("checkpoint", /^cannot /, /No space left on device/)(thrown);
      else assert.equal(thrown, failure, "what the system did not cause passes unchanged");
      return true;
    });
  } finally {
    Object.defineProperty(Deno, name, { value: original, configurable: true, writable: true });
  }
}

const diskFull = Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
const FAILURES: readonly (readonly [string, "open" | "rename", (...given: readonly unknown[]) => boolean, Error])[] = [
  ["the first file cannot be written", "open", (path) => /policy\.safetensors$/.test(String(path)), diskFull],
  ["the manifest cannot be written", "open", (path) => /manifest\.json$/.test(String(path)), diskFull],
  ["the temporary directory cannot be synced", "open", (path) => /\.tmp-[^/]*$/.test(String(path)), diskFull],
  ["the rename fails", "rename", (_, to) => /gating-v1\.0\.2$/.test(String(to)), diskFull],
  ["the checkpoint directory cannot be synced", "open", (path) => /policies$/.test(String(path)), diskFull],
  ["there is a defect", "open", (path) => /manifest\.json$/.test(String(path)), new RangeError("a defect")],
];
for (const [name, operation, fails, failure] of FAILURES) {
  Deno.test(`nothing is left of a publication in which ${name}`, () =>
    withDirectory(async (directory) => {
      const root = join(directory, "policies");
      Deno.mkdirSync(root);
      await publishWithFailing(root, operation, fails, failure);
      assert.deepEqual(namesIn(root), []);
      await publishCheckpoint(root, sampleContent());
    }));
}

/**
 * Publishes while recording what is synced and renamed, as names without random parts, in order. `onSync` may fail the
 * sync of a name.
 */
async function recordedPublish(root: string, onSync: (name: string) => void = () => {}): Promise<string[]> {
  const events: string[] = [];
  const names = new WeakMap<object, string>();
  const { open, rename } = Deno;
  const sync = Deno.FsFile.prototype.sync;
  const short = (path: unknown): string => basename(String(path)).replace(/-[0-9a-f]{8}$/, "");
  const replace = (target: object, name: string, value: unknown): void => {
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
  };
  replace(Deno, "open", async (path: string, options: Deno.OpenOptions) => {
    const file = await open(path, options);
    names.set(file, short(path));
    return file;
  });
  replace(Deno, "rename", async (from: string, to: string) => {
    await rename(from, to);
    events.push(`rename ${short(from)} to ${short(to)}`);
  });
  replace(Deno.FsFile.prototype, "sync", async function (this: Deno.FsFile): Promise<void> {
    onSync(names.get(this)!);
    await sync.call(this);
    events.push(`sync ${names.get(this)}`);
  });
  try {
    await publishCheckpoint(root, sampleContent());
  } finally {
    replace(Deno, "open", open);
    replace(Deno, "rename", rename);
    replace(Deno.FsFile.prototype, "sync", sync);
  }
  return events;
}

/** A failure of fsync with the given code. */
function syncFailure(code: string): Error {
  return Object.assign(new Error(`sync says ${code}`), { code });
}

Deno.test("every file and the directory are on the disk before the rename, and the rename before the return", () =>
  withDirectory(async (directory) => {
    const root = join(directory, "policies");
    Deno.mkdirSync(root);
    const events = await recordedPublish(root);
    // The two are written side by side.
    assert.deepEqual(events.splice(0, 2).sort(), ["sync policy.safetensors", "sync trainer.safetensors"]);
    assert.deepEqual(events, [
      "sync manifest.json",
      "sync .tmp-gating-v1.0.2",
      "rename .tmp-gating-v1.0.2 to gating-v1.0.2",
      "sync policies",
    ]);
  }));

Deno.test("the parent of a checkpoint directory that had to be created is synced too", () =>
  withDirectory(async (directory) => {
    Deno.mkdirSync(join(directory, "models"));
    const events = await recordedPublish(join(directory, "models/policies"));
    assert.equal(events[0], "sync models");
  }));

Deno.test("a file system that cannot sync directories is accepted; one that cannot sync files is not", () =>
  withDirectory(async (directory) => {
    for (const code of ["EINVAL", "ENOTSUP"]) {
      const root = join(directory, code, "policies");
      Deno.mkdirSync(root, { recursive: true });
      const events = await recordedPublish(root, (name) => {
        if (!/\.(safetensors|json)$/.test(name)) throw syncFailure(code);
      });
      assert.equal(events.length, 4, "three files and the rename");
      const failing = recordedPublish(join(directory, "other"), (name) => {
        if (name === "manifest.json") throw syncFailure(code);
      });
      await assert.rejects(failing, rlcfError("checkpoint", /cannot write \S+manifest\.json: sync says/));
    }
  }));

Deno.test("a real failure to sync a directory is not hidden, and nothing is left", () =>
  withDirectory(async (directory) => {
    const root = join(directory, "policies");
    Deno.mkdirSync(root);
    for (const failing of ["policies", ".tmp-gating-v1.0.2"]) {
      const publication = recordedPublish(root, (name) => {
        if (name === failing) throw syncFailure("EIO");
      });
      await assert.rejects(publication, rlcfError("checkpoint", /cannot sync directory \S+: sync says EIO/));
      assert.deepEqual(namesIn(root), []);
    }
  }));

Deno.test("content that could not be read back is refused before anything is written", () =>
  withDirectory(async (root) => {
    const trainer = sampleContent().trainer;
    const cases = [
      [{ trainer: { ...trainer, state: { baseline: NaN } } }, "checkpoint", /baseline is NaN, wanted a finite number/],
      [{ trainer: { ...trainer, state: { deep: { list: [1, -Infinity] } } } }, "checkpoint", /1 is -Infinity/],
      [{ network: { input_scale: Infinity } }, "checkpoint", /input_scale is Infinity/],
      [{ createdAt: "yesterday" }, "checkpoint", /created_at/],
      [{ sessionId: "" }, "checkpoint", /session_id/],
      [{ config: Object.fromEntries([["__proto__", 1]]) }, "checkpoint", /__proto__/],
      [{ policy: { x: { shape: [2], data: Float32Array.of(1) } } }, "checkpoint", /does not fit/],
      [{ policyType: "../gating" }, "usage", /policy type "..\/gating"/],
      [{ version: "1.0.2" }, "usage", /wanted it written v1.0.2/],
      [{ version: "v1.0.2/../x" }, "usage", /wanted one such as/],
    ] as const;
    for (const [changes, code, pattern] of cases) {
      await assert.rejects(publishCheckpoint(root, sampleContent(changes)), rlcfError(code, pattern));
    }
    assert.deepEqual(namesIn(root), []);
  }));

Deno.test("metrics that are not finite are stored as null", () =>
  withDirectory(async (root) => {
    const { path } = await publishCheckpoint(root, sampleContent({ metrics: { value: NaN, loss: 1 } }));
    assert.deepEqual((await loadCheckpoint(root, path)).manifest.metrics, { value: null, loss: 1 });
  }));
