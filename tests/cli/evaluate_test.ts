/**
 * `rlcf evaluate` as a process.
 *
 * @module
 */
import assert from "node:assert/strict";
import { judgementFacts } from "../../src/cli/judgement_view.ts";
import { onlyObject, recordOf, Workplace } from "./support.ts";

Deno.test("evaluate --json has every estimator with its interval and diagnostics, and compares row by row", async () => {
  using place = new Workplace();
  await place.fill(120);
  await place.run(["train"]);
  await place.run(["train"]);
  const result = onlyObject(
    await place.run(["evaluate", "v1.0.1", "--against", "v1.0.0", "--json"]),
  ) as unknown as {
    rows: string;
    log: string;
    episodes: { available: number; evaluated: number };
    versions: Record<string, unknown>[];
    comparisons: Record<string, unknown>[];
  };
  assert.deepEqual([result.rows, result.log, result.episodes.available], ["holdout", "sampled", 120]);
  assert.ok(result.episodes.evaluated > 5 && result.episodes.evaluated < 60);
  assert.deepEqual(result.versions.map(({ version, active }) => [version, active]), [["v1.0.1", true], [
    "v1.0.0",
    false,
  ]]);
  for (const version of result.versions) {
    for (const name of ["ips", "clipped_ips", "snips", "direct", "doubly_robust", "switch"]) {
      assert.equal(typeof version[name], "number", name);
      const [low, high] = (version.intervals as Record<string, [number, number]>)[name]!;
      assert.ok(low <= high, name);
    }
    assert.deepEqual(version.not_identified, []);
    assert.deepEqual(Object.keys((version.diagnostics as { overlap: object }).overlap), [
      ...["literal", "systemic", "principles", "precedent"],
    ]);
  }
  const [comparison] = result.comparisons;
  assert.deepEqual([comparison!.version, comparison!.against, comparison!.method], [
    "v1.0.1",
    "v1.0.0",
    "doubly_robust",
  ]);
  assert.ok((comparison!.low as number) <= (comparison!.difference as number));
});

Deno.test("evaluate takes the active version, --all takes all episodes with a warning, and both show a table", async () => {
  using place = new Workplace();
  await place.fill(80);
  await place.run(["train"]);
  const holdout = await place.run(["evaluate"]);
  assert.deepEqual([holdout.code, holdout.stdout], [0, ""]);
  assert.match(holdout.stderr, /v1\.0\.0, the active one/);
  assert.match(holdout.stderr, /doubly robust +0\.\d{3} +0\.\d{3} to 0\.\d{3}|doubly robust/);
  const all = await place.run(["evaluate", "--all"]);
  assert.match(all.stderr, /note: --all includes episodes that the versions were trained on/);
  assert.match(all.stderr, /evaluated +80 episodes/);
});

Deno.test("a deterministic log is refused by name, and train and stats say what it cannot tell", async () => {
  using place = new Workplace();
  const lines = Array.from({ length: 60 }, (_, i) => {
    const record = recordOf(i) as { trace: { actions: { log_prob: number; parameters: { weight: number } }[] } };
    record.trace.actions[0]!.log_prob = 0;
    record.trace.actions[0]!.parameters.weight = 1;
    return `${JSON.stringify(record)}\n`;
  });
  assert.equal((await place.run(["ingest", place.write("sure.jsonl", lines.join(""))])).code, 0);
  const trained = await place.run(["train"]);
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(trained.stderr, /note: not identified: .*deterministic.*had no chance/);
  const { versions, log } = onlyObject(await place.run(["evaluate", "--json"])) as unknown as {
    versions: { snips: null; direct: number; not_identified: string[] }[];
    log: string;
  };
  assert.equal(log, "deterministic");
  assert.equal(versions[0]!.snips, null);
  assert.equal(typeof versions[0]!.direct, "number");
  assert.match(versions[0]!.not_identified.join(), /100% of the log is deterministic/);
  const stats = await place.run(["stats"]);
  assert.match(stats.stderr, /note: the log of traces without a version is deterministic/);
});

Deno.test("evaluate without feedback exits with 3, for a version that is not there with 6, and writes nothing", async () => {
  using place = new Workplace();
  const missing = await place.run(["evaluate"]);
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /^error: cannot evaluate: .* holds no usable feedback of the last 30 days\nhint: /);
  assert.deepEqual([...Deno.readDirSync(place.path)].map(({ name }) => name), ["small.yaml"]);
  await place.fill(30);
  const unknown = await place.run(["evaluate", "v7.0.0"]);
  assert.equal(unknown.code, 6);
  assert.match(unknown.stderr, /gating has no version v7\.0\.0/);
});

Deno.test("policy show tells the verdict in a few facts, and nothing of a version that was not judged", async () => {
  using place = new Workplace();
  await place.fill(80);
  await place.run(["train"]);
  await place.run(["train"]);
  const shown = (await place.run(["policy", "show", "v1.0.1"])).stderr;
  assert.match(shown, /judged\nverdict +(promote|hold|reject)\nvalue +0\.\d{3}.*doubly robust, \d+ held out\n/);
  assert.match(
    shown,
    /compared with +0\.\d{3} of v1\.0\.0\ndifference +[+-]0\.\d{3,}, [+-]0\.\d{3,} to [+-]0\.\d{3,} with/,
  );
  assert.match(shown, /question +1 about v1\.0\.0/);
  assert.ok(!shown.includes("[object Object]") && !shown.includes("evaluation.candidate"), shown);
  // A version that was saved on the way was not judged.
  assert.deepEqual(judgementFacts({ loss: 0.1 }), []);
});
