import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import type { LoadedCheckpoint } from "../../src/checkpoint/checkpoint.ts";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { findGpuAdapter } from "../../src/engine/devices.ts";
import { createPersistence } from "../../src/store/create.ts";
import { age, assertSound, CRASH_SEED, CrashSite, settled } from "./crash_support.ts";

/** Interruptions of one run; after these it is left alone. */
const INTERRUPTIONS = 5;
const RECORDS = 60;
const SESSION_OPEN = "episodes to train on";
const SIGNALS: readonly Deno.Signal[] = ["SIGKILL", "SIGINT", "SIGTERM", "SIGKILL"];
const TRAINING = "  epochs: 40\n  batch_size: 8";
const CHECKPOINT = "  activate: always\n  save_frequency: 4\n  keep_last_n: 2";

const adapter = await findGpuAdapter();

for (const backend of ["simd", "wasm", "cpu", "webgpu"]) {
  const missing = backend === "webgpu" && "missing" in adapter ? " (no WebGPU adapter)" : "";
  Deno.test({
    name: `${backend}: a run interrupted ${INTERRUPTIONS} times by SIGINT, SIGTERM and SIGKILL at random moments ` +
      `(seed ${CRASH_SEED}) ends in the bits of an uninterrupted one${missing}`,
    ignore: missing !== "",
    fn: async () => {
      await using whole = await CrashSite.open("sqlite", TRAINING, CHECKPOINT);
      await using pieces = await CrashSite.open("sqlite", TRAINING, CHECKPOINT);
      await whole.place.fill(RECORDS);
      await Deno.copyFile(`${whole.place.path}/log.db`, `${pieces.place.path}/log.db`);
      const flags = ["--backend", backend];
      const uninterrupted = await whole.kill(["train", ...flags], { after: SESSION_OPEN, delayMs: 120_000 });
      assert.equal(uninterrupted.code, 0, uninterrupted.stderr);
      await finishInPieces(pieces, flags, uninterrupted.workMs);
      const [wanted, found] = [await result(whole), await result(pieces)];
      assert.deepEqual(found.policy, wanted.policy);
      assert.deepEqual(found.trainer, wanted.trainer);
      assert.equal(found.manifest.parentVersion, wanted.manifest.parentVersion);
      const after = await assertSound(pieces, undefined);
      assert.equal(after.running, 0);
    },
  });
}

/** Starts, interrupts and takes up a run until it has completed. */
async function finishInPieces(site: CrashSite, flags: readonly string[], workMs: number): Promise<void> {
  const random = new Random(CRASH_SEED);
  let resume = false;
  for (let i = 0; i < INTERRUPTIONS + 3; i++) {
    const isLast = i >= INTERRUPTIONS;
    const moment = {
      after: SESSION_OPEN,
      delayMs: isLast ? 120_000 : 0.6 * workMs * random.uniform(),
      signal: SIGNALS[i % SIGNALS.length],
    };
    const { killed, code, stderr } = await site.kill(["train", ...resume ? ["--resume"] : [], ...flags], moment);
    await settled(site);
    const { temporaries } = await assertSound(site, undefined);
    age(site, temporaries);
    await site.expireLease();
    // A kill may also come after the session was closed, while the process ends.
    if (await site.count("select count(*) from training_sessions where status = 'completed'") > 0) return;
    if (!killed) assert.notEqual(code, 0, stderr);
    if (code === 130) {
      const command = `rlcf train --resume --config ${site.place.config} --database ${site.url} ${flags.join(" ")}`;
      assert.ok(stderr.includes(`to go on from there: ${command}\n`), stderr);
      resume = true;
    } else if (killed) {
      resume = await hasSaved(site);
    } else {
      assert.equal(code, 2, stderr);
      // Killed after the activation, before the session was closed.
      assert.match(stderr, /it is published and in use, so nothing is left to do/);
      await site.query(
        "update training_sessions set status = 'completed', ended_at = started_at where status = 'running'",
      );
      return;
    }
  }
  throw new Error("the run did not complete");
}

async function hasSaved(site: CrashSite): Promise<boolean> {
  return await site.count("select count(*) from policy_checkpoints where version like '%-ep.%'") > 0;
}

/** The version that the run ended with. */
async function result(site: CrashSite): Promise<LoadedCheckpoint> {
  await using store = await createPersistence(site.url);
  const { stateDictPath, manifestSha256 } = (await store.getActivePolicy("gating"))!;
  return await loadCheckpoint(site.place.policies, stateDictPath!, manifestSha256!);
}

Deno.test("a process killed between files and row, or between row and activation, does not keep its run from being taken up", async () => {
  await using whole = await CrashSite.open("sqlite", TRAINING, CHECKPOINT);
  await using cut = await CrashSite.open("sqlite", TRAINING, CHECKPOINT);
  await whole.place.fill(RECORDS);
  await Deno.copyFile(`${whole.place.path}/log.db`, `${cut.place.path}/log.db`);
  for (const site of [whole, cut]) assert.equal((await site.run(["train"])).code, 0);
  const undo = "update policy_checkpoints set is_active = 0, activated_at = null; ";
  for (
    const loss of [
      // What a kill right after the final row leaves.
      "",
      // What one before the final row leaves: its files alone.
      "delete from policy_checkpoints where version = 'v1.0.0'; ",
      // What one before the row of a periodic version leaves.
      "delete from policy_checkpoints where version = 'v1.0.0' or version = (select version from policy_checkpoints " +
      "where version like '%-ep.%' order by created_at desc limit 1); ",
    ]
  ) {
    for (const statement of `${undo}${loss}delete from policy_activations; `.split("; ").filter(Boolean)) {
      await cut.query(statement);
    }
    await cut.query("update training_sessions set status = 'running', ended_at = null");
    const resumed = await cut.run(["train", "--resume"]);
    assert.equal(resumed.code, 0, resumed.stderr);
    const [wanted, found] = [await result(whole), await result(cut)];
    assert.equal(found.manifest.version, "v1.0.0");
    assert.deepEqual(found.policy, wanted.policy);
    assert.deepEqual(found.trainer, wanted.trainer);
    await assertSound(cut, undefined);
  }
});

Deno.test("a run whose version is in use already is not taken up, and says so", async () => {
  await using site = await CrashSite.open("sqlite", TRAINING, CHECKPOINT);
  await site.place.fill(RECORDS);
  assert.equal((await site.run(["train"])).code, 0);
  // What a kill between the activation and the end of the session leaves.
  await site.query("update training_sessions set status = 'running', ended_at = null");
  const { code, stderr } = await site.run(["train", "--resume"]);
  assert.equal(code, 2);
  assert.match(stderr, /^error: cannot resume v1\.0\.0: it is published and in use, so nothing is left to do\nhint: /m);
});

Deno.test("a second Ctrl-C leaves at once and does no damage", async () => {
  await using site = await CrashSite.open("sqlite", "  epochs: 3000\n  batch_size: 1", "  activate: always");
  await site.place.fill(RECORDS);
  for (const gapMs of [0, 40, 250]) {
    const ended = await site.kill(["train"], { after: SESSION_OPEN, delayMs: 100, signal: "SIGINT", again: gapMs });
    assert.equal(ended.code, 130, ended.stderr);
    const { temporaries } = await assertSound(site, undefined);
    age(site, temporaries);
    await site.expireLease();
  }
});
