import assert from "node:assert/strict";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { evaluateVersions } from "../../src/session/evaluate_versions.ts";
import { findStoredPolicy, openTraversalPolicy } from "../../src/session/open_policy.ts";
import { isWorthFollowing } from "../../src/simulate/decision_logs.ts";
import { Random } from "../../src/base/random.ts";
import { postgresForTests } from "../support/postgres.ts";
import { AgentWorkplace, TRAVERSAL_FLAGS } from "./agent_support.ts";
import { drawnRecords, refuses, settings } from "./support.ts";

const FILES = ["policy.safetensors", "trainer.safetensors"];
const RELATIONS = ["MODIFICA", "CITATO_DA", "RELATED_TO"];

Deno.test("a session learns which relations are worth following, and what it learned is what is opened", async () => {
  await using work = await AgentWorkplace.open();
  await work.traverse(500);
  const report = await work.train({ ...TRAVERSAL_FLAGS, "training.epochs": 30 });
  assert.deepEqual([report.policy_type, report.version, report.activated], ["traversal", "v1.0.0", true]);
  assert.equal(report.episodes.available, 500);
  assert.ok(report.episodes.trained + report.episodes.holdout > 500, "a trace has several traversals");
  assert.match(report.evaluation.limits![0]!, /as if it alone were decided otherwise/);

  const { saved } = await findStoredPolicy(work.store, work.root, "traversal");
  await using policy = await openTraversalPolicy(saved, "cpu");
  assert.deepEqual([policy.relations, policy.inputDim], [RELATIONS, 6]);
  const random = new Random(9);
  let right = 0;
  for (let i = 0; i < 300; i++) {
    const raw = Float32Array.from({ length: 6 }, () => random.normal());
    const embedding = raw.map((x) => x / Math.hypot(...raw));
    const r = random.below(RELATIONS.length);
    const { weights } = await policy.forward([{ embedding, relation: RELATIONS[r]! }]);
    if (weights[0]! > 0.5 === isWorthFollowing(embedding, r)) right++;
  }
  assert.ok(right > 230, `${right} of 300 decisions are right`);
});

Deno.test("the manifest names the relations, and versions are counted for the type alone", async () => {
  await using work = await AgentWorkplace.open();
  await work.traverse(60);
  await work.store.ingest(drawnRecords(40, 3));
  const flags = { ...TRAVERSAL_FLAGS, "checkpoint.activate": "always" };
  const [first, second] = [await work.train(flags), await work.train(flags)];
  assert.deepEqual([first.version, second.version, second.parent_version], ["v1.0.0", "v1.0.1", "v1.0.0"]);
  assert.deepEqual(first.episodes.skipped, { no_traversal: 40 });
  assert.equal((await work.train({ "checkpoint.activate": "always" })).version, "v1.0.0");
  const { manifest } = await loadCheckpoint(work.root, "traversal-v1.0.1");
  assert.deepEqual(manifest.network, {
    input_dim: 9,
    hidden_dim: 8,
    input_scale: 2,
    experts: ["follow", "leave"],
    relations: RELATIONS,
  });
});

Deno.test("a session that was interrupted and taken up ends in the bits of an uninterrupted one", async () => {
  await using whole = await AgentWorkplace.open();
  await using cut = await AgentWorkplace.open();
  for (const work of [whole, cut]) await work.traverse(80);
  const flags = { ...TRAVERSAL_FLAGS, "checkpoint.activate": "always", "training.batch_size": 8 };
  const wanted = await whole.train(flags);
  await cut.interrupted(flags, 20);
  await refuses(
    cut.train({ ...flags, "traversal_policy.relations": ["OTHER"] }, { resume: true }),
    "usage",
    /traversal_policy\.relations is \["OTHER"\], but the run has/,
  );
  const found = await cut.train(flags, { resume: true });
  for (const file of FILES) {
    assert.deepEqual(await cut.read("traversal-v1.0.0", file), await whole.read("traversal-v1.0.0", file), file);
  }
  assert.deepEqual(found.evaluation, wanted.evaluation);
});

Deno.test("other relations than the active version's start from fresh weights and cannot be compared with it", async () => {
  await using work = await AgentWorkplace.open();
  await work.traverse(100);
  await work.train({ ...TRAVERSAL_FLAGS, "checkpoint.activate": "always" });
  const flags = { ...TRAVERSAL_FLAGS, "traversal_policy.relations": [...RELATIONS].reverse() };
  const report = await work.train(flags);
  assert.deepEqual([report.version, report.parent_version], ["v1.0.1", null]);
  assert.deepEqual([report.evaluation.active, report.evaluation.gate.rule], [null, "plain"]);
  const { config } = settings(work.root, flags);
  const request = { store: work.store, config, versions: ["v1.0.0"], all: false };
  await refuses(evaluateVersions(request), "usage", /cannot evaluate v1\.0\.0: it knows other relations/);
});

Deno.test("a log without traversals ends with the reason and leaves nothing behind", async () => {
  await using work = await AgentWorkplace.open();
  await refuses(work.train(TRAVERSAL_FLAGS), "not_enough_data", /^No traces with feedback found/);
  await work.store.ingest(drawnRecords(20, 1));
  await refuses(
    work.train(TRAVERSAL_FLAGS),
    "not_enough_data",
    /^Insufficient feedback: 0 of 10 usable in the last 30 days; left out: 20 no_traversal$/,
  );
  assert.deepEqual(await work.store.listTrainingSessions("traversal"), []);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(work.root)), []);
});

const server = await postgresForTests();

Deno.test({
  name: "on PostgreSQL a session of traversals ends in the same bits as on SQLite",
  ignore: "reason" in server,
  fn: async () => {
    if ("reason" in server) throw new Error(server.reason);
    await using database = await server.createDatabase();
    await using there = await AgentWorkplace.open(database.url);
    await using here = await AgentWorkplace.open();
    for (const work of [there, here]) await work.traverse(60);
    const [wanted, found] = [await here.train(TRAVERSAL_FLAGS), await there.train(TRAVERSAL_FLAGS)];
    assert.deepEqual(await there.read("traversal-v1.0.0", FILES[0]!), await here.read("traversal-v1.0.0", FILES[0]!));
    assert.deepEqual(found.evaluation, wanted.evaluation);
  },
});
