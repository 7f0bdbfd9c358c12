import assert from "node:assert/strict";
import { createPersistence } from "../../src/store/create.ts";
import { type Finished, onlyObject, rlcf, Workplace } from "../cli/support.ts";
import type { CrashSite } from "../faults/crash_support.ts";
import { postgresForTests } from "../support/postgres.ts";
import { assertOnceInEffect, enqueue, fill, jobAt, jobsAt, NO_POSTGRES, openQueueSite, silence } from "./site.ts";

/** A test on a queue with a log of sixty records. */
function onQueue(
  name: string,
  test: (site: CrashSite) => Promise<void>,
  { epochs = 2, activate = "never" } = {},
): void {
  const reason = NO_POSTGRES === undefined ? "" : ` (${NO_POSTGRES})`;
  Deno.test({
    name: `${name}${reason}`,
    ignore: NO_POSTGRES !== undefined,
    fn: async () => {
      await using site = await openQueueSite(epochs, activate);
      await fill(site, 60);
      await test(site);
    },
  });
}

for (const args of [["enqueue"], ["worker"], ["jobs", "list"], ["jobs", "schedules"]]) {
  Deno.test(`rlcf ${args.join(" ")} on SQLite says that it needs PostgreSQL, and makes no file`, async () => {
    using place = new Workplace();
    const finished = await place.run([...args, "--json"]);
    assert.equal(finished.code, 2);
    assert.match(finished.stderr, /cannot use the queue of jobs: found sqlite:.*, wanted PostgreSQL/);
    assert.equal((onlyObject(finished).error as { code: string }).code, "usage");
    assert.throws(() => Deno.statSync(`${place.path}/log.db`), Deno.errors.NotFound);
  });
}

onQueue("a worker trains every job of a sweep with the job's settings, and stats tells of them", async (site) => {
  const ids = await enqueue(site, "--sweep", "training.seed=5,6", "--set", "training.epochs=1");
  const worked = await site.run(["worker", "--drain", "--json"]);
  assert.equal(worked.code, 0, worked.stderr);
  assert.deepEqual(onlyObject(worked).counts, { completed: 2, failed: 0, put_back: 0, lost: 0 });
  await assertOnceInEffect(site, ids);
  const configs = await site.query("select config from training_sessions order by started_at");
  const used = configs.map(({ config }) => (config as { training: Record<string, unknown> }).training);
  assert.deepEqual(used.map(({ seed }) => seed).sort(), [5, 6]);
  assert.deepEqual(used.map(({ epochs }) => epochs), [1, 1]);
  const stats = onlyObject(await site.run(["stats", "--json"])).jobs as Record<string, unknown>;
  assert.deepEqual(stats.counts, { scheduled: 0, waiting: 0, running: 0, completed: 2, failed: 0, cancelled: 0 });
});

onQueue("a job whose completion was never heard of is not trained again", async (site) => {
  const [id] = await enqueue(site);
  assert.equal((await site.run(["worker", "--once"])).code, 0);
  const { result } = await jobAt(site, id!);
  await site.query("update rlcf_queue.job set state = 'retry', completed_on = null, output = null");
  const again = await site.run(["worker", "--once", "--json"]);
  assert.equal(again.code, 0, again.stderr);
  const [worked] = onlyObject(again).jobs as Record<string, unknown>[];
  assert.equal(worked!.repeated, true);
  assert.deepEqual((await jobAt(site, id!)).result, result);
  assert.equal(await site.count("select count(*) from training_sessions"), 1);
  await assertOnceInEffect(site, [id!]);
});

onQueue("what a worker left undone after publishing is finished, not trained again", async (site) => {
  const [id] = await enqueue(site);
  assert.equal((await site.run(["worker", "--once"])).code, 0);
  // As the worker would have left it, had it been killed right after the version's row was stored.
  await site.query("update policy_checkpoints set is_active = false, activated_at = null");
  await site.query("delete from policy_activations");
  await site.query(`update training_sessions set status = 'running', ended_at = null, policy_version_to = null,
    num_traces = 0, num_feedback = 0, metrics = '{}'`);
  await site.query("update rlcf_queue.job set state = 'active', completed_on = null, output = null");
  await silence(site);
  const again = await site.run(["worker", "--drain", "--json"]);
  assert.equal(again.code, 0, again.stderr);
  await assertOnceInEffect(site, [id!]);
  const [session] = await site.query(
    "select status, policy_version_to, num_traces, num_feedback from training_sessions",
  );
  assert.equal(session!.status, "completed");
  assert.equal(session!.policy_version_to, "v1.0.0");
  assert.equal(session!.num_feedback, 60);
  assert.equal(await site.count("select count(*) from policy_checkpoints where is_active"), 1);
  assert.equal((await jobAt(site, id!)).result?.activated, true);
}, { activate: "always" });

onQueue(
  "a worker that is asked to stop saves the session and gives the job back; the next one takes it up",
  async (site) => {
    const [id] = await enqueue(site, "--retries", "0");
    const stopped = await site.kill(["worker"], { after: "training v1.0.0", delayMs: 300, signal: "SIGTERM" });
    assert.equal(stopped.code, 130, stopped.stderr);
    assert.match(stopped.stderr, /back in the queue/);
    assert.equal((await jobAt(site, id!)).state, "waiting");
    assert.equal(await site.count("select count(*) from training_sessions where status = 'interrupted'"), 1);
    const finished = await site.run(["worker", "--drain"]);
    assert.equal(finished.code, 0, finished.stderr);
    assert.match(finished.stderr, /of an interrupted session/);
    await assertOnceInEffect(site, [id!]);
  },
  { epochs: 600 },
);

onQueue("a job does not take up what a person has interrupted", async (site) => {
  const [id] = await enqueue(site);
  for (const command of ["worker", "train"]) {
    const stopped = await site.kill([command], { after: "training v1.0.", delayMs: 300, signal: "SIGTERM" });
    assert.equal(stopped.code, 130, stopped.stderr);
  }
  const finished = await site.run(["worker", "--drain"]);
  assert.equal(finished.code, 0, finished.stderr);
  assert.match(finished.stderr, /from fresh weights/);
  assert.doesNotMatch(finished.stderr, /starts anew/);
  await assertOnceInEffect(site, [id!]);
}, { epochs: 600 });

onQueue("a worker without a job ends with 0 when it is asked to stop", async (site) => {
  const stopped = await site.kill(["worker"], { after: "waiting for jobs", delayMs: 50, signal: "SIGTERM" });
  assert.equal(stopped.code, 0, stopped.stderr);
});

onQueue("a job waits for a trainer that holds the lease, and loses no retry", async (site) => {
  const [id] = await enqueue(site, "--retries", "0");
  {
    await using store = await createPersistence(site.url);
    await using _lease = await store.acquireLease("gating");
    const busy = await site.run(["worker", "--once", "--json"]);
    assert.equal(busy.code, 5, busy.stderr);
    const job = await jobAt(site, id!);
    assert.deepEqual([job.state, job.retries_left], ["scheduled", 1]);
    assert.equal(job.result?.code, "lease_held");
  }
  const finished = await site.run(["worker", "--drain"]);
  assert.equal(finished.code, 0, finished.stderr);
  await assertOnceInEffect(site, [id!]);
});

onQueue(
  "a job without enough data, or with settings that no host takes, fails with the reason and is not tried again",
  async (site) => {
    const [poor] = await enqueue(site, "--set", "training.min_feedback=9999");
    const first = await site.run(["worker", "--once"]);
    assert.equal(first.code, 3, first.stderr);
    const [broken] = await enqueue(site);
    await site.query(
      `update rlcf_queue.job set data = '{"policy_type": "gating", "set": {"database.url": "postgresql://u:s3cret@h/d"}}'
    where id = '${broken}'`,
    );
    const second = await site.run(["worker", "--once"]);
    assert.equal(second.code, 2, second.stderr);
    const ended = await Promise.all([poor!, broken!].map((id) => jobAt(site, id)));
    assert.deepEqual(ended.map(({ state, result }) => [state, result?.code]), [
      ["failed", "not_enough_data"],
      ["failed", "usage"],
    ]);
    assert.match(String(ended[1]!.result?.message), /a job cannot set database.url/);
    assert.ok(!`${second.stderr}${JSON.stringify(ended[1]!.result)}`.includes("s3cret"));
  },
);

onQueue("a cancelled job is never run, and one that has ended cannot be cancelled", async (site) => {
  const [id] = await enqueue(site);
  assert.equal((await site.run(["jobs", "cancel", id!])).code, 0);
  assert.equal((await site.run(["worker", "--drain"])).code, 0);
  assert.equal((await jobAt(site, id!)).state, "cancelled");
  assert.equal(await site.count("select count(*) from training_sessions"), 0);
  const twice = await site.run(["jobs", "cancel", id!]);
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /it is cancelled, wanted one that has not ended/);
});

onQueue("jobs go by priority, and none before its time", async (site) => {
  const [low] = await enqueue(site, "--priority", "-1");
  const [late] = await enqueue(site, "--priority", "9", "--at", "2099-01-01T00:00:00Z");
  const [high] = await enqueue(site, "--priority", "2");
  const worked = await site.run(["worker", "--drain", "--json"]);
  assert.deepEqual((onlyObject(worked).jobs as { id: string }[]).map(({ id }) => id), [high, low]);
  assert.equal((await jobAt(site, late!)).state, "scheduled");
});

onQueue("a schedule is stored, replaced by its name, shown and ended", async (site) => {
  const cron = (when: string, ...more: string[]): Promise<{ code: number; stderr: string }> =>
    site.run(["enqueue", "--cron", when, "--name", "nightly", ...more]);
  assert.equal((await cron("0 3 * * *")).code, 0);
  assert.equal((await cron("30 4 * * 1", "--timezone", "Europe/Rome", "--set", "training.seed=7")).code, 0);
  const wrong = await cron("61 * * * *");
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /cannot use --cron: found "61 \* \* \* \*"/);
  const { schedules } = onlyObject(await site.run(["jobs", "schedules", "--json"]));
  assert.deepEqual(schedules, [{
    name: "nightly",
    policy_type: "gating",
    cron: "30 4 * * 1",
    timezone: "Europe/Rome",
    set: { "training.seed": 7 },
    policy_version: null,
  }]);
  assert.equal((await site.run(["jobs", "unschedule", "nightly"])).code, 0);
  assert.equal((await site.run(["jobs", "unschedule", "nightly"])).code, 2);
  assert.deepEqual(onlyObject(await site.run(["jobs", "schedules", "--json"])).schedules, []);
});

onQueue("three who add jobs to a database without a queue at the same time make it once", async (site) => {
  const added = await Promise.all([1, 2, 3].map((seed) => enqueue(site, "--set", `training.seed=${seed}`)));
  assert.deepEqual((await jobsAt(site)).map(({ id }) => id).sort(), added.flat().sort());
});

onQueue(
  "a user who may not create the queue, or may not use it, is told what is missing, and no password",
  async (site) => {
    const postgres = await postgresForTests();
    if ("reason" in postgres || postgres.passwordUrl === undefined) return;
    const name = new URL(site.url).pathname.slice(1);
    const url = postgres.passwordUrl(name);
    await site.query(`grant usage on schema public to rlcf_password;
    grant select, insert, update, delete on all tables in schema public to rlcf_password`);
    const as = (...args: string[]): Promise<Finished> =>
      rlcf([...args, "--config", site.place.config], { env: { RLCF_ASYNC_DATABASE_URL: url } });
    const missing = await as("enqueue");
    assert.equal(missing.code, 4, missing.stderr);
    assert.match(missing.stderr, /rlcf_queue is not there and this user may not create it/);
    await enqueue(site);
    // Whoever may not see the queue still sees the rest.
    const stats = await as("stats", "--json");
    assert.equal(stats.code, 0, stats.stderr);
    assert.equal(onlyObject(stats).jobs, null);
    const unused = await as("enqueue");
    assert.equal(unused.code, 4, unused.stderr);
    assert.match(unused.stderr, /grant usage on schema rlcf_queue to rlcf_password/);
    for (const { stderr } of [missing, unused]) assert.ok(!stderr.includes("p@s") && !stderr.includes("p%40s"), stderr);
    await site.query(`grant usage on schema rlcf_queue to rlcf_password;
    grant select, insert, update, delete on all tables in schema rlcf_queue to rlcf_password`);
    const granted = await as("enqueue");
    assert.equal(granted.code, 0, granted.stderr);
  },
);
