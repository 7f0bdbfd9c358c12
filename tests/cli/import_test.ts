/**
 * `rlcf import` as a process.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { fillLegacy, idOf, legacyFeedback, legacyTrace } from "../import/legacy_database.ts";
import { smallNetwork, torchFile } from "../import/torch_files.ts";
import { hasShared, readShared, sharedUrl } from "../support/shared.ts";
import { postgresForTests, queryPostgres } from "../support/postgres.ts";
import { onlyObject, rlcf, start, Workplace } from "./support.ts";

/** A database of the original in a workplace, with one trace that cannot be used. */
async function legacyIn(place: Workplace, traces: number): Promise<string> {
  const path = `${place.path}/legacy.db`;
  using database = new DatabaseSync(path);
  database.exec("pragma synchronous = off");
  const query = (text: string): Promise<unknown> => Promise.resolve(database.prepare(text).all());
  const rows = Array.from({ length: traces }, (_, i) => legacyTrace(i, i === 1 ? { actions_json: "[NaN]" } : {}));
  await fillLegacy({ url: "sqlite://", query }, {
    rlcf_traces: rows,
    rlcf_feedback: rows.map((_, i) => legacyFeedback(i)),
    rlcf_policy_checkpoints: [{
      id: idOf(6, 1),
      version: "v1.0.1",
      policy_type: "gating",
      state_dict_path: "models/policies/gating_v1.0.1.pt",
      is_active: 1,
      created_at: "2025-12-01 08:00:00",
    }],
  });
  return path;
}

Deno.test("the command that is proposed for the weights can be copied, whatever their file is called", async () => {
  using place = new Workplace();
  const legacy = await legacyIn(place, 2);
  {
    using database = new DatabaseSync(legacy);
    database.prepare("update rlcf_policy_checkpoints set state_dict_path = ?").run("old $(touch pwned); it's.pt");
  }
  const { code, stderr } = await place.run(["import", "--from", `sqlite:///${legacy}`]);
  assert.equal(code, 0, stderr);
  assert.ok(stderr.includes(String.raw`rlcf import --checkpoint 'old $(touch pwned); it'\''s.pt' --activate`), stderr);
});

Deno.test("a database is imported, its rejects are kept, and a second run adds nothing", async () => {
  using place = new Workplace();
  const legacy = await legacyIn(place, 20);
  const before = Deno.readFileSync(legacy);
  const args = ["import", "--from", `sqlite:///${legacy}`, "--rejects", "bad.jsonl"];
  const dry = onlyObject(await place.run([...args, "--dry-run", "--json"]));
  assert.equal(dry.status, "dry_run");
  assert.equal(onlyObject(await place.run(["stats", "--json"])).total_traces, 0);
  const finished = await place.run([...args, "--json"]);
  assert.match(finished.stderr, /rlcf_traces:2: not_finite: .*wanted finite numbers \(id 0+1-/);
  const { status, from, ...report } = onlyObject(finished);
  assert.deepEqual([status, from], ["imported", `sqlite:///${legacy}`]);
  assert.deepEqual(report, {
    traces: { read: 20, stored: 19, known: 0, rejected: 1 },
    feedback: { read: 20, stored: 19, known: 0, rejected: 1 },
    sessions: { read: 0, stored: 0, known: 0, rejected: 0 },
    checkpoints: { read: 1, stored: 1, known: 0, rejected: 0 },
    rejected: { not_finite: 1, trace_rejected: 1 },
    repaired: {},
    was_active: [{ policy_type: "gating", version: "v1.0.1", path: "models/policies/gating_v1.0.1.pt" }],
  });
  assert.deepEqual({ ...dry, status }, { ...report, status, from });
  const rejects = Deno.readTextFileSync(`${place.path}/bad.jsonl`).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  assert.deepEqual(rejects.map(({ file }) => file), ["rlcf_traces", "rlcf_feedback"]);
  assert.equal(JSON.parse(rejects[0].text).actions_json, "[NaN]");
  const { code, stderr } = await place.run(args);
  assert.equal(code, 0);
  assert.match(stderr, /traces +20 +0 +19 +1/);
  assert.match(
    stderr,
    /next: gating v1\.0\.1 was active, .*rlcf import --checkpoint models\/policies\/gating_v1\.0\.1\.pt/,
  );
  assert.deepEqual(Deno.readFileSync(legacy), before);
});

Deno.test("an import that is killed is finished by the next one", async () => {
  using place = new Workplace();
  const legacy = await legacyIn(place, 3000);
  const child = start(["import", "--from", `sqlite:///${legacy}`, ...place.here], { cwd: place.path });
  const path = place.database.slice("sqlite:///".length);
  const stored = (): number => {
    try {
      using database = new DatabaseSync(path, { readOnly: true });
      return Number(database.prepare("select count(*) as n from rlcf_traces").get()!.n);
    } catch {
      return 0;
    }
  };
  while (stored() === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  child.kill("SIGKILL");
  await child.output();
  const left = stored();
  assert.ok(left > 0 && left % 200 === 199 || left === 2999, `${left}`);
  const report = onlyObject(await place.run(["import", "--from", `sqlite:///${legacy}`, "--json"]));
  const { read, stored: now, known, rejected } = report.traces as Record<string, number>;
  assert.deepEqual([read, now! + known!, rejected], [3000, 2999, 1]);
  assert.equal(known, left);
  const stats = onlyObject(await place.run(["stats", "--json"]));
  assert.deepEqual([stats.total_traces, stats.traces_with_feedback, stats.total_feedback], [2999, 2999, 2999]);
});

Deno.test("weights become the version that the database brought without them", async () => {
  using place = new Workplace();
  Deno.writeTextFileSync(
    place.config,
    `gating_policy:\n  input_dim: 2\n  hidden_dim: 2\n  num_experts: 2\n  experts: [a, b]\n` +
      `checkpoint:\n  directory: ${place.policies}\ncompute:\n  backend: cpu\n`,
  );
  const legacy = await legacyIn(place, 3);
  const { state, storages } = smallNetwork();
  const file = `${place.path}/gating_v1.0.1.pt`;
  Deno.writeFileSync(file, torchFile({ state_dict: state, version: "v1.0.1", policy_type: "gating" }, storages));
  await place.run(["import", "--from", `sqlite:///${legacy}`]);
  const dry = onlyObject(await place.run(["import", "--checkpoint", file, "--dry-run", "--json"]));
  assert.deepEqual([dry.status, dry.outcome, dry.activated], ["dry_run", "files", false]);
  const done = onlyObject(await place.run(["import", "--checkpoint", file, "--activate", "--json"]));
  assert.deepEqual([done.status, done.version, done.outcome, done.activated], ["imported", "v1.0.1", "files", true]);
  const again = onlyObject(await place.run(["import", "--checkpoint", file, "--json"]));
  assert.deepEqual([again.outcome, again.checkpoint], ["unchanged", done.checkpoint]);
  const shown = onlyObject(await place.run(["policy", "show", "--json"]));
  assert.deepEqual([shown.version, shown.active, shown.parent_version], ["v1.0.1", true, null]);
  const verified = await place.run(["policy", "verify", "--json"]);
  assert.equal(verified.code, 0);
});

Deno.test({
  name: "the original's checkpoint routes as the original did",
  ignore: !hasShared,
  fn: async () => {
    using place = new Workplace();
    Deno.writeTextFileSync(
      place.config,
      `gating_policy:\n  input_dim: 16\n  hidden_dim: 8\ncheckpoint:\n  directory: ${place.policies}\n`,
    );
    const file = sharedUrl("golden/gating_v1.0.0.pt").pathname;
    assert.equal((await place.run(["import", "--checkpoint", file, "--activate"])).code, 0);
    const { state_dict } = await readShared<{ state_dict: Record<string, number[] | number[][]> }>(
      "golden/gating_v1.0.0.expected.json",
    );
    const { nestedState, torchForward } = await import("../policy/torch.ts");
    const embedding = Array.from({ length: 16 }, (_, i) => Math.fround(Math.sin(i)));
    const { stdout } = await place.run(["route"], {
      stdin: JSON.stringify({ query_id: "q", query_embedding: embedding }),
    });
    const found = Object.values(JSON.parse(stdout).weights as Record<string, number>);
    const { weights } = torchForward(nestedState(state_dict), embedding);
    for (const [i, weight] of weights.entries()) assert.ok(Math.abs(found[i]! - weight) < 1e-6);
  },
});

Deno.test("what cannot be imported ends with one error, its exit code, and nothing written", async () => {
  using place = new Workplace();
  const legacy = `sqlite:///${await legacyIn(place, 2)}`;
  const broken = place.write("gating_v1.0.0.pt", "no weights");
  const { state, storages } = smallNetwork();
  const other = `${place.path}/other.pt`;
  Deno.writeFileSync(other, torchFile(state, storages));
  const cases: [string[], number, RegExp][] = [
    [[], 2, /found neither --from nor --checkpoint/],
    [["--from", legacy, "--checkpoint", other], 2, /found both/],
    [["--from", legacy, "--activate"], 2, /--activate goes with --checkpoint only/],
    [["--checkpoint", other, "--rejects", "x"], 2, /--rejects goes with --from only/],
    [["--from", "sqlite:////nowhere.db"], 2, /there is no such file/],
    [["--from", "postgresql://u:secret@127.0.0.1:1/x"], 4, /nothing listens there/],
    [["--checkpoint", broken], 6, /no torch checkpoint/],
    [["--checkpoint", "none.pt"], 6, /there is no such file/],
    [["--checkpoint", other], 2, /found a network 2-2-1-2, wanted 8-4-2-4/],
  ];
  for (const [args, code, message] of cases) {
    const finished = await place.run(["import", ...args, "--json"]);
    assert.deepEqual([args, finished.code], [args, code]);
    assert.match(finished.stderr, message);
    assert.ok(!finished.stderr.includes("secret"));
    assert.equal(onlyObject(finished).status, "failed");
  }
  const same = await rlcf(["import", "--from", legacy, "--database", legacy, "--config", place.config]);
  assert.equal(same.code, 2);
  assert.match(same.stderr, /--from and --database name the same database/);
  const copy = `${place.path}/copy.db`;
  Deno.copyFileSync(legacy.slice("sqlite:///".length), copy);
  const content = Deno.readFileSync(copy);
  const alike = await rlcf(["import", "--from", legacy, "--database", `sqlite:///${copy}`, "--config", place.config]);
  assert.equal(alike.code, 2);
  assert.match(alike.stderr, /--database names a database of MERL-T/);
  assert.deepEqual(Deno.readFileSync(copy), content);
  assert.equal(await Deno.stat(place.policies).catch(() => null), null);
});

const postgres = await postgresForTests();

Deno.test({
  name: `a database on PostgreSQL is imported into another one there${
    "reason" in postgres ? ` (${postgres.reason})` : ""
  }`,
  ignore: "reason" in postgres,
  fn: async () => {
    if ("reason" in postgres) return;
    using place = new Workplace();
    await using source = await postgres.createDatabase();
    await using target = await postgres.createDatabase();
    const query = (text: string): Promise<unknown> => queryPostgres(source.url, text);
    await fillLegacy({ url: source.url, query }, {
      rlcf_traces: [0, 1, 2].map((i) => legacyTrace(i)),
      rlcf_feedback: [0, 1, 2].map((i) => legacyFeedback(i)),
    });
    const args = ["import", "--from", source.url, "--database", target.url, "--config", place.config, "--json"];
    const { traces, feedback, rejected } = onlyObject(await rlcf(args));
    assert.deepEqual([traces, feedback, rejected], [
      { read: 3, stored: 3, known: 0, rejected: 0 },
      { read: 3, stored: 3, known: 0, rejected: 0 },
      {},
    ]);
    const same = await rlcf(args.with(4, source.url));
    assert.equal(same.code, 2);
    assert.match(same.stderr, /name the same database/);
  },
});
