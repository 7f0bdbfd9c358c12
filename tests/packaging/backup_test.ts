/**
 * Backup and restore as the README describes them: the database first, then the checkpoint directory, while training
 * runs. What is restored elsewhere is intact and routes as before; files older than the database are named.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { embeddingOf, type Finished, logOf, onlyObject, rlcf, start, Workplace } from "../cli/support.ts";
import { postgresForTests, queryPostgres } from "../support/postgres.ts";

const postgres = await postgresForTests();
const noSqlite3 = await version("sqlite3") === undefined;
const noPgDump = "reason" in postgres ? postgres.reason : await whyNoDump(postgres.url("postgres"));

/** A database and a checkpoint directory, and how to reach them. */
interface Place {
  readonly url: string;
  readonly policies: string;
}

/** Runs the program at a place. */
function at(place: Workplace, { url, policies }: Place, ...args: string[]): Promise<Finished> {
  return rlcf([...args, "--config", place.config], {
    cwd: place.path,
    env: { RLCF_ASYNC_DATABASE_URL: url, RLCF_CHECKPOINT_DIR: policies },
  });
}

/** The weights that the active policy of a place gives to a few queries. */
async function weights(place: Workplace, where: Place): Promise<string> {
  const queries = [0, 1, 2, 3].map((i) =>
    `${JSON.stringify({ query_id: `q${i}`, query_embedding: embeddingOf(i) })}\n`
  );
  const { code, stdout, stderr } = await at(place, where, "route", place.write("queries.jsonl", queries.join("")));
  assert.equal(code, 0, stderr);
  return stdout;
}

/**
 * Trains a first version; then backs up in the middle of a second training, restores, and compares.
 *
 * @param dump writes the database to a file
 * @param restore makes a database of the file and returns its URL
 */
async function roundTrip(
  url: (place: Workplace) => string,
  dump: (url: string, file: string) => Promise<void>,
  restore: (file: string) => Promise<string>,
): Promise<void> {
  using place = new Workplace();
  const here: Place = { url: url(place), policies: place.policies };
  const { code, stderr } = await at(place, here, "ingest", place.write("log.jsonl", logOf(40)));
  assert.equal(code, 0, stderr);
  assert.equal((await at(place, here, "train")).code, 0);
  const before = await weights(place, here);

  // Periodic checkpoints come as long as the training runs; all are kept, so that none is removed between the two steps.
  place.configure("  epochs: 5000", "  activate: always\n  save_frequency: 1\n  keep_last_n: 10000");
  await using training = await untilPeriodic(place, here);
  const file = join(place.path, "backup.database");
  await dump(here.url, file);
  await copy(here.policies, join(place.path, "backup.policies"));
  training.child.kill("SIGTERM");
  assert.equal((await training.child.output()).code, 130);

  const restored: Place = { url: await restore(file), policies: join(place.path, "restored.policies") };
  await copy(join(place.path, "backup.policies"), restored.policies);
  const verified = await at(place, restored, "policy", "verify", "--json");
  assert.equal(verified.code, 0, verified.stdout);
  const { versions } = onlyObject(verified) as { readonly versions: readonly { readonly version: string }[] };
  assert.ok(versions.some(({ version }) => /-ep\.\d+$/.test(version)), "the backup holds no periodic checkpoint");
  assert.equal(await weights(place, restored), before);
  const stats = onlyObject(await at(place, restored, "stats", "--json"));
  assert.deepEqual([stats.total_traces, stats.total_feedback], [40, 40]);
}

/** A training under way that has published a periodic checkpoint; ended on disposal. */
async function untilPeriodic(
  place: Workplace,
  { url, policies }: Place,
): Promise<{ readonly child: Deno.ChildProcess } & AsyncDisposable> {
  const child = start(["train", "--config", place.config], {
    cwd: place.path,
    env: { RLCF_ASYNC_DATABASE_URL: url, RLCF_CHECKPOINT_DIR: policies },
  });
  let ended = false;
  void child.status.then(() => ended = true);
  while (!ended && [...Deno.readDirSync(policies)].filter(({ name }) => /^gating-.*-ep\.\d+$/.test(name)).length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.ok(!ended, "the training ended before it could be backed up");
  return {
    child,
    [Symbol.asyncDispose]: async () => {
      if (!ended) child.kill("SIGKILL");
      await child.status;
      for (const stream of [child.stdout, child.stderr]) if (!stream.locked) await stream.cancel();
    },
  };
}

async function copy(from: string, to: string): Promise<void> {
  await command("cp", "-a", from, to);
}

async function command(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, `${program}: ${new TextDecoder().decode(stderr)}`);
}

/** What a program says of its version; undefined where there is none. */
async function version(program: string): Promise<string | undefined> {
  try {
    return new TextDecoder().decode((await new Deno.Command(program, { args: ["--version"] }).output()).stdout);
  } catch {
    return undefined;
  }
}

async function whyNoDump(url: string): Promise<string | undefined> {
  const pgDump = await version("pg_dump");
  if (pgDump === undefined) return "pg_dump is not installed";
  const [{ server_version }] = await queryPostgres(url, "show server_version") as [{ server_version: string }];
  const [mine, its] = [pgDump, server_version].map((text) => Number(/(\d+)/.exec(text)![1]));
  return mine! >= its! ? undefined : `pg_dump ${mine} does not read a server of version ${its}`;
}

const sqliteUrl = (place: Workplace): string => place.database;
const restoreSqlite = async (file: string): Promise<string> => {
  await Deno.copyFile(file, `${file}.restored`);
  return `sqlite:///${file}.restored`;
};

const fileOf = (url: string): string => url.slice("sqlite:///".length);

Deno.test("SQLite's online backup while training runs, then the checkpoints: restored elsewhere, all is as it was", () =>
  roundTrip(
    sqliteUrl,
    async (url, file) => {
      using database = new DatabaseSync(fileOf(url), { timeout: 5000 });
      await backup(database, file);
    },
    restoreSqlite,
  ));

for (const statement of ["vacuum into", ".backup"]) {
  Deno.test({
    name: `the same by the program sqlite3, ${statement}${noSqlite3 ? " (it is not installed)" : ""}`,
    ignore: noSqlite3,
    fn: () =>
      roundTrip(
        sqliteUrl,
        (url, file) => command("sqlite3", "-cmd", ".timeout 5000", fileOf(url), `${statement} '${file}'`),
        restoreSqlite,
      ),
  });
}

Deno.test({
  name: `the same on PostgreSQL by pg_dump and pg_restore${noPgDump === undefined ? "" : ` (${noPgDump})`}`,
  ignore: noPgDump !== undefined,
  fn: async () => {
    if ("reason" in postgres) return;
    await using from = await postgres.createDatabase();
    await using to = await postgres.createDatabase();
    await roundTrip(
      () => from.url,
      (url, file) => command("pg_dump", "--format=custom", `--file=${file}`, url),
      async (file) => {
        await command("pg_restore", "--exit-on-error", "--no-owner", `--dbname=${to.url}`, file);
        return to.url;
      },
    );
  },
});

Deno.test("checkpoints restored from an older backup than the database are named, and a good one can be activated", async () => {
  using place = new Workplace();
  const here: Place = { url: place.database, policies: place.policies };
  await place.fill(40);
  assert.equal((await at(place, here, "train")).code, 0);
  await copy(here.policies, join(place.path, "older"));
  assert.equal((await at(place, here, "train")).code, 0);
  const mixed: Place = { url: here.url, policies: join(place.path, "older") };
  const { code, stdout } = await at(place, mixed, "policy", "verify", "--json");
  assert.equal(code, 6);
  const problems = JSON.parse(stdout).versions as { readonly version: string; readonly problems: readonly string[] }[];
  assert.deepEqual(problems.map(({ version, problems }) => [version, problems.length]), [["v1.0.1", 1], ["v1.0.0", 0]]);
  assert.match(problems[0]!.problems[0]!, /Policy checkpoint not found: gating-v1\.0\.1 in .*older/);
  const routed = await at(place, mixed, "route", place.write("none.jsonl", ""));
  assert.equal(routed.code, 6);
  assert.equal((await at(place, mixed, "policy", "activate", "v1.0.0")).code, 0);
  await weights(place, mixed);
  // Another training with the same version's name: the directory is there, but it is not what the row says.
  await Deno.rename(join(mixed.policies, "gating-v1.0.0"), join(mixed.policies, "gating-v1.0.1"));
  const renamed = await at(place, mixed, "policy", "verify", "v1.0.1");
  assert.equal(renamed.code, 6);
  assert.match(renamed.stderr, /v1\.0\.1 .*manifest\.json has SHA-256/);
});
