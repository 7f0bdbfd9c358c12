import assert from "node:assert/strict";
import type { ReportData } from "../../src/report/report_data.ts";
import { describeVersion } from "../../src/session/version_report.ts";
import { refuses, settings, Workplace } from "./support.ts";

function describe(work: Workplace, version?: string, now = new Date()): Promise<ReportData> {
  const { config } = settings(work.root);
  return describeVersion({ store: work.store, config, policyType: "gating", version, now });
}

Deno.test("a second version is compared with the first: values, shares, and the queries that change most", async () => {
  await using work = await Workplace.open(120);
  await work.train({ "checkpoint.activate": "always", "training.epochs": 1 });
  const { evaluation } = await work.train({ "checkpoint.activate": "never" });
  const data = await describe(work, "v1.0.1");
  assert.deepEqual([data.version.version, data.previous, data.version.isActive], ["v1.0.1", "v1.0.0", false]);
  assert.deepEqual(data.notes, []);
  assert.deepEqual(data.recorded.gate!.verdict, evaluation.gate.verdict);

  // Nothing was added to the log, so today's values are those that the gate saw.
  const [logged, previous, mine] = data.value!.rows;
  assert.equal(data.value!.source, "now");
  assert.ok(Math.abs(logged!.value! - evaluation.logged_value!) < 1e-12);
  assert.ok(Math.abs(previous!.value! - evaluation.active!.doubly_robust!) < 1e-6);
  assert.ok(Math.abs(mine!.value! - evaluation.candidate!.doubly_robust!) < 1e-6);

  for (const { shares } of data.routing) {
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-5);
  }
  const { most, mean, queries } = data.changes!;
  assert.deepEqual([most.length, queries], [20, 120]);
  for (const [i, { change, before, after }] of most.entries()) {
    const moved = after.reduce((sum, weight, e) => sum + Math.abs(weight - before![e]!), 0) / 2;
    assert.ok(Math.abs(change - moved) < 1e-6);
    assert.ok(i === 0 || change <= most[i - 1]!.change);
  }
  assert.ok(most[0]!.change > mean && most[0]!.change > 0);
  assert.equal(data.log.available, 120);
});

Deno.test("a first version is compared with what is known of the logged routing", async () => {
  await using work = await Workplace.open(60);
  await work.train({ "checkpoint.activate": "always" });
  const { previous, changes, value } = await describe(work);
  assert.equal(previous, null);
  assert.deepEqual(value!.rows.map(({ role }) => role), ["logged", "version"]);
  assert.deepEqual([changes!.against, changes!.otherExpert], ["propensities", null]);
  for (const { before, answers, after, change } of changes!.most) {
    assert.equal(before, null);
    const { expert, propensity } = answers[0]!;
    const e = settings(work.root).config.gatingPolicy.experts.indexOf(expert!);
    assert.ok(Math.abs(change - Math.abs(after[e]! - propensity!)) < 1e-6);
  }
});

Deno.test("without a log of its window a version has the values that training wrote down", async () => {
  await using work = await Workplace.open(60);
  const { evaluation } = await work.train({ "checkpoint.activate": "always" });
  const data = await describe(work, undefined, new Date("2001-01-01T00:00:00Z"));
  assert.deepEqual([data.value!.source, data.changes, data.routing], ["recorded", null, []]);
  assert.equal(data.value!.rows.at(-1)!.value, evaluation.candidate!.doubly_robust);
  assert.match(data.notes[0]!, /hold no feedback/);
});

Deno.test("a previous version without files is a note, a version without files an error", async () => {
  await using work = await Workplace.open(80);
  await work.train({ "checkpoint.activate": "always" });
  await work.train({ "checkpoint.activate": "never" });
  await Deno.remove(`${work.root}/gating-v1.0.0`, { recursive: true });
  const data = await describe(work, "v1.0.1");
  assert.equal(data.previous, "v1.0.0");
  assert.match(data.notes[0]!, /files of the previous version v1\.0\.0 cannot be read/);
  assert.equal(data.changes!.against, "propensities");
  await refuses(describe(work, "v1.0.0"), "checkpoint", /gating-v1\.0\.0/);
  await refuses(describe(work, "v9"), "checkpoint", /no version v9/);
});

Deno.test("a version that was trained on part of what judges it here says so", async () => {
  await using work = await Workplace.open(80);
  await work.train({ "checkpoint.activate": "always", "evaluation.holdout_ratio": "0.1" });
  assert.match((await describe(work)).notes[0]!, /share of 0\.1 of the queries was held out, here it is 0\.2/);
  await work.train({ "checkpoint.activate": "always", "evaluation.enabled": "false" });
  assert.match((await describe(work)).notes[0]!, /share of 0 of the queries/);
});
