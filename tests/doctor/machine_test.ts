/** What can be wrong with the machine, the permissions, the configuration; and passwords that came to be stored. */
import assert from "node:assert/strict";
import { agreementFindings, availability } from "../../src/doctor/backends.ts";
import { activeFitCheck, configurationCheck } from "../../src/doctor/configuration.ts";
import { examine, treat, verdictOf } from "../../src/doctor/examine.ts";
import { permissionsCheck } from "../../src/doctor/permissions.ts";
import { maskedText, secretsCheck } from "../../src/doctor/secrets.ts";
import type { Check, Finding } from "../../src/doctor/finding.ts";
import { RlcfError } from "../../src/base/errors.ts";
import { createSimdEngine } from "../../src/engine/simd/engine.ts";
import { createTfjsEngine } from "../../src/engine/tfjs/engine.ts";
import type { NetworkShape, PolicyEngine } from "../../src/engine/engine.ts";
import { settings } from "../session/support.ts";
import { clinicTest, said } from "./support.ts";

const { config } = settings("policies");
const simd = {
  name: "simd 1 thread",
  create: (shape: NetworkShape): Promise<PolicyEngine> => createSimdEngine(shape, { threads: 1 }),
};

Deno.test("a backend that computes something else is an error of the backend", async () => {
  const wrong = {
    name: "cpu",
    create: async (shape: NetworkShape): Promise<PolicyEngine> => {
      const engine = await createTfjsEngine(shape, "cpu");
      const forward = engine.forward.bind(engine);
      return Object.assign(engine, {
        forward: async (inputsNI: Float32Array) => (await forward(inputsNI)).map((output) => output * 1.001),
      });
    },
  };
  const findings = await agreementFindings([simd, wrong], config);
  assert.deepEqual(said(findings), [
    "error: cpu computes something else than float64",
    "error: cpu computes something else than simd 1 thread",
  ]);
  assert.equal(verdictOf(findings), "backend");
  assert.deepEqual(
    await agreementFindings([simd, { name: "cpu", create: (shape) => createTfjsEngine(shape, "cpu") }], config),
    [],
  );
});

Deno.test("a backend that is listed and does not start is an error, and the others are still compared", async () => {
  const broken = { name: "webgpu fused", create: () => Promise.reject(new RlcfError("backend", "no memory left")) };
  assert.deepEqual(said(await agreementFindings([broken, simd], config)), [
    "error: webgpu fused is there but does not work",
  ]);
});

Deno.test("a backend that is not there is a note, unless it was asked for", () => {
  const statuses = [
    { name: "webgpu", available: false, device: "no GPU adapter found", software: false },
    { name: "simd", available: true, device: "1 core", software: false },
  ] as const;
  assert.deepEqual(said(availability(statuses, "auto")), ["note: webgpu is not available"]);
  const findings = availability(statuses, "webgpu");
  assert.deepEqual(said(findings), ["error: the backend webgpu, which compute.backend asks for, is not available"]);
  assert.equal(verdictOf(findings), "backend");
});

Deno.test({
  name: "permissions that are missing are named with their flags",
  permissions: { read: true, write: false, sys: false, env: true, net: false },
  fn: async () => {
    const findings = await permissionsCheck.examine({ config, notices: [], location: "", inspection: null });
    assert.deepEqual(said(findings), [
      "error: Deno was started without --allow-write=policies",
      "warning: Deno was started without --allow-sys=hostname",
    ]);
  },
});

Deno.test("what the configuration holds in vain is a note", async () => {
  const notices = ["a.yaml:3: curriculum is a section of the original that rlcf does not use"];
  const findings = await configurationCheck.examine({ config, notices, location: "", inspection: null });
  assert.deepEqual(said(findings), [`note: ${notices[0]}`]);
  assert.equal(verdictOf(findings), null);
});

clinicTest("an active version that does not fit the configuration is a warning", async (clinic) => {
  const [version] = await clinic.train();
  assert.deepEqual(await clinic.findings(activeFitCheck), []);
  assert.deepEqual(said(await clinic.findings(activeFitCheck, { "gating_policy.hidden_dim": 16 })), [
    `warning: the active ${version} does not fit the configuration: hidden_dim is 16, ${version} has 8`,
  ]);
});

clinicTest("a stored password is found, said without itself, and masked", async (clinic) => {
  const [version] = await clinic.train();
  const url = "postgresql://rlcf:hunter2@db.example/log";
  const { query, store } = clinic.on;
  await query(`update training_sessions set config = '{"database": {"url": "${url}"}}'`);
  await query(`update policy_checkpoints set training_metrics = '{"note": "read ${url} and more"}'`);
  const findings = await clinic.findings(secretsCheck);
  assert.match(said(findings)[0]!, /^error: a password stands in training_sessions\.config of gating /);
  assert.equal(
    said(findings)[1],
    `error: a password stands in policy_checkpoints.training_metrics of gating ${version}`,
  );
  assert.equal(findings.length, 2);
  const treatments = await clinic.treat(secretsCheck);
  assert.equal(JSON.stringify([findings, treatments]).includes("hunter2"), false);
  assert.deepEqual(await clinic.findings(secretsCheck), []);
  const [session] = await store.listTrainingSessions();
  assert.deepEqual(session!.config, { database: { url: "postgresql://rlcf:***@db.example/log" } });
});

clinicTest("a password in a manifest is found, though it cannot be masked", async (clinic) => {
  const [version] = await clinic.train();
  const path = clinic.path(`gating-${version}`, "manifest.json");
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, text.replace('"config": {', '"config": {"url": "postgres://a:hunter2@b/c",'));
  const findings = await clinic.findings(secretsCheck);
  assert.deepEqual(said(findings), [`error: a password stands in manifest.json of gating ${version}`]);
  assert.equal(findings[0]!.fix, undefined);
});

Deno.test("texts are masked where a password stands, and nowhere else", () => {
  const cases = [
    ['{"url":"postgresql://u:p%40ss@h:5432/d"}', '{"url":"postgresql://u:***@h:5432/d"}'],
    ["postgresql+asyncpg://u:a/b@h/d and mysql://:x@h", "postgresql+asyncpg://u:***@h/d and mysql://:***@h"],
    ["postgresql://u@h/d?password=abc&x=1", "postgresql://u@h/d?password=***&x=1"],
    ["sqlite:///rlcf.db, mail to a@b.example, http://h:80/p", "sqlite:///rlcf.db, mail to a@b.example, http://h:80/p"],
    ["postgresql://u:***@h/d", "postgresql://u:***@h/d"],
    ['{"a":"http://h:80","b":"x@y"}', '{"a":"http://h:80","b":"x@y"}'],
    // A port, and an `@` in what follows.
    ["https://sso.firm.it:8443/u/anna@firm.it", "https://sso.firm.it:8443/u/anna@firm.it"],
    [
      "http://h:80/a:b@c, http://h:80?to=a@b, http://h:80#a@b",
      "http://h:80/a:b@c, http://h:80?to=a@b, http://h:80#a@b",
    ],
    ["postgresql://h:5432/d?who=a@b", "postgresql://h:5432/d?who=a@b"],
    [
      "https://firm.it:8443,anna@firm.it or http://localhost:80;a@b",
      "https://firm.it:8443,anna@firm.it or http://localhost:80;a@b",
    ],
    [String.raw`{"e":"see http://h:80\nanna@firm.it"}`, String.raw`{"e":"see http://h:80\nanna@firm.it"}`],
    // Passwords, also of digits, with an `@`, and in the middle of a text.
    ["postgresql://rlcf:12345@h:5432/d", "postgresql://rlcf:***@h:5432/d"],
    ["postgresql://anna.rossi:54321@h/d", "postgresql://anna.rossi:***@h/d"],
    ["https://anna:8443@firm.it/x@y", "https://anna:***@firm.it/x@y"],
    ["redis://u:p@ss@h:6379/0", "redis://u:***@h:6379/0"],
    ["at postgres://u:p%2Fw@h:5432/d?x=a@b: refused", "at postgres://u:***@h:5432/d?x=a@b: refused"],
    [String.raw`{"e":"?sslpassword=x\"y"}`, String.raw`{"e":"?sslpassword=***\"y"}`],
  ] as const;
  for (const [text, wanted] of cases) {
    assert.equal(maskedText(text), wanted);
    assert.equal(maskedText(wanted), wanted);
  }
});

clinicTest("addresses of pages with a port and an @ are neither found nor changed", async (clinic) => {
  const { store } = clinic.on;
  const config = { note: "https://wiki.firm.it:8443/runs/owner/mario@firm.it" };
  const users = ["https://sso.firm.it:8443/u/anna@firm.it", "https://sso.firm.it:8443/u/bruno@firm.it"];
  const id = await store.startTrainingSession("gating", { config });
  const metrics = { contradicting_users: users.map((user_id) => ({ user_id, episodes: 9, factor: 0.2 })) };
  await store.completeTrainingSession(id, { policyVersionTo: "v1.0.0", numTraces: 1, numFeedback: 1, metrics });
  assert.deepEqual(await clinic.treat(secretsCheck), []);
  const [session] = await store.listTrainingSessions();
  assert.deepEqual([session!.config, session!.metrics], [config, metrics]);
});

const finding = (fix: NonNullable<Finding["fix"]>): Finding => ({
  area: "log",
  severity: "warning",
  what: "w",
  cause: "c",
  mend: null,
  fix,
});

Deno.test("a cure that fails keeps no other from being tried", async () => {
  const failing = finding(() => Promise.reject(new RlcfError("database", "the server is gone")));
  const treatments = await treat([failing, finding(() => Promise.resolve("done"))]);
  assert.deepEqual(treatments.map(({ did, failed }) => [did, failed]), [[null, "the server is gone"], ["done", null]]);
});

Deno.test("a check that cannot be made is a finding of its kind; a defect of rlcf is none", async () => {
  const patient = { config, notices: [], location: "", inspection: null };
  const check = (thrown: Error): Check => ({
    area: "directory",
    needsTables: false,
    examine: () => Promise.reject(thrown),
  });
  const { findings } = await examine(patient, [check(new RlcfError("checkpoint", "cannot list it"))]);
  assert.deepEqual(said(findings), ["error: cannot list it"]);
  assert.equal(verdictOf(findings), "checkpoint");
  await assert.rejects(examine(patient, [check(new TypeError("a defect"))]), /a defect/);
});
