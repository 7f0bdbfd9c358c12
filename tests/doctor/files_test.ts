/** What can be wrong with the checkpoint directory. */
import assert from "node:assert/strict";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { checkpointsCheck } from "../../src/doctor/checkpoints.ts";
import { directoryCheck, spaceFindings } from "../../src/doctor/directory.ts";
import { verdictOf } from "../../src/doctor/examine.ts";
import { orphansCheck, temporariesCheck } from "../../src/doctor/leftovers.ts";
import { clinicTest, said } from "./support.ts";

clinicTest("a damaged file of the active version is an error, and an intact version is named", async (clinic) => {
  const [first, second] = await clinic.train(2);
  clinic.damage(`gating-${second}`, "policy.safetensors");
  const [finding, ...others] = await clinic.findings(checkpointsCheck);
  assert.deepEqual(others, []);
  assert.deepEqual(said([finding!]), [
    `error: the files of gating ${second}, the active version, are missing or broken`,
  ]);
  assert.match(finding!.cause, /^policy\.safetensors has SHA-256 [0-9a-f]+, wanted [0-9a-f]+$/);
  assert.equal(finding!.mend, `rlcf policy activate ${first}`);
  assert.equal(verdictOf([finding!]), "checkpoint");
});

clinicTest("a version that is not active and misses its files is a warning", async (clinic) => {
  const [first] = await clinic.train(2);
  await Deno.remove(clinic.path(`gating-${first}`, "trainer.safetensors"));
  const findings = await clinic.findings(checkpointsCheck);
  assert.deepEqual(said(findings), [`warning: the files of gating ${first} are missing or broken`]);
  assert.equal(findings[0]!.cause, "trainer.safetensors is missing");
  assert.equal(verdictOf(findings), "findings");
});

clinicTest("a manifest that nobody can read is a finding, not a failure", async (clinic) => {
  const [version] = await clinic.train();
  await Deno.writeTextFile(clinic.path(`gating-${version}`, "manifest.json"), "{");
  assert.equal(verdictOf(await clinic.findings(checkpointsCheck)), "checkpoint");
});

clinicTest("a version that was recorded without files is a note", async (clinic) => {
  await clinic.on.store.savePolicyCheckpoint({ version: "v0.1.0", policyType: "gating" });
  assert.deepEqual(said(await clinic.findings(checkpointsCheck)), ["note: gating v0.1.0 has no files on record"]);
});

clinicTest("a version of ours without a row is moved aside, whole", async (clinic) => {
  const [first, second] = await clinic.train(2);
  await clinic.on.query(`delete from policy_checkpoints where version = '${first}'`);
  assert.deepEqual(said(await clinic.findings(orphansCheck)), [
    `warning: gating-${first} in ${clinic.root} has no row in the database`,
  ]);
  const [treatment] = await clinic.treat(orphansCheck);
  assert.match(treatment!.did!, /^moved gating-v1\.0\.0 to .*\.set-aside\/gating-v1\.0\.0-[0-9a-f]{8}$/);
  assert.deepEqual(clinic.names(), [".set-aside", `gating-${second}`]);
  assert.deepEqual(await clinic.findings(orphansCheck), []);
  assert.deepEqual(await clinic.treat(orphansCheck), []);
  // Put back where it was, it verifies.
  await Deno.rename(treatment!.did!.split(" to ")[1]!, clinic.path(`gating-${first}`));
  assert.equal((await loadCheckpoint(clinic.root, `gating-${first}`)).manifest.version, first);
});

clinicTest("a version that another database knows is left alone", async (clinic) => {
  const [version] = await clinic.train();
  await clinic.on.query("delete from policy_checkpoints");
  await clinic.on.query("delete from training_sessions");
  const findings = await clinic.findings(orphansCheck);
  assert.deepEqual(said(findings), [`note: gating-${version} in ${clinic.root} is not in this database`]);
  assert.match(findings[0]!.cause, /another database shares the directory/);
  assert.deepEqual(await clinic.treat(orphansCheck), []);
  assert.deepEqual(clinic.names(), [`gating-${version}`]);
});

clinicTest("a broken version of unknown origin is told, and left for a person to judge", async (clinic) => {
  await Deno.mkdir(clinic.path("gating-v7.0.0"));
  const findings = await clinic.findings(orphansCheck);
  assert.deepEqual(said(findings), [
    `warning: gating-v7.0.0 in ${clinic.root} is not in this database, and it is broken`,
  ]);
  assert.deepEqual(await clinic.treat(orphansCheck), []);
  assert.deepEqual(clinic.names(), ["gating-v7.0.0"]);
});

clinicTest(
  "while a training is at work, a version without a row may be the one it is about to store",
  async (clinic) => {
    const [version] = await clinic.train();
    await using _lease = await clinic.on.store.acquireLease("gating");
    await clinic.on.query("delete from policy_checkpoints");
    assert.deepEqual(said(await clinic.findings(orphansCheck)), [
      `note: gating-${version} in ${clinic.root} is not in this database`,
    ]);
  },
);

clinicTest("what was half written long ago is removed, what is being written is not", async (clinic) => {
  for (const name of [".tmp-gating-v1.0.0-12345678", ".tmp-gating-v1.0.1-12345678"]) {
    await Deno.mkdir(clinic.path(name));
    await Deno.writeTextFile(clinic.path(name, "policy.safetensors"), "half");
  }
  const old = new Date(Date.now() - 2 * 60 * 60 * 1000);
  await Deno.utime(clinic.path(".tmp-gating-v1.0.0-12345678", "policy.safetensors"), old, old);
  await Deno.utime(clinic.path(".tmp-gating-v1.0.0-12345678"), old, old);
  assert.deepEqual(said(await clinic.findings(temporariesCheck)), [
    `warning: 1 temporary directory left in ${clinic.root}`,
  ]);
  assert.deepEqual((await clinic.treat(temporariesCheck)).map(({ did }) => did), [
    "removed .tmp-gating-v1.0.0-12345678",
  ]);
  assert.deepEqual(clinic.names(), [".tmp-gating-v1.0.1-12345678"]);
  assert.deepEqual(await clinic.findings(temporariesCheck), []);
});

clinicTest("a checkpoint directory that cannot be made is an error", async (clinic) => {
  await Deno.writeTextFile(clinic.path("file"), "");
  const flags = { "checkpoint.directory": clinic.path("file", "policies") };
  const findings = await clinic.findings(directoryCheck, flags);
  assert.deepEqual(said(findings), [
    `error: cannot write to the checkpoint directory ${clinic.path("file", "policies")}`,
  ]);
  assert.equal(verdictOf(findings), "checkpoint");
});

clinicTest("looking whether the directory can be written leaves nothing in it, and makes none", async (clinic) => {
  assert.deepEqual(await clinic.findings(directoryCheck), []);
  assert.deepEqual(await clinic.findings(directoryCheck, { "checkpoint.directory": clinic.path("not", "yet") }), []);
  assert.deepEqual(clinic.names(), []);
});

Deno.test("too little space is a warning", () => {
  assert.deepEqual(said(spaceFindings("policies", 10 * 2 ** 20, 90 * 2 ** 20)), [
    "warning: 10 MiB are free in policies, a training may need 90 MiB",
  ]);
  assert.deepEqual(spaceFindings("policies", 90 * 2 ** 20, 90 * 2 ** 20), []);
});
