/** Contradictions between rows: each is found, said, and where nothing can be lost mended. */
import assert from "node:assert/strict";
import { clockCheck, clockFindings } from "../../src/doctor/clock.ts";
import { databaseCheck } from "../../src/doctor/database.ts";
import { treat, verdictOf } from "../../src/doctor/examine.ts";
import { historyCheck } from "../../src/doctor/history.ts";
import { integrityCheck } from "../../src/doctor/integrity.ts";
import { leasesCheck } from "../../src/doctor/leases.ts";
import { logCheck } from "../../src/doctor/log.ts";
import { sessionsCheck } from "../../src/doctor/sessions.ts";
import { inspectStore } from "../../src/store/inspection.ts";
import { drawnRecords } from "../session/support.ts";
import { createPersistence } from "../../src/store/create.ts";
import { testOnEachEmpty, type TestStore } from "../store/databases.ts";
import { Clinic, clinicTest, said } from "./support.ts";

clinicTest("after a training nothing is found but notes", async (clinic) => {
  await clinic.train(2);
  const { areas, findings } = await clinic.examine();
  assert.deepEqual(findings.filter(({ severity }) => severity !== "note"), []);
  assert.deepEqual(areas.filter(({ verdict }) => verdict !== "clean"), []);
  assert.equal(verdictOf(findings), null);
});

clinicTest("a store without a row is clean", async (clinic) => {
  const { areas } = await clinic.examine();
  assert.deepEqual(areas.filter(({ verdict }) => verdict !== "clean"), []);
});

testOnEachEmpty("a database that rlcf never used is not touched", async ({ url, query }) => {
  if (url.startsWith("sqlite")) await query("create table someone_elses (id integer)");
  await using inspection = (await inspectStore(url, 2))!;
  const patient = { inspection, location: inspection.location, notices: [], config: undefined as never };
  const [finding, ...others] = await databaseCheck.examine(patient);
  assert.match(said([finding!])[0]!, /^warning: .* lacks 0001_initial/);
  assert.equal(finding!.mend, "rlcf stats");
  assert.deepEqual(others, []);
  await assert.rejects(async () => await query("select 1 from rlcf_traces"));
  if (!url.startsWith("sqlite")) return;
  const [mode] = await query("pragma journal_mode");
  assert.equal(mode!.journal_mode, "delete");
});

clinicTest("a database of a newer rlcf is an error of the database", async (clinic) => {
  await clinic.on.query("insert into rlcf_migration (name, timestamp) values ('9999_later', '2999-01-01')");
  const { findings, areas } = await clinic.examine();
  assert.match(said(findings)[0]!, /^error: .*newer rlcf: 9999_later/);
  assert.equal(verdictOf(findings), "database");
  assert.equal(areas.find(({ area }) => area === "history")?.verdict, "skipped");
});

clinicTest("wrong has_feedback flags are found and mended, both ways", async (clinic) => {
  const { on } = clinic;
  await on.store.ingest(drawnRecords(7, 1));
  await on.store.saveTrace(drawnRecords(1, 2)[0]!.trace);
  await on.query("update rlcf_traces set has_feedback = not has_feedback");
  assert.deepEqual(said(await clinic.findings(logCheck)), [
    "warning: has_feedback is wrong on 8 traces: 7 judged but not marked, 1 marked but not judged",
  ]);
  assert.deepEqual((await clinic.treat(logCheck)).map(({ did }) => did), [
    "set has_feedback on 8 traces by the feedback",
  ]);
  assert.deepEqual(await clinic.findings(logCheck), []);
  assert.deepEqual(await clinic.treat(logCheck), []);
  assert.equal((await on.store.getTrainingStats()).traces_with_feedback, 7);
});

clinicTest("dates in the future are found", async (clinic) => {
  await clinic.on.store.ingest(drawnRecords(3, 1));
  assert.deepEqual(await clinic.findings(clockCheck), []);
  await clinic.on.query("update rlcf_feedback set created_at = '2999-01-01T00:00:00.000Z'");
  assert.deepEqual(said(await clinic.findings(clockCheck)), [
    "warning: 0 traces and 3 feedback rows are dated in the future, up to 2999-01-01T00:00:00.000Z",
  ]);
});

Deno.test("clocks that differ by more than a query's time are found, whichever is ahead", () => {
  assert.deepEqual(said(clockFindings(61_000)), ["warning: the database's clock is 61 s ahead of this host's"]);
  assert.deepEqual(said(clockFindings(-61_000)), ["warning: the database's clock is 61 s behind this host's"]);
  assert.deepEqual(clockFindings(400), []);
});

clinicTest("a history that does not end with the active version is found", async (clinic) => {
  const [first, second] = await clinic.train(2);
  await clinic.on.query(`delete from policy_activations where to_version = '${second}'`);
  const [finding, ...others] = await clinic.findings(historyCheck);
  assert.deepEqual(others, []);
  assert.equal(finding!.what, `${second} of gating is active, but the history ends with ${first}`);
  assert.equal(finding!.mend, `rlcf policy activate ${first}`);
});

clinicTest("a gap in the history is found", async (clinic) => {
  const [first, second] = await clinic.train(2);
  await clinic.on.query(`update policy_activations set from_version = 'v9.9.9' where to_version = '${second}'`);
  const findings = await clinic.findings(historyCheck);
  assert.equal(findings.length, 1);
  assert.match(
    findings[0]!.what,
    new RegExp(`gap at .*: ${second} took over from v9.9.9, but ${first} was active before`),
  );
});

clinicTest("a lease that its holder never let go of is released", async (clinic) => {
  await clinic.on.query(
    "insert into training_leases (policy_type, host, process_id, token, acquired_at, renewed_at, expires_at) values " +
      "('gating', 'gone', 4242, 7, '2020-01-01T00:00:00.000Z', '2020-01-01T00:00:20.000Z', '2020-01-01T00:01:20.000Z')",
  );
  assert.deepEqual(said(await clinic.findings(leasesCheck)), [
    "warning: process 4242 on host gone ended without letting go of the lease of gating",
  ]);
  assert.deepEqual((await clinic.treat(leasesCheck)).map(({ did }) => did), ["released the lease of gating"]);
  assert.deepEqual(await clinic.findings(leasesCheck), []);
  assert.equal(await clinic.on.store.getLeaseHolder("gating"), null);
});

clinicTest("a lease that is held is a note that names the holder, and stays", async (clinic) => {
  await using _lease = await clinic.on.store.acquireLease("gating");
  const findings = await clinic.findings(leasesCheck);
  assert.match(said(findings)[0]!, new RegExp(`^note: process ${Deno.pid} on host .* has been training gating since`));
  assert.deepEqual(await clinic.treat(leasesCheck), []);
  assert.equal((await clinic.on.store.getLeaseHolder("gating"))?.processId, Deno.pid);
});

clinicTest("a session that nobody runs is marked as failed", async (clinic) => {
  const { store } = clinic.on;
  const id = await store.startTrainingSession("gating");
  assert.match(
    said(await clinic.findings(sessionsCheck))[0]!,
    new RegExp(`^warning: session ${id} of .* nobody runs it`),
  );
  assert.deepEqual((await clinic.treat(sessionsCheck)).map(({ did }) => did), [`marked session ${id} as failed`]);
  const [session] = await store.listTrainingSessions();
  assert.deepEqual([session!.status, session!.errorMessage], [
    "failed",
    "the process ended without closing the session",
  ]);
  assert.deepEqual(await clinic.findings(sessionsCheck), []);
  assert.equal(await store.getLeaseHolder("gating"), null);
});

clinicTest("a session that runs is left alone, and a dead one beside it is not", async (clinic) => {
  const { store, query } = clinic.on;
  const dead = await store.startTrainingSession("gating");
  await query(`update training_sessions set process_id = 1, host = 'elsewhere' where id = '${dead}'`);
  await using _lease = await store.acquireLease("gating");
  const alive = await store.startTrainingSession("gating");
  assert.equal((await clinic.treat(sessionsCheck)).length, 1);
  const statuses = new Map((await store.listTrainingSessions()).map(({ id, status }) => [id, status]));
  assert.deepEqual([statuses.get(dead), statuses.get(alive)], ["failed", "running"]);
  assert.deepEqual(await clinic.findings(sessionsCheck), []);
});

clinicTest("a session that came to life during the examination is left alone", async (clinic) => {
  const { store } = clinic.on;
  const before = await store.acquireLease("gating");
  await clinic.with(async (patient) => {
    const inspection = patient.inspection!;
    // The leases are looked at first: the first trainer, which is another process, holds this one.
    const leases = (await inspection.listLeases()).map((lease) => ({
      ...lease,
      holder: { ...lease.holder, processId: 1 },
    }));
    await before[Symbol.asyncDispose]();
    const lease = await store.acquireLease("gating");
    const [living, closed] = [await store.startTrainingSession("gating"), await store.startTrainingSession("gating")];
    const stale = { ...patient, inspection: { ...inspection, listLeases: () => Promise.resolve(leases) } };
    const findings = await sessionsCheck.examine(stale);
    assert.equal(findings.length, 2);
    const handedOver = `left session ${living} as it is: the training was handed over during the examination`;
    assert.ok((await treat(findings)).some(({ did }) => did === handedOver));
    await store.completeTrainingSession(living, {
      policyVersionTo: "v1.0.0",
      numTraces: 1,
      numFeedback: 1,
      metrics: {},
    });
    await store.failTrainingSession(closed, "by its own process", { status: "interrupted" });
    await lease[Symbol.asyncDispose]();
    assert.deepEqual(
      (await treat(findings)).map(({ did }) => did?.replace(/^left session \S+ /, "")),
      Array(2).fill("as it is: it has been closed in the meantime"),
    );
  });
  assert.deepEqual((await store.listTrainingSessions()).map(({ status }) => status).sort(), [
    "completed",
    "interrupted",
  ]);
});

clinicTest("feedback of traces that are gone is found, and so is the lost constraint", async (clinic) => {
  const { store, query } = clinic.on;
  await store.ingest(drawnRecords(5, 1));
  if (store.dialect === "postgres") {
    const [key] = await query(
      "select conname from pg_constraint where conrelid = 'rlcf_feedback'::regclass and contype = 'f'",
    );
    await query(`alter table rlcf_feedback drop constraint ${key!.conname}`);
  }
  await query("delete from rlcf_traces where query_id in (select min(query_id) from rlcf_traces)");
  const findings = await clinic.findings(integrityCheck);
  assert.equal(said(findings).at(-1), "error: 1 feedback row of traces that are not stored");
  if (store.dialect === "sqlite") {
    assert.equal(findings.length, 1);
    assert.equal(verdictOf(findings), "findings");
  } else {
    assert.match(said(findings)[0]!, /rlcf_feedback has lost its foreign key, or it was never validated$/);
    assert.equal(verdictOf(findings), "database");
  }
});

clinicTest("two active versions are found", async (clinic) => {
  await clinic.train(2);
  await clinic.on.query("drop index policy_checkpoints_one_active");
  await clinic.on.query("update policy_checkpoints set is_active = (1 = 1)");
  const findings = await clinic.findings(integrityCheck);
  assert.ok(said(findings).includes("error: more than one version of gating is active"), said(findings).join("\n"));
});

clinicTest("checkpoints of sessions that are gone are found", async (clinic) => {
  const { store, query } = clinic.on;
  await clinic.train();
  if (store.dialect === "postgres") {
    const [key] = await query(
      "select conname from pg_constraint where conrelid = 'policy_checkpoints'::regclass and contype = 'f'",
    );
    await query(`alter table policy_checkpoints drop constraint ${key!.conname}`);
  }
  await query("delete from training_sessions");
  assert.ok(
    said(await clinic.findings(integrityCheck)).includes(
      "warning: 1 checkpoint of training sessions that are not stored",
    ),
  );
});

Deno.test("a SQLite file whose pages are damaged is an error of the database", async () => {
  using clinic = new Clinic({ url: "" } as TestStore);
  const path = clinic.path("log.db");
  {
    await using store = await createPersistence(`sqlite:///${path}`);
    await store.ingest(drawnRecords(200, 1));
  }
  const bytes = await Deno.readFile(path);
  // The pages after the schema's: garbage where rows and index entries were.
  for (let i = 40_000; i < bytes.length - 16_384; i += 97) bytes[i]! ^= 0xff;
  await Deno.writeFile(path, bytes);
  using patient = new Clinic({ url: `sqlite:///${path}` } as TestStore);
  const findings = await patient.findings(integrityCheck);
  assert.equal(verdictOf(findings), "database");
  assert.ok(findings[0]!.what.includes(path), findings[0]!.what);
});
