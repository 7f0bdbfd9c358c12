/**
 * Many processes on one database at once: activations that race, and writers beside a trainer.
 */
import assert from "node:assert/strict";
import { createPersistence } from "../../src/store/create.ts";
import type { PolicyActivation } from "../../src/store/persistence.ts";
import { drawnRecords } from "../session/support.ts";
import { testOnEachEmpty } from "../store/databases.ts";
import { ended, pause, SOAK, startWorker } from "./database_support.ts";

const PROCESSES = 4;
const ACTIVATIONS = SOAK ? 10_000 : 1000;
const WRITERS = 10;
const ROUNDS = SOAK ? 200 : 6;

testOnEachEmpty(
  `${ACTIVATIONS} racing activations: always exactly one active, an unbroken history`,
  async ({ url }) => {
    await using store = await createPersistence(url);
    for (let i = 0; i < 6; i++) await store.savePolicyCheckpoint({ version: `v${i}`, policyType: "gating" });
    assert.equal(await store.activatePolicy("v0", "gating"), true);
    const racing = Array.from(
      { length: PROCESSES },
      (_, seed) => ended(startWorker(["activate", url, String(ACTIVATIONS / PROCESSES), String(seed)])),
    );
    const end = Promise.all(racing);
    let done = false;
    let looks = 0;
    const looking = (async () => {
      for (; !done; looks++) {
        const active = (await store.listPolicyCheckpoints("gating")).filter(({ isActive }) => isActive);
        assert.equal(active.length, 1);
        // SQLite answers without waiting for anything: the end of the others could not be heard.
        await pause(20);
      }
    })();
    const results = await end.finally(() => done = true);
    await looking;
    for (const { code, stderr } of results) assert.equal(code, 0, stderr);
    assert.ok(looks > 10);
    const history = (await store.listActivations("gating")).toReversed();
    // The active one once more adds nothing, so it is fewer than were asked for.
    assert.ok(history.length > ACTIVATIONS / 4 && history.length <= ACTIVATIONS + 1, String(history.length));
    const before = (i: number): PolicyActivation | undefined => history[i - 1];
    for (const [i, { fromVersion }] of history.entries()) assert.equal(fromVersion, before(i)?.toVersion ?? null);
    assert.equal((await store.getActivePolicy("gating"))?.version, history.at(-1)!.toVersion);
    // All of them took part.
    assert.equal(new Set(history.map(({ activatedBy }) => activatedBy)).size, PROCESSES + 1);
  },
);

testOnEachEmpty("ten processes write while one trains: nothing is lost and nobody is locked out", async (on) => {
  const root = await Deno.makeTempDir({ prefix: "rlcf-races-" });
  try {
    await using store = await createPersistence(on.url);
    await store.ingest(drawnRecords(60, 999));
    const writers = Array.from(
      { length: WRITERS },
      (_, i) => ended(startWorker(["write", on.url, String(ROUNDS), String(i + 1)])),
    );
    const trainer = ended(startWorker(["train", on.url, root, "60000"]));
    for (const { code, stderr } of await Promise.all([...writers, trainer])) {
      assert.equal(code, 0, stderr);
      assert.doesNotMatch(stderr, /locked/);
    }
    const stats = await store.getTrainingStats();
    const traces = 60 + WRITERS * ROUNDS * 2;
    const feedback = 60 + WRITERS * ROUNDS * 3;
    assert.deepEqual(
      [stats.total_traces, stats.traces_with_feedback, stats.total_feedback],
      [traces, traces, feedback],
    );
    assert.equal((await store.getActivePolicy("gating"))?.version, "v1.0.0");
    assert.equal((await store.listTrainingSessions("gating"))[0]!.status, "completed");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
