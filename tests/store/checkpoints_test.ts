import assert from "node:assert/strict";
import type { PolicyActivation } from "../../src/store/persistence.ts";
import { testOnEach } from "./databases.ts";
import { refusal } from "./refusals.ts";

testOnEach("a checkpoint is stored inactive with everything it was given", async ({ store }) => {
  const trainingSessionId = await store.startTrainingSession("gating");
  const id = await store.savePolicyCheckpoint({
    version: "v1.0.1",
    policyType: "gating",
    parentVersion: "v1.0.0",
    stateDictPath: "gating-v1.0.1",
    manifestSha256: "ab".repeat(32),
    config: { input_dim: 768, experts: ["literal"] },
    trainingMetrics: { avg_reward: 0.75 },
    trainingSessionId,
    trainingEpisodes: 500,
  });
  const { createdAt, ...checkpoint } = (await store.getPolicyCheckpoint("v1.0.1", "gating"))!;
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000);
  assert.deepEqual(checkpoint, {
    id,
    version: "v1.0.1",
    policyType: "gating",
    parentVersion: "v1.0.0",
    stateDictPath: "gating-v1.0.1",
    manifestSha256: "ab".repeat(32),
    config: { input_dim: 768, experts: ["literal"] },
    trainingMetrics: { avg_reward: 0.75 },
    bench: null,
    trainingSessionId,
    trainingEpisodes: 500,
    tag: null,
    isActive: false,
    activatedAt: null,
  });
  assert.equal(await store.getActivePolicy("gating"), null);
  assert.equal(await store.getPolicyCheckpoint("v1.0.1", "react"), null);
});

testOnEach("a version is unique within its type", async ({ store }) => {
  await store.savePolicyCheckpoint({ version: "v1", policyType: "gating" });
  await store.savePolicyCheckpoint({ version: "v1", policyType: "react" });
  await assert.rejects(
    store.savePolicyCheckpoint({ version: "v1", policyType: "gating" }),
    refusal("usage", /cannot store checkpoint v1 of gating: this version exists already/),
  );
});

testOnEach("what a checkpoint cannot hold is refused", async ({ store }) => {
  const save = (change: Record<string, unknown>): Promise<string> =>
    store.savePolicyCheckpoint({ version: "v1", policyType: "gating", ...change });
  await assert.rejects(save({ version: "v".repeat(51) }), refusal("usage", /checkpoint\.version/));
  await assert.rejects(save({ manifestSha256: "xyz" }), refusal("usage", /manifest_sha256/));
  await assert.rejects(save({ trainingEpisodes: 1.5 }), refusal("usage", /training_episodes/));
  await assert.rejects(save({ trainingMetrics: { loss: NaN } }), refusal("usage", /training_metrics\.loss: found NaN/));
  await assert.rejects(save({ trainingSessionId: "s1" }), refusal("usage", /training_session_id/));
});

testOnEach("activation moves the one active flag and writes the history", async ({ store }) => {
  for (const version of ["v1.0.0", "v1.0.1", "v1.0.2"]) {
    await store.savePolicyCheckpoint({ version, policyType: "gating" });
  }
  await store.savePolicyCheckpoint({ version: "v1.0.0", policyType: "react" });
  assert.equal(await store.activatePolicy("v1.0.0", "react"), true);
  assert.equal(await store.activatePolicy("v1.0.1", "gating", { by: "train", reason: "better by 0.1" }), true);
  assert.equal(await store.activatePolicy("v1.0.2", "gating"), true);
  const active = (await store.listPolicyCheckpoints()).filter((checkpoint) => checkpoint.isActive);
  assert.deepEqual(active.map(({ policyType, version }) => `${policyType} ${version}`).sort(), [
    "gating v1.0.2",
    "react v1.0.0",
  ]);
  assert.equal((await store.getActivePolicy("gating"))?.version, "v1.0.2");
  assert.notEqual((await store.getActivePolicy("gating"))?.activatedAt, null);
  const history = await store.listActivations("gating");
  assert.deepEqual(history.map(({ activatedAt: _at, ...entry }) => entry), [
    { policyType: "gating", fromVersion: "v1.0.1", toVersion: "v1.0.2", activatedBy: "unknown", reason: "" },
    { policyType: "gating", fromVersion: null, toVersion: "v1.0.1", activatedBy: "train", reason: "better by 0.1" },
  ]);
  assert.equal(history[0]!.activatedAt, (await store.getActivePolicy("gating"))?.activatedAt);
  assert.deepEqual(await store.listActivations("gating", 1), history.slice(0, 1));
});

testOnEach("activating a missing version changes nothing, the active one adds no entry", async ({ store }) => {
  await store.savePolicyCheckpoint({ version: "v1", policyType: "gating" });
  await store.activatePolicy("v1", "gating");
  const before = await store.getActivePolicy("gating");
  assert.equal(await store.activatePolicy("v9", "gating"), false);
  assert.equal(await store.activatePolicy("v1", "gating"), true);
  assert.deepEqual(await store.getActivePolicy("gating"), before);
  assert.equal((await store.listActivations("gating")).length, 1);
});

testOnEach("racing activations leave one active version and an unbroken history", async (on) => {
  await using other = await on.reopen();
  const versions = Array.from({ length: 6 }, (_, i) => `v1.0.${i}`);
  for (const version of versions) await on.store.savePolicyCheckpoint({ version, policyType: "gating" });
  const race = [...versions, ...versions.toReversed(), ...versions].map((version, i) =>
    (i % 2 === 0 ? on.store : other).activatePolicy(version, "gating")
  );
  assert.ok((await Promise.all(race)).every((activated) => activated));
  const active = (await on.store.listPolicyCheckpoints("gating")).filter((checkpoint) => checkpoint.isActive);
  assert.equal(active.length, 1);
  const history = (await on.store.listActivations("gating")).toReversed();
  assert.equal(history.at(-1)?.toVersion, active[0]!.version);
  const previous = (i: number): PolicyActivation | undefined => history[i - 1];
  for (const [i, entry] of history.entries()) assert.equal(entry.fromVersion, previous(i)?.toVersion ?? null);
});

testOnEach("the database itself refuses a second active version", async ({ store, query }) => {
  for (const version of ["v1", "v2"]) await store.savePolicyCheckpoint({ version, policyType: "gating" });
  await store.activatePolicy("v1", "gating");
  const yes = store.dialect === "sqlite" ? "1" : "true";
  const write = `update policy_checkpoints set is_active = ${yes} where version = 'v2' returning id`;
  await assert.rejects(async () => await query(write), /UNIQUE constraint failed|policy_checkpoints_one_active/);
});

testOnEach("checkpoints are listed newest first", async ({ store }) => {
  for (const version of ["a", "c", "b"]) await store.savePolicyCheckpoint({ version, policyType: "gating" });
  assert.deepEqual((await store.listPolicyCheckpoints("gating")).map(({ version }) => version), ["b", "c", "a"]);
  assert.deepEqual(await store.listPolicyCheckpoints("react"), []);
});

testOnEach("the latest benchmark's result is kept with its version", async ({ store }) => {
  for (const version of ["v1", "v2"]) await store.savePolicyCheckpoint({ version, policyType: "gating" });
  assert.equal(await store.savePolicyBench("v1", "gating", { rows: [{ ms_median: 0.5 }] }), true);
  assert.equal(await store.savePolicyBench("v1", "gating", { device: "2 cores", rows: [] }), true);
  assert.equal(await store.savePolicyBench("v9", "gating", {}), false);
  assert.equal(await store.savePolicyBench("v1", "react", {}), false);
  const kept = (await store.listPolicyCheckpoints("gating")).map(({ version, bench }) => [version, bench]);
  assert.deepEqual(kept, [["v2", null], ["v1", { device: "2 cores", rows: [] }]]);
  await assert.rejects(store.savePolicyBench("v1", "gating", { ms: NaN }), refusal("usage", /bench\.ms: found NaN/));
});

testOnEach("active and tagged checkpoints cannot be removed", async ({ store }) => {
  const versions = ["v1", "v2", "v3", "v4"];
  for (const version of versions) await store.savePolicyCheckpoint({ version, policyType: "gating" });
  await store.activatePolicy("v2", "gating");
  assert.equal(await store.tagPolicyCheckpoint("v3", "gating", "before the audit"), true);
  assert.equal(await store.tagPolicyCheckpoint("v9", "gating", "x"), false);
  assert.equal((await store.getPolicyCheckpoint("v3", "gating"))?.tag, "before the audit");
  assert.deepEqual(await store.deletePolicyCheckpoints("gating", [...versions, "v9"]), ["v1", "v4", "v9"]);
  assert.deepEqual((await store.listPolicyCheckpoints("gating")).map(({ version }) => version), ["v3", "v2"]);
  assert.equal(await store.tagPolicyCheckpoint("v3", "gating", null), true);
  // What an attempt whose answer was lost had removed counts as well.
  assert.deepEqual(await store.deletePolicyCheckpoints("gating", versions), ["v1", "v3", "v4"]);
  assert.deepEqual(await store.deletePolicyCheckpoints("gating", []), []);
});
