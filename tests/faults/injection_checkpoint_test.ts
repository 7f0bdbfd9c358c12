import assert from "node:assert/strict";
import { join } from "node:path";
import { RlcfError } from "../../src/base/errors.ts";
import { loadCheckpoint, verifyCheckpoint } from "../../src/checkpoint/load.ts";
import { publishCheckpoint } from "../../src/checkpoint/publish.ts";
import { removeCheckpoint, sweepTemporaries } from "../../src/checkpoint/retention.ts";
import { writeBeside } from "../../src/checkpoint/beside.ts";
import { findStoredPolicy } from "../../src/session/open_policy.ts";
import { namesIn, sampleContent, withDirectory } from "../checkpoint/support.ts";
import { Workplace } from "../session/support.ts";
import { type FaultMode, FaultPlan, faultyDisk } from "./faulty_disk.ts";

const MODES: readonly FaultMode[] = ["once", "forever"];
/** More operations than any of these pieces of work has: a loop that gets here does not end by itself. */
const LIMIT = 2000;

/**
 * Runs a piece of work with the n-th operation failing, for n = 1, 2, 3, ... until no fault was met any more, and checks
 * after each. Returns how many were met.
 */
async function forEachFault(mode: FaultMode, trial: (plan: FaultPlan, n: number) => Promise<void>): Promise<number> {
  for (let n = 1; n < LIMIT; n++) {
    const plan = new FaultPlan(n, mode);
    await trial(plan, n);
    if (plan.injected === 0) return n - 1;
  }
  throw new Error(`still failing at operation ${LIMIT}`);
}

/** A fault is told as an error of the checkpoint that names a path, or overcome. */
async function refusedOrDone(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (thrown) {
    assert.ok(thrown instanceof RlcfError, `found ${thrown instanceof Error ? thrown.stack : thrown}`);
    assert.equal(thrown.code, "checkpoint");
    assert.match(thrown.message, /^cannot .*\//);
    return false;
  }
}

for (const mode of MODES) {
  Deno.test(`publish: whichever operation of the disk fails (${mode}), a version is whole or not there`, async () => {
    const faults = await forEachFault(mode, (plan) =>
      withDirectory(async (directory) => {
        const root = join(directory, "policies");
        const done = await refusedOrDone(publishCheckpoint(root, sampleContent(), faultyDisk(plan)));
        const names = await Deno.stat(root).then(() => namesIn(root), () => []);
        const published = names.filter((name) => !name.startsWith(".tmp-"));
        if (done) assert.deepEqual(published, ["gating-v1.0.2"]);
        // A disk that fails once is cleared up at once; after it has failed for good the sweep does it.
        if (!done && mode === "once") assert.deepEqual(names, []);
        for (const name of published) assert.deepEqual(await verifyCheckpoint(root, name), []);
        await sweepTemporaries(root, 0, Date.now() + 60_000);
        if (!done && published.length === 0) await publishCheckpoint(root, sampleContent());
        assert.deepEqual(namesIn(root), ["gating-v1.0.2"]);
        await loadCheckpoint(root, "gating-v1.0.2");
      }));
    assert.ok(faults >= 15, `${faults} operations`);
  });

  Deno.test(`remove: whichever operation of the disk fails (${mode}), a version is whole or not there`, async () => {
    const faults = await forEachFault(mode, (plan) =>
      withDirectory(async (root) => {
        await publishCheckpoint(root, sampleContent());
        await refusedOrDone(removeCheckpoint(root, "gating-v1.0.2", faultyDisk(plan)));
        for (const name of namesIn(root).filter((name) => !name.startsWith(".tmp-"))) {
          assert.deepEqual(await verifyCheckpoint(root, name), []);
        }
        await removeCheckpoint(root, "gating-v1.0.2");
        await sweepTemporaries(root, 0, Date.now() + 60_000);
        assert.deepEqual(namesIn(root), []);
      }));
    assert.ok(faults >= 3, `${faults} operations`);
  });

  Deno.test(`load and verify: whichever operation fails (${mode}), the failure is told and nothing is loaded`, async () => {
    await withDirectory(async (root) => {
      await publishCheckpoint(root, sampleContent());
      const faults = await forEachFault(mode, async (plan) => {
        const done = await refusedOrDone(loadCheckpoint(root, "gating-v1.0.2", undefined, faultyDisk(plan)));
        assert.equal(done, plan.injected === 0);
        const again = new FaultPlan(plan.first, mode);
        const problems = await verifyCheckpoint(root, "gating-v1.0.2", undefined, faultyDisk(again));
        assert.equal(problems.length > 0, again.injected > 0);
      });
      assert.ok(faults >= 10, `${faults} operations`);
    });
  });

  Deno.test(`beside and sweep: whichever operation fails (${mode}), an old file stays whole until the new one is`, async () => {
    await withDirectory(async (root) => {
      await publishCheckpoint(root, sampleContent());
      await writeBeside(root, "gating-v1.0.2", "bench.json", "old");
      const faults = await forEachFault(mode, async (plan) => {
        const work = writeBeside(root, "gating-v1.0.2", "bench.json", "new", faultyDisk(plan));
        const done = await refusedOrDone(work);
        const found = Deno.readTextFileSync(join(root, "gating-v1.0.2", "bench.json"));
        assert.ok(found === "new" || (!done && found === "old"), found);
        assert.deepEqual(await verifyCheckpoint(root, "gating-v1.0.2"), []);
        await writeBeside(root, "gating-v1.0.2", "bench.json", "old");
      });
      assert.ok(faults >= 5, `${faults} operations`);
      const swept = await forEachFault(mode, async (plan) => {
        Deno.mkdirSync(join(root, ".tmp-gating-v1.0.3-00"), { recursive: true });
        await refusedOrDone(sweepTemporaries(root, 0, Date.now() + 60_000, faultyDisk(plan)));
      });
      assert.ok(swept >= 3, `${swept} operations`);
      assert.ok(namesIn(root).includes("gating-v1.0.2"));
    });
  });
}

/** A session that saves on its way, over an active version; the flags are those of the configuration. */
const FLAGS = {
  "checkpoint.save_frequency": 10,
  "checkpoint.keep_last_n": 1,
  "checkpoint.activate": "always",
  "training.epochs": 2,
} as const;

for (const mode of MODES) {
  Deno.test(`train: whichever operation of the disk fails (${mode}), the old version stays active and can be loaded, or the new one is`, async () => {
    await using work = await Workplace.open(30);
    await work.train(FLAGS);
    let completed = 0;
    const faults = await forEachFault(mode, async (plan) => {
      const before = (await work.store.getActivePolicy("gating"))!.version;
      const done = await refusedOrDone(work.train(FLAGS, { disk: faultyDisk(plan) }));
      const active = await findStoredPolicy(work.store, work.root, "gating");
      const [session] = await work.store.listTrainingSessions("gating", 1);
      if (done) {
        completed++;
        assert.notEqual(active.checkpoint.version, before);
        assert.equal(session!.status, "completed");
      } else {
        assert.equal(active.checkpoint.version, before, "a session that failed must not change who is active");
      }
      assert.notEqual(session!.status, "running");
      assert.equal(await work.store.getLeaseHolder("gating"), null);
      for (const { version, stateDictPath, manifestSha256 } of await work.store.listPolicyCheckpoints("gating")) {
        assert.deepEqual(await verifyCheckpoint(work.root, stateDictPath!, manifestSha256!), [], version);
      }
      for (const name of (await work.directories()).filter((name) => !name.startsWith(".tmp-"))) {
        assert.deepEqual(await verifyCheckpoint(work.root, name), [], name);
      }
      await sweepTemporaries(work.root, 0, Date.now() + 60_000);
    });
    assert.ok(faults > 40, `${faults} operations`);
    // The last trial met no fault; before it, only what is housekeeping may fail without the session failing.
    assert.ok(completed >= 1, `${completed} of ${faults + 1} completed`);
    const report = await work.train(FLAGS);
    assert.equal(report.activated, true);
  });
}
