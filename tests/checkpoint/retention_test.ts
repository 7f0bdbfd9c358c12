import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { DISK } from "../../src/checkpoint/files.ts";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { publishCheckpoint } from "../../src/checkpoint/publish.ts";
import {
  chooseExpired,
  type DatedVersion,
  manifestHash,
  removeCheckpoint,
  removeThisCheckpoint,
  sweepTemporaries,
} from "../../src/checkpoint/retention.ts";
import { isPeriodic } from "../../src/checkpoint/version.ts";
import { namesIn, rlcfError, sampleContent, withDirectory } from "./support.ts";

/** Versions published one minute apart, in the given order. */
function dated(...versions: string[]): DatedVersion[] {
  return versions.map((version, i) => ({ version, createdAt: new Date(60_000 * i).toISOString() }));
}

Deno.test("the newest periodic checkpoints stay, the others go oldest first, releases are never chosen", () => {
  const all = dated("v1.0.0", "v1.0.1-ep.100", "v1.0.1-ep.200", "v1.0.1", "v1.0.2-ep.50", "v1.0.2-ep.90", "v2.0.0-rc1");
  const choose = (keepLastN: number): string[] => chooseExpired(all.toReversed(), { keepLastN, protectedVersions: [] });
  assert.deepEqual(choose(0), ["v1.0.1-ep.100", "v1.0.1-ep.200", "v1.0.2-ep.50", "v1.0.2-ep.90"]);
  assert.deepEqual(choose(2), ["v1.0.1-ep.100", "v1.0.1-ep.200"]);
  assert.deepEqual(choose(3), ["v1.0.1-ep.100"]);
  assert.deepEqual(choose(4), []);
  assert.deepEqual(choose(100), []);
});

Deno.test("the active, the previously active and tagged versions stay however old they are", () => {
  const all = dated("v1.0.1-ep.1", "v1.0.1-ep.2", "v1.0.1-ep.3", "v1.0.1-ep.4");
  assert.deepEqual(chooseExpired(all, { keepLastN: 1, protectedVersions: ["v1.0.1-ep.1", "v1.0.1-ep.3", "v9.9.9"] }), [
    "v1.0.1-ep.2",
  ]);
  assert.deepEqual(
    chooseExpired(all, { keepLastN: 1, protectedVersions: new Set(["v1.0.1-ep.4"]) }),
    ["v1.0.1-ep.1", "v1.0.1-ep.2", "v1.0.1-ep.3"],
    "a protected one among the newest counts as kept",
  );
});

Deno.test("newest is by time, not by number; equal times fall back to the number", () => {
  const all = dated("v2.0.0-ep.100", "v1.5.0-ep.900", "v1.5.0-ep.1000");
  assert.deepEqual(chooseExpired(all, { keepLastN: 2, protectedVersions: [] }), ["v2.0.0-ep.100"]);
  const createdAt = "2026-01-01T00:00:00Z";
  const together = [...all].map(({ version }) => ({ version, createdAt }));
  assert.deepEqual(chooseExpired(together, { keepLastN: 2, protectedVersions: [] }), ["v1.5.0-ep.900"]);
});

Deno.test("a count to keep that is no count is refused", () => {
  for (const keepLastN of [-1, 1.5, NaN, Infinity]) {
    assert.throws(
      () => chooseExpired([], { keepLastN, protectedVersions: [] }),
      rlcfError("usage", /keep_last_n is .*, wanted an integer >= 0/),
    );
  }
});

Deno.test("whatever the list, what goes is periodic and unprotected, and what stays of it is few", () => {
  const version: fc.Arbitrary<string> = fc.constantFrom(
    "v1.0.0",
    "v1.0.1",
    "v1.0.1-rc.1",
    "v1.0.1-ep.1",
    "v1.0.1-ep.2",
    "v1.0.2-ep.1",
    "odd",
  );
  const minute = fc.nat({ max: 3 }).map((m) => new Date(60_000 * m).toISOString());
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.record({ version, createdAt: minute }), { selector: (entry) => entry.version }),
      fc.nat({ max: 4 }),
      fc.array(version),
      (all, keepLastN, protectedVersions) => {
        const expired = chooseExpired(all, { keepLastN, protectedVersions });
        const periodic = all.filter((entry) => isPeriodic(entry.version)).map((entry) => entry.version);
        assert.ok(expired.every((text) => periodic.includes(text) && !protectedVersions.includes(text)));
        const left = periodic.filter((text) => !expired.includes(text) && !protectedVersions.includes(text));
        assert.ok(left.length <= keepLastN);
        assert.ok(periodic.length - expired.length >= Math.min(periodic.length, keepLastN));
      },
    ),
    { seed: 5, numRuns: 500 },
  );
});

Deno.test("a removed checkpoint is gone, the others are untouched, and removing it again does nothing", () =>
  withDirectory(async (root) => {
    await publishCheckpoint(root, sampleContent());
    await publishCheckpoint(root, sampleContent({ version: "v1.0.3" }));
    assert.equal(await removeCheckpoint(root, "gating-v1.0.2"), true);
    assert.deepEqual(namesIn(root), ["gating-v1.0.3"]);
    await loadCheckpoint(root, "gating-v1.0.3");
    assert.equal(await removeCheckpoint(root, "gating-v1.0.2"), false);
    await assert.rejects(removeCheckpoint(root, "../x"), rlcfError("checkpoint", /wanted the name of a directory/));
  }));

Deno.test("removal takes the checkpoint's name away before it deletes any file", () =>
  withDirectory(async (root) => {
    await publishCheckpoint(root, sampleContent());
    const original = Deno.remove;
    let seen: string[] = [];
    const failing = (): Promise<void> => {
      seen = namesIn(root);
      return Promise.reject(Object.assign(new Error("Input/output error"), { code: "EIO" }));
    };
    Object.defineProperty(Deno, "remove", { value: failing, configurable: true, writable: true });
    try {
      await assert.rejects(
        removeCheckpoint(root, "gating-v1.0.2"),
        rlcfError("checkpoint", /cannot delete .*\.tmp-trash/),
      );
    } finally {
      Object.defineProperty(Deno, "remove", { value: original, configurable: true, writable: true });
    }
    assert.equal(seen.length, 1);
    assert.match(seen[0]!, /^\.tmp-trash-gating-v1\.0\.2-[0-9a-f]{8}$/);
    assert.deepEqual(await sweepTemporaries(root, 0, Date.now() + 60_000), seen, "the sweep finishes the work");
    assert.deepEqual(namesIn(root), []);
  }));

Deno.test({
  name: "removing a link removes the link and not what it leads to",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withDirectory(async (directory) => {
      const [inside, outside] = [join(directory, "in"), join(directory, "out")];
      Deno.mkdirSync(inside);
      await publishCheckpoint(outside, sampleContent());
      Deno.symlinkSync(join(outside, "gating-v1.0.2"), join(inside, "gating-v1.0.2"));
      assert.equal(await removeCheckpoint(inside, "gating-v1.0.2"), true);
      assert.deepEqual(namesIn(inside), []);
      await loadCheckpoint(outside, "gating-v1.0.2");
    }),
});

/** Makes a directory with one file, both last written at the given times (milliseconds since 1970). */
function makeDirectory(directory: string, directoryTime: number, fileTime: number): void {
  Deno.mkdirSync(directory);
  Deno.writeTextFileSync(join(directory, "policy.safetensors"), "part");
  Deno.utimeSync(join(directory, "policy.safetensors"), new Date(fileTime), new Date(fileTime));
  Deno.utimeSync(directory, new Date(directoryTime), new Date(directoryTime));
}

Deno.test("the sweep removes temporary directories whose last write is old enough, and nothing else", () =>
  withDirectory(async (root) => {
    const now = Date.UTC(2026, 0, 2);
    const [old, recent] = [now - 3_600_000, now - 1_000];
    makeDirectory(join(root, ".tmp-gating-v1.0.2-0a1b2c3d"), old, old);
    makeDirectory(join(root, ".tmp-trash-gating-v1.0.1-0a1b2c3d"), old, old);
    makeDirectory(join(root, ".tmp-gating-v1.0.3-0a1b2c3d"), recent, recent);
    makeDirectory(join(root, ".tmp-gating-v1.0.4-0a1b2c3d"), old, recent);
    makeDirectory(join(root, ".tmp-gating-v1.0.5-0a1b2c3d"), recent, old);
    makeDirectory(join(root, "gating-v1.0.2"), old, old);
    makeDirectory(join(root, "other"), old, old);
    Deno.writeTextFileSync(join(root, ".tmp-file"), "not a directory");
    if (Deno.build.os !== "windows") Deno.symlinkSync("other", join(root, ".tmp-link"));
    const before = namesIn(root);
    const removed = await sweepTemporaries(root, 60_000, now);
    assert.deepEqual(removed, [".tmp-gating-v1.0.2-0a1b2c3d", ".tmp-trash-gating-v1.0.1-0a1b2c3d"]);
    assert.deepEqual(namesIn(root), before.filter((name) => !removed.includes(name)));
  }));

Deno.test("two sweeps at once do not disturb each other, and without a directory there is nothing to sweep", () =>
  withDirectory(async (root) => {
    for (let i = 0; i < 20; i++) makeDirectory(join(root, `.tmp-gating-v1.0.${i}-00`), 0, 0);
    await Promise.all([sweepTemporaries(root, 0), sweepTemporaries(root, 0), sweepTemporaries(root, 0)]);
    assert.deepEqual(namesIn(root), []);
    assert.deepEqual(await sweepTemporaries(join(root, "none"), 0), []);
  }));

Deno.test("a checkpoint is removed only while it is the one that is meant, and nobody wants it", async () => {
  await withDirectory(async (root) => {
    const { path, sha256 } = await publishCheckpoint(root, sampleContent());
    assert.equal(await manifestHash(root, path), sha256);
    const unwanted = (): Promise<boolean> => Promise.resolve(true);
    assert.equal(await removeThisCheckpoint(root, path, "0".repeat(64), unwanted), false);
    assert.equal(await removeThisCheckpoint(root, path, undefined, unwanted), false);
    assert.equal(await removeThisCheckpoint(root, path, sha256, () => Promise.resolve(false)), false);
    const refused = removeThisCheckpoint(root, path, sha256, () => Promise.reject(new Error("no answer")));
    await assert.rejects(refused, /no answer/);
    assert.deepEqual(namesIn(root), [path]);
    await loadCheckpoint(root, path, sha256);
    assert.equal(await removeThisCheckpoint(root, path, sha256, unwanted), true);
    assert.deepEqual(namesIn(root), []);
    assert.equal(await removeThisCheckpoint(root, path, undefined, unwanted), false);
  });
});

Deno.test("a checkpoint that takes the place of the one that is meant at the last moment gets its place back", async () => {
  await withDirectory(async (root) => {
    const { path, sha256 } = await publishCheckpoint(root, sampleContent());
    let other = "";
    const disk = {
      ...DISK,
      rename: async (from: string, to: string): Promise<void> => {
        if (other === "") {
          await removeCheckpoint(root, path);
          other = (await publishCheckpoint(root, { ...sampleContent(), createdAt: "2026-02-03T04:05:06Z" })).sha256;
        }
        await DISK.rename(from, to);
      },
    };
    assert.equal(await removeThisCheckpoint(root, path, sha256, () => Promise.resolve(true), disk), false);
    assert.notEqual(other, sha256);
    assert.deepEqual(namesIn(root), [path]);
    await loadCheckpoint(root, path, other);
  });
});
