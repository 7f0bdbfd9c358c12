import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { verifyCheckpoint } from "../../src/checkpoint/load.ts";
import { findStoredPolicy } from "../../src/session/open_policy.ts";
import { trainSession } from "../../src/session/train_session.ts";
import { createPersistence } from "../../src/store/create.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { drawnRecords, settings } from "../session/support.ts";
import { CrashSite, type Dialect, DIALECTS } from "./crash_support.ts";
import { type FaultPoint, openFaulty } from "./faulty_database.ts";
import { type FaultMode, FaultPlan } from "./faulty_disk.ts";

/** SQLite answers in the same call: only a network can lose an answer. */
const CASES: readonly (readonly [Dialect, FaultPoint, FaultMode])[] = [
  ["sqlite", "before", "once"],
  ["sqlite", "before", "forever"],
  ["postgres", "before", "once"],
  ["postgres", "answer", "once"],
  ["postgres", "answer", "forever"],
];
const FLAGS = {
  "checkpoint.save_frequency": 10,
  "checkpoint.keep_last_n": 1,
  "checkpoint.activate": "always",
  "training.epochs": 1,
} as const;
const LIMIT = 2000;

for (const [dialect, point, mode] of CASES) {
  const { missing } = DIALECTS.find((one) => one.dialect === dialect)!;
  const how = `${point === "before" ? "fails" : "loses its answer"} (${mode})`;
  const because = missing === undefined ? "" : ` (${missing})`;

  Deno.test({
    name: `${dialect}: train: whichever call of the database ${how}, what is active can be loaded, and nothing is ` +
      `half done${because}`,
    ignore: missing !== undefined,
    fn: async () => {
      await using site = await CrashSite.open(dialect, "", "");
      await using healthy = await createPersistence(site.url);
      const root = site.place.policies;
      await healthy.ingest(drawnRecords(30, 1));
      const train = (store: RLCFPersistence): Promise<unknown> => trainSession({ store, ...settings(root, FLAGS) });
      await train(healthy);
      let n = 1;
      for (; n < LIMIT; n++) {
        const before = (await healthy.getActivePolicy("gating"))!.version;
        const plan = new FaultPlan(n, mode);
        const done = await refusedOrDone(async () => {
          await using store = openFaulty(site.url, plan, point);
          await train(store);
        });
        const active = await findStoredPolicy(healthy, root, "gating");
        if (done) assert.notEqual(active.checkpoint.version, before);
        await assertWhole(healthy, root);
        const sessions = await healthy.listTrainingSessions("gating", 1000);
        assert.ok(sessions.filter(({ status }) => status === "running").length <= 1, "a dead session was not marked");
        await site.expireLease();
        if (plan.injected === 0) break;
      }
      assert.ok(n > 20 && n < LIMIT, `${n} calls`);
      await train(healthy);
      const sessions = await healthy.listTrainingSessions("gating", 1000);
      assert.equal(sessions.filter(({ status }) => status === "running").length, 0);
    },
  });

  Deno.test({
    name: `${dialect}: ingest: whichever call of the database ${how}, a batch is stored whole or not at all${because}`,
    ignore: missing !== undefined,
    fn: async () => {
      await using site = await CrashSite.open(dialect, "", "");
      await using healthy = await createPersistence(site.url);
      let n = 1;
      for (; n < LIMIT; n++) {
        const records = drawnRecords(20, n);
        const before = await healthy.getTrainingStats();
        const plan = new FaultPlan(n, mode);
        const done = await refusedOrDone(async () => {
          await using store = openFaulty(site.url, plan, point);
          await store.ingest(records);
        });
        const after = await healthy.getTrainingStats();
        const stored = after.total_traces - before.total_traces;
        assert.ok(done ? stored === 20 : stored === 0 || (stored === 20 && point === "answer"), `${stored} stored`);
        assert.equal(after.total_feedback - before.total_feedback, stored);
        assert.equal(after.traces_with_feedback, after.total_traces);
        const again = await healthy.ingest(records);
        assert.deepEqual(again, { ...again, traces: 20 - stored, feedback: 20 - stored });
        if (plan.injected === 0) break;
      }
      assert.ok(n > 4 && n < LIMIT, `${n} calls`);
    },
  });
}

/** A fault is told as an error of the database, or overcome. */
async function refusedOrDone(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (thrown) {
    assert.ok(thrown instanceof RlcfError, `found ${thrown instanceof Error ? thrown.stack : thrown}`);
    assert.equal(thrown.code, "database", thrown.message);
    assert.match(thrown.message, /^cannot /);
    return false;
  }
}

/** Every version on record and every directory of a version is whole, and the history ends with what is active. */
async function assertWhole(store: RLCFPersistence, root: string): Promise<void> {
  for (const { version, stateDictPath, manifestSha256 } of await store.listPolicyCheckpoints("gating")) {
    assert.deepEqual(await verifyCheckpoint(root, stateDictPath!, manifestSha256!), [], version);
  }
  for await (const { name } of Deno.readDir(root)) {
    if (!name.startsWith(".tmp-")) assert.deepEqual(await verifyCheckpoint(root, name), [], name);
  }
  const [latest] = await store.listActivations("gating", 1);
  assert.equal(latest!.toVersion, (await store.getActivePolicy("gating"))!.version);
}
