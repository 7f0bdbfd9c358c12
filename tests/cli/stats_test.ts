/**
 * `rlcf stats` as a process, and that no command prints a password.
 *
 * @module
 */
import assert from "node:assert/strict";
import { postgresForTests } from "../support/postgres.ts";
import { logOf, onlyObject, rlcf, Workplace } from "./support.ts";

Deno.test("stats --json has the specification's fields and ours", async () => {
  using place = new Workplace();
  await place.fill(12);
  await place.run(["train"]);
  const { sessions, checkpoints, active, logs, training, ...counts } = onlyObject(
    await place.run(["stats", "--json"]),
  ) as unknown as {
    sessions: Record<string, unknown>[];
    checkpoints: Record<string, unknown>[];
    active: Record<string, unknown>;
    logs: Record<string, unknown>[];
    training: Record<string, unknown>;
  };
  assert.deepEqual(
    { ...training, since: typeof training.since },
    {
      policy_type: "gating",
      since: "string",
      available: 12,
      usable: 12,
      skipped: {},
      outside_window: { older: 0, oldest: null, days_to_reach: null, newer: 0 },
    },
  );
  assert.deepEqual(
    logs.map(({ policy_version, log, traces, usable_share }) => [policy_version, log, traces, usable_share]),
    [
      [null, "sampled", 12, 1],
    ],
  );
  assert.deepEqual({ ...counts, avg_score: 0 }, {
    jobs: null,
    total_traces: 12,
    traces_with_feedback: 12,
    total_feedback: 12,
    avg_score: 0,
    policy_version: null,
    log_kinds: { sampled: 12, soft: 0, none: 0 },
    active_versions: { gating: "v1.0.0" },
  });
  assert.deepEqual([active.policy_type, active.version], ["gating", "v1.0.0"]);
  assert.deepEqual(Object.keys(sessions[0]!), [
    ...["id", "policy_type", "status", "version", "started_at", "ended_at", "error"],
  ]);
  assert.deepEqual([sessions[0]!.status, sessions[0]!.version], ["completed", "v1.0.0"]);
  assert.ok(checkpoints.some(({ version, active }) => version === "v1.0.0" && active === true));
});

Deno.test("stats of a file that is not there shows an empty store and makes no file", async () => {
  using place = new Workplace();
  const { code, stdout, stderr } = await place.run(["stats"]);
  assert.deepEqual([code, stdout], [0, ""]);
  assert.match(stderr, /no such file yet/);
  assert.match(stderr, /next: rlcf ingest FILE/);
  assert.deepEqual([...Deno.readDirSync(place.path)].map(({ name }) => name), ["small.yaml"]);
});

Deno.test("a file that is no database exits with 4 and is left as it was", async () => {
  using place = new Workplace();
  const file = place.write("notes.txt", "these are no tables\n".repeat(100));
  const { code, stderr } = await rlcf(["stats", "--database", `sqlite:///${file}`]);
  assert.equal(code, 4);
  assert.match(stderr, /^error: cannot open .*: the file is not a SQLite database\nhint: /);
  assert.equal(Deno.readTextFileSync(file), "these are no tables\n".repeat(100));
});

Deno.test("a password in flag, environment or file appears nowhere", async () => {
  using place = new Workplace();
  const secret = "hunter2secret";
  const url = `postgresql://someone:${secret}@127.0.0.1:1/nowhere`;
  const config = place.write("secret.yaml", `database:\n  url: "${url}"\n`);
  const odd = `postgresql://someone:${secret}/x@127.0.0.1/nowhere`;
  const runs = await Promise.all([
    rlcf(["stats", "--database", url, "--log-level", "debug"]),
    rlcf(["stats", "--json"], { env: { RLCF_ASYNC_DATABASE_URL: url }, cwd: place.path }),
    rlcf(["train", "--dry-run", "--config", config, "--log-level", "debug"]),
    rlcf(["stats", "--database", odd]),
    rlcf(["stats", "--database", `mysql://someone:${secret}@host/name`]),
  ]);
  assert.deepEqual(runs.map(({ code }) => code), [4, 4, 4, 2, 2]);
  for (const { stdout, stderr } of runs) {
    assert.match(stderr, /:\*\*\*@?/);
    assert.ok(!`${stdout}${stderr}`.includes(secret), stderr);
  }
});

const postgres = await postgresForTests();
const missing = "reason" in postgres ? ` (${postgres.reason})` : "";

Deno.test({
  name: `ingest, train, route and stats work on PostgreSQL as on SQLite${missing}`,
  ignore: "reason" in postgres,
  fn: async () => {
    if ("reason" in postgres) return;
    await using database = await postgres.createDatabase();
    using place = new Workplace();
    const env = { RLCF_ASYNC_DATABASE_URL: database.url.replace("postgresql:", "postgresql+asyncpg:") };
    const run = (args: string[], stdin?: string): ReturnType<typeof rlcf> =>
      rlcf([...args, "--config", place.config], { env, cwd: place.path, ...stdin === undefined ? {} : { stdin } });
    const empty = await run(["train"]);
    assert.equal(empty.code, 3, empty.stderr);
    assert.equal((await run(["ingest", "-"], logOf(20))).code, 0);
    assert.equal(onlyObject(await run(["ingest", "-", "--json"], logOf(20))).duplicates, 40);
    assert.equal(onlyObject(await run(["train", "--json"])).version, "v1.0.0");
    const query = JSON.stringify({ query_id: "q", query_embedding: [1, 0, 0, 0, 0, 0, 0, 0] });
    assert.equal(JSON.parse((await run(["route"], query)).stdout).policy_version, "v1.0.0");
    assert.equal(onlyObject(await run(["stats", "--json"])).total_traces, 20);
  },
});

Deno.test({
  name: `a wrong PostgreSQL password exits with 4, and neither it nor the right one is printed${missing}`,
  ignore: "reason" in postgres || postgres.passwordUrl === undefined,
  fn: async () => {
    if ("reason" in postgres || postgres.passwordUrl === undefined) return;
    const { code, stdout, stderr } = await rlcf([
      "stats",
      "--database",
      postgres.passwordUrl("postgres", "wr@ngSecret"),
    ]);
    assert.equal(code, 4);
    assert.match(stderr, /the password was refused/);
    assert.ok(!/wr(@|%40)ngSecret/i.test(`${stdout}${stderr}`), stderr);
  },
});
