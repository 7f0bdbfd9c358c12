/** Files beside a checkpoint: replaced whole, and no part of it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { BENCH_FILE, writeBeside } from "../../src/checkpoint/beside.ts";

Deno.test("a file beside a checkpoint is replaced whole, and no other is left", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(root, "gating-v1.0.0"));
    await writeBeside(root, "gating-v1.0.0", BENCH_FILE, "first, and longer\n");
    const path = await writeBeside(root, "gating-v1.0.0", BENCH_FILE, "second\n");
    assert.equal(await Deno.readTextFile(path), "second\n");
    assert.deepEqual([...Deno.readDirSync(join(root, "gating-v1.0.0"))].map(({ name }) => name), ["bench.json"]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("a path that leads out of the checkpoint directory is refused, and a missing one is told", async () => {
  const root = await Deno.makeTempDir();
  try {
    for (const path of ["..", "/tmp", "a/b", ""]) {
      await assert.rejects(writeBeside(root, path, BENCH_FILE, "x"), /cannot use checkpoint path/);
    }
    await assert.rejects(writeBeside(root, "gating-v9.0.0", BENCH_FILE, "x"), /cannot write .*gating-v9\.0\.0/);
    assert.deepEqual([...Deno.readDirSync(root)], []);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
