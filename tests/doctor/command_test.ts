/** `rlcf doctor` as its users run it. */
import assert from "node:assert/strict";
import { onlyObject, rlcf, Workplace } from "../cli/support.ts";

/** A workplace with a log and an active version. */
async function healthy(): Promise<Workplace> {
  const work = new Workplace();
  await work.fill(40);
  const { code, stderr } = await work.run(["train"]);
  assert.equal(code, 0, stderr);
  return work;
}

/** The file behind the workplace's URL. */
const fileOf = (work: Workplace): string => work.database.slice("sqlite:///".length);

Deno.test("doctor is content with a healthy installation", async () => {
  using work = await healthy();
  const { code, stdout, stderr } = await work.run(["doctor"]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "");
  assert.match(stderr, /\nclean +database, integrity, history, log, clock, leases, sessions, checkpoints,/);
  assert.match(stderr, /\nclean\n$/);
});

Deno.test("doctor --json prints one object, whatever it finds", async () => {
  using work = await healthy();
  const report = onlyObject(await work.run(["doctor", "--json"]));
  assert.deepEqual([report.status, report.exit_code, report.fixed], ["clean", 0, []]);
  assert.deepEqual(Object.keys(report).sort(), [
    "areas",
    "checkpoint_directory",
    "database",
    "exit_code",
    "findings",
    "fixed",
    "status",
  ]);
  Deno.removeSync(work.policies, { recursive: true });
  const broken = await work.run(["doctor", "--json"]);
  const found = onlyObject(broken);
  assert.equal(broken.code, 6);
  assert.deepEqual([found.status, found.exit_code], ["findings", 6]);
  const [finding] = found.findings as Record<string, unknown>[];
  assert.deepEqual([finding!.area, finding!.severity, finding!.fixable], ["checkpoints", "error", false]);
});

Deno.test("doctor creates no database, and says that there is none", async () => {
  using work = new Workplace();
  const { code, stderr } = await work.run(["doctor"]);
  assert.equal(code, 1);
  assert.match(stderr, /warning: there is no database sqlite:\/\/\/.*log\.db\n/);
  assert.deepEqual([...Deno.readDirSync(work.path)].map(({ name }) => name), ["small.yaml"]);
});

Deno.test("doctor --help says what each exit code means", async () => {
  const { code, stdout } = await rlcf(["doctor", "--help"]);
  assert.equal(code, 0);
  const codes = [...stdout.matchAll(/^ {2}(\d+) {2,}\S/gm)].map(([, number]) => Number(number));
  assert.deepEqual(codes, [0, 1, 2, 4, 6, 7]);
  assert.match(stdout.replaceAll(/\s+/g, " "), /1 findings, .*; a database that is named and does not exist is one;/);
});

Deno.test("doctor without a database is clean", async () => {
  using work = new Workplace();
  const { code, stderr } = await rlcf(["doctor", "--config", work.config], { cwd: work.path });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /note: no database is named/);
});

Deno.test("doctor --fix mends, says what it did, and finds nothing afterwards", async () => {
  using work = await healthy();
  const { DatabaseSync } = await import("node:sqlite");
  {
    using database = new DatabaseSync(fileOf(work));
    database.exec("update rlcf_traces set has_feedback = 0 where query_id = 'q1'");
    database.exec(
      "insert into training_sessions (id, policy_type, status, num_traces, num_feedback, metrics, config, started_at) " +
        "values ('00000000-0000-4000-8000-000000000001', 'gating', 'running', 0, 0, '{}', '{}', '2026-01-01T00:00:00.000Z')",
    );
  }
  Deno.mkdirSync(`${work.policies}/.tmp-gating-v1.0.9-12345678`);
  Deno.utimeSync(`${work.policies}/.tmp-gating-v1.0.9-12345678`, 0, 0);
  const before = await work.run(["doctor"]);
  assert.equal(before.code, 1);
  assert.match(before.stderr, /3 findings; rlcf doctor --fix mends all of them\n$/);
  const { code, stderr } = await work.run(["doctor", "--fix"]);
  assert.equal(code, 0, stderr);
  assert.match(
    stderr,
    /mended: has_feedback is wrong on 1 trace[^\n]*\n {2}set has_feedback on 1 trace by the feedback\n/,
  );
  assert.match(stderr, / {2}marked session 00000000-0000-4000-8000-000000000001 as failed\n/);
  assert.match(stderr, / {2}removed \.tmp-gating-v1\.0\.9-12345678\n/);
  assert.match(stderr, /\nclean, 3 mended\n$/);
  const again = onlyObject(await work.run(["doctor", "--fix", "--json"]));
  assert.deepEqual([again.status, again.fixed], ["clean", []]);
});

Deno.test("a server that does not answer is exit code 4, without the password", async () => {
  using work = new Workplace();
  const url = "postgresql://u:hunter2@127.0.0.1:1/x";
  const { code, stdout, stderr } = await rlcf(["doctor", "--config", work.config, "--database", url, "--json"]);
  assert.equal(code, 4);
  assert.equal(onlyObject({ stdout }).exit_code, 4);
  assert.equal((stdout + stderr).includes("hunter2"), false);
});

Deno.test("a file that is no database is exit code 4, and stays as it is", async () => {
  using work = new Workplace();
  Deno.writeTextFileSync(fileOf(work), "this is a diary\n".repeat(100));
  const { code, stderr } = await work.run(["doctor"]);
  assert.equal(code, 4, stderr);
  assert.match(stderr, /error: cannot open .*log\.db: the file is not a SQLite database/);
  assert.equal(Deno.readTextFileSync(fileOf(work)), "this is a diary\n".repeat(100));
});

Deno.test("a URL that is none is exit code 2", async () => {
  using work = new Workplace();
  const { code, stderr } = await rlcf(["doctor", "--config", work.config, "--database", "mysql://h/x"]);
  assert.equal(code, 2, stderr);
});
