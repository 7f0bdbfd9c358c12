/**
 * A user of PostgreSQL who may do no more than the README grants, and the schema of older and newer programs.
 */
import assert from "node:assert/strict";
import { createPersistence } from "../../src/store/create.ts";
import { MIGRATION_NAMES } from "../../src/store/migrations.ts";
import { logOf, onlyObject, rlcf, Workplace } from "../cli/support.ts";
import { testOnEachEmpty } from "../store/databases.ts";
import { rating, sampledTrace } from "../store/records.ts";
import { refusal } from "../store/refusals.ts";
import { postgresForTests, queryPostgres } from "../support/postgres.ts";

const postgres = await postgresForTests();

/** The README's words. */
const README = await Deno.readTextFile(new URL("../../README.md", import.meta.url));

testAsRole(
  "with the README's grants, and no right to create, the whole program works",
  async (owner, runtime, role) => {
    await using work = new RoleWorkplace(runtime);
    await grant(owner, role);
    const ingested = await work.rlcf(["ingest", work.place.write("log.jsonl", logOf(60)), "--json"]);
    assert.equal(ingested.code, 0, ingested.stderr);
    const { version } = onlyObject(await work.rlcf(["train", "--json"]));
    assert.equal(version, "v1.0.0");
    for (const command of [["train"], ["stats"], ["policy", "list"], ["policy", "rollback"], ["policy", "verify"]]) {
      const { code, stderr } = await work.rlcf(command);
      assert.equal(code, 0, `${command.join(" ")}: ${stderr}`);
    }
    {
      await using store = await createPersistence(runtime);
      assert.equal(await store.savePolicyBench("v1.0.0", "gating", { rows: [] }), true);
      assert.equal(await store.tagPolicyCheckpoint("v1.0.0", "gating", "kept"), true);
    }
    // And no more than that: what was written stays as it is.
    for (
      const change of [
        "delete from rlcf_traces",
        "update rlcf_traces set reward = 1",
        "update rlcf_feedback set overall_score = 1",
        "delete from policy_activations",
        "update policy_activations set reason = 'x'",
        "delete from training_sessions",
        "create table more (id int)",
      ]
    ) {
      await assert.rejects(queryPostgres(runtime, change), /permission denied/, change);
    }
  },
);

testAsRole("what a user lacks is named, as the grants that are missing", async (owner, runtime, role) => {
  await using work = new RoleWorkplace(runtime);
  await grant(owner, role);
  await queryPostgres(owner, `revoke insert on rlcf_feedback from ${role}`);
  await queryPostgres(owner, `revoke update (has_feedback) on rlcf_traces from ${role}`);
  const { code, stderr } = await work.rlcf(["ingest", work.place.write("log.jsonl", logOf(10))]);
  assert.equal(code, 4, stderr);
  assert.match(
    stderr,
    /cannot store records in .*: the user lacks a privilege \(permission denied for table rlcf_feedback\)/,
  );
  assert.ok(
    stderr.includes(`grant update (has_feedback) on rlcf_traces to ${role}; grant insert on rlcf_feedback to ${role};`),
    stderr,
  );
  const url = new URL(runtime);
  await using store = await createPersistence(url.href);
  assert.equal((await store.getTrainingStats()).total_traces, 0);
});

testAsRole(
  "a service that only logs needs the lines of traces, feedback and migrations",
  async (owner, runtime, role) => {
    await grant(owner, role, /rlcf_(migration|traces|feedback)|usage/);
    await queryPostgres(owner, `revoke all on policy_activations from ${role}`);
    await using store = await createPersistence(runtime);
    const id = await store.saveTrace(sampledTrace("q"));
    await store.saveFeedback(id, rating("q", 0.5));
    await assert.rejects(
      store.acquireLease("gating"),
      refusal("database", /permission denied for table training_leases/),
    );
  },
);

testAsRole("a user who sees no tables and may not create them is told what to do", async (_owner, runtime) => {
  const { code, stderr } = await rlcf(["stats", "--database", runtime]);
  assert.equal(code, 4, stderr);
  assert.match(stderr, /cannot open .*: the user lacks a privilege/);
  assert.match(stderr, /hint: This user sees no tables of rlcf and may not create them: let the owner/);
}, { migrated: false });

testAsRole("a user who may not migrate an older schema is told so", async (owner, runtime, role) => {
  await grant(owner, role);
  await queryPostgres(owner, `delete from rlcf_migration where name = '${MIGRATION_NAMES.at(-1)}'`);
  const { code, stderr } = await rlcf(["stats", "--database", runtime]);
  assert.equal(code, 4, stderr);
  assert.match(stderr, /the user lacks a privilege/);
  assert.match(stderr, /let the owner of the tables run a command of this rlcf once/);
});

testOnEachEmpty("an older schema is migrated with everything in it, a newer one is refused with exit 4", async (on) => {
  const older = await createPersistence(on.url);
  const id = await older.saveTrace(sampledTrace("q"));
  await older.close();
  await undoLast(on.query, on.url);
  {
    await using store = await createPersistence(on.url);
    assert.equal((await store.getTrace(id))?.queryId, "q");
    const applied = await on.query("select name from rlcf_migration order by name");
    assert.deepEqual(applied.map(({ name }) => name), [...MIGRATION_NAMES]);
  }
  await on.query(
    "insert into rlcf_migration (name, timestamp) values ('9999_future', '2099-01-01T00:00:00.000Z') returning name",
  );
  for (const command of ["stats", "train"]) {
    const { code, stderr } = await rlcf([command, "--database", on.url]);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /it was migrated by a newer rlcf, found migration 9999_future/);
    assert.match(stderr, /hint: Update rlcf, or use another database/);
  }
  await assert.rejects(createPersistence(on.url), refusal("database", /wanted none after/));
});

/** As the program before the last migration left it. */
async function undoLast(query: (text: string) => Promise<unknown>, url: string): Promise<void> {
  const last = MIGRATION_NAMES.at(-1)!;
  const undo: Record<string, readonly string[]> = {
    "0002_react_steps": [
      "alter table rlcf_traces drop column react_steps",
      "alter table rlcf_traces drop column react_states",
    ],
    "0003_session_jobs": [
      "drop index training_sessions_one_result",
      "drop index training_sessions_by_job",
      "alter table training_sessions drop column job_id",
    ],
  };
  const statements = undo[last] ?? [];
  if (last !== "0001_initial" && statements.length === 0) throw new Error(`${url}: say here how ${last} is undone`);
  for (const statement of statements) await query(statement);
  if (statements.length > 0) await query(`delete from rlcf_migration where name = '${last}' returning name`);
}

/** Runs the SQL block of the README that grants, for this role. */
async function grant(owner: string, role: string, lines = /./): Promise<void> {
  const block = /```sql\n(-- the runtime role[\s\S]*?)```/.exec(README)?.[1];
  assert.ok(block !== undefined, "README.md: no SQL block that begins with -- the runtime role");
  const grants = block.split("\n").filter((line) => /^(grant|revoke)\b/.test(line) && lines.test(line)).join("\n");
  await queryPostgres(owner, grants.replaceAll("rlcf_runtime", role));
}

class RoleWorkplace implements AsyncDisposable {
  readonly place = new Workplace();
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  rlcf(args: readonly string[]): ReturnType<typeof rlcf> {
    return rlcf([...args, "--config", this.place.config, "--database", this.#url], { cwd: this.place.path });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.place[Symbol.dispose]();
    return Promise.resolve();
  }
}

function testAsRole(
  name: string,
  test: (owner: string, runtime: string, role: string) => Promise<void>,
  { migrated = true } = {},
): void {
  if ("reason" in postgres) return Deno.test.ignore(`${name} (${postgres.reason})`, () => {});
  const server = postgres;
  Deno.test(name, async () => {
    await using database = await server.createDatabase();
    const role = `runtime_${crypto.randomUUID().slice(0, 8)}`;
    await queryPostgres(database.url, `create role ${role} login`);
    try {
      if (migrated) await (await createPersistence(database.url)).close();
      await test(database.url, Object.assign(new URL(database.url), { username: role }).href, role);
    } finally {
      await queryPostgres(database.url, `drop owned by ${role}; drop role ${role}`);
    }
  });
}
