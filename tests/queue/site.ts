/**
 * A PostgreSQL with a queue, workers that are killed, and what must hold when all of it is over.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import { verifyCheckpoint } from "../../src/checkpoint/load.ts";
import type { JobView } from "../../src/queue/overview.ts";
import { logOf, onlyObject } from "../cli/support.ts";
import { CrashSite, DIALECTS, pause } from "../faults/crash_support.ts";

/** Why there can be no queue here, if there is a reason. */
export const NO_POSTGRES: string | undefined = DIALECTS.find(({ dialect }) => dialect === "postgres")!.missing;

/** Settings of these tests' sessions: so many passes, and a saved state for every ten episodes. */
export function openQueueSite(epochs: number, activate = "never"): Promise<CrashSite> {
  return CrashSite.open("postgres", `  epochs: ${epochs}`, `  activate: ${activate}\n  save_frequency: 10`);
}

/** Stores a log of so many records. */
export async function fill(site: CrashSite, records: number): Promise<void> {
  const { code, stderr } = await site.run(["ingest", site.place.write("log.jsonl", logOf(records))]);
  assert.equal(code, 0, stderr);
}

/** Adds jobs and returns their ids. */
export async function enqueue(site: CrashSite, ...args: string[]): Promise<string[]> {
  const finished = await site.run(["enqueue", "--json", ...args]);
  assert.equal(finished.code, 0, finished.stderr);
  return (onlyObject(finished).jobs as { id: string }[]).map(({ id }) => id);
}

/** Every job. */
export async function jobsAt(site: CrashSite): Promise<JobView[]> {
  const finished = await site.run(["jobs", "list", "--limit", "1000", "--json"]);
  assert.equal(finished.code, 0, finished.stderr);
  return onlyObject(finished).jobs as JobView[];
}

/** One job. */
export async function jobAt(site: CrashSite, id: string): Promise<JobView> {
  const finished = await site.run(["jobs", "show", id, "--json"]);
  assert.equal(finished.code, 0, finished.stderr);
  return onlyObject(finished) as unknown as JobView;
}

/** Lets thirty seconds of silence pass for whoever runs a job; one that lives may speak too late. */
export async function silence(site: CrashSite): Promise<void> {
  await site.query("update rlcf_queue.job set heartbeat_on = now() - interval '1 hour' where state = 'active'");
  // The next worker to look is not to think that another one has just looked.
  await site.query("update rlcf_queue.queue set monitor_claim_on = now() - interval '1 hour'");
}

/** What workers and their deaths came to. */
export interface Ordeal {
  readonly workers: number;
  readonly killed: number;
  /** Asked to stop by SIGTERM, with a job that went back. */
  readonly stopped: number;
  /** How often whatever ran was taken for silent, beside the deaths. */
  readonly silenced: number;
  readonly seconds: number;
}

/**
 * Lets workers run until the queue is empty. So many of them are killed at a moment drawn from the time that a job
 * takes, counted from the job's start, a quarter of them by SIGTERM; each is replaced. Now and then a worker that lives is
 * taken for dead as well.
 */
export async function ordeal(
  site: CrashSite,
  { slots, kills, random, jobMs }: { slots: number; kills: number; random: Random; jobMs: number },
): Promise<Ordeal> {
  const startedAt = performance.now();
  let [left, killed, stopped, workers, silenced] = [kills, 0, 0, 0, 0];
  const slot = async (): Promise<void> => {
    while (true) {
      workers++;
      const isDoomed = left > 0;
      if (isDoomed) left--;
      const delayMs = isDoomed ? random.uniform() * jobMs : 24 * 3600_000;
      const signal = random.uniform() < 0.25 ? "SIGTERM" : "SIGKILL";
      const ended = await site.kill(["worker", "--drain"], { after: ": training ", delayMs, signal });
      if (ended.killed) {
        killed++;
        await silence(site);
        if (random.uniform() > 0.3) continue;
        await pause(jobMs * random.uniform());
        silenced++;
        await silence(site);
        continue;
      }
      if (isDoomed && ended.code === 130) {
        stopped++;
        continue;
      }
      assert.equal(ended.code, 0, ended.stderr);
      if (await isEmpty(site)) return;
      // It ended before its hour had come.
      if (isDoomed) left++;
    }
  };
  await Promise.all(Array.from({ length: slots }, slot));
  return { workers, killed, stopped, silenced, seconds: (performance.now() - startedAt) / 1000 };
}

async function isEmpty(site: CrashSite): Promise<boolean> {
  return await site.count("select count(*) from rlcf_queue.job where state in ('created', 'retry', 'active')") === 0;
}

/** Every job has completed with one version that no other job has, and every version is whole. */
export async function assertOnceInEffect(site: CrashSite, ids: readonly string[]): Promise<void> {
  const jobs = await jobsAt(site);
  assert.deepEqual(jobs.map(({ id }) => id).sort(), [...ids].sort());
  assert.deepEqual(jobs.filter(({ state }) => state !== "completed"), []);
  const rows = await site.query(`select s.job_id, c.version, c.state_dict_path, c.manifest_sha256
    from policy_checkpoints c join training_sessions s on s.id = c.training_session_id
    where c.version not like '%-ep.%'`);
  assert.equal(rows.length, ids.length, "as many versions as jobs");
  assert.equal(await site.count("select count(*) from policy_checkpoints where version not like '%-ep.%'"), ids.length);
  const versions = new Map(rows.map(({ job_id, version }) => [job_id as string, version as string]));
  assert.deepEqual([...versions.keys()].sort(), [...ids].sort());
  for (const { id, result } of jobs) assert.equal(result?.version, versions.get(id));
  for (const { state_dict_path, manifest_sha256 } of rows) {
    const problems = await verifyCheckpoint(site.place.policies, state_dict_path as string, manifest_sha256 as string);
    assert.deepEqual(problems, []);
  }
  assert.equal(await site.count("select count(*) from training_sessions where status = 'running'"), 0);
}
