/**
 * `rlcf enqueue`: training requests for the workers, now, later or again and again.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { RlcfError } from "../base/errors.ts";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { TrainingJob } from "../queue/job.ts";
import type { JobQueue } from "../queue/queue.ts";
import { command, configured, helpOf } from "./context.ts";
import { count } from "./table.ts";
import { printResult, say } from "./terminal.ts";

/** Tries after the first one, unless told otherwise: what kills workers seldom kills four. */
const DEFAULT_RETRIES = 3;
/** As large as the database's integers allow with room to spare; nobody needs more. */
const LARGEST = { priority: 1_000_000, retries: 1000 };
/** Names of schedules. */
const NAME = /^[\w.-]{1,100}$/;

/** The command. */
export function enqueueCommand(): Command {
  const enqueue = command("enqueue", "add training jobs to the queue, which rlcf worker runs (PostgreSQL)")
    .option("--policy-type <type>", helpOf("training.policy_type"))
    .option("--set <name=value>", "a setting that differs from the host's; may be repeated", collect, [])
    .option("--sweep <name=v1,v2,...>", "a job for each value; repeated, for each combination", collect, [])
    .option("--policy-version <version>", "train only on traces that this version routed")
    .option("--priority <n>", "larger is earlier", "0")
    .option("--retries <n>", "tries after a failure that may pass or a lost worker", String(DEFAULT_RETRIES))
    .option("--at <time>", "not before, e.g. 2026-01-31T03:00:00Z")
    .option("--cron <expression>", 'again and again, e.g. "0 3 * * *"; needs --name')
    .option("--timezone <name>", "of --cron", "UTC")
    .option("--name <name>", "of the schedule; the same name replaces it");
  enqueue.action(async (options) => {
    const resolved = await configured(options);
    const { jobsOf } = await import("../queue/sweep.ts");
    const jobs = jobsOf({
      policyType: options.policyType ?? resolved.config.training.policyType,
      policyVersion: options.policyVersion ?? null,
      set: options.set,
      sweep: options.sweep,
    });
    const terms = {
      priority: whole(options.priority, "--priority", -LARGEST.priority, LARGEST.priority),
      retries: whole(options.retries, "--retries", 0, LARGEST.retries),
    };
    const at = options.at === undefined ? null : moment(options.at);
    if (options.cron === undefined) {
      if (options.name !== undefined) {
        throw new RlcfError("usage", "cannot use --name: found no --cron, which it names");
      }
      const ids = await withQueue(resolved, (queue) => queue.add(jobs, { ...terms, at }));
      return tellJobs(jobs, ids, options.json === true);
    }
    const schedule = { cron: options.cron, timezone: options.timezone, ...terms };
    const { name, job } = scheduled(jobs, options.name, at);
    await withQueue(resolved, (queue) => queue.schedule(name, job, schedule));
    if (options.json) {
      const { cron, timezone } = schedule;
      const { overrides: set, policyType: policy_type } = job;
      return printResult(JSON.stringify({ status: "scheduled", name, policy_type, set, cron, timezone }));
    }
    say(`${name}: ${job.policyType} is trained at "${schedule.cron}" (${schedule.timezone}) while a worker runs`);
    printResult(name);
  });
  return enqueue as unknown as Command;
}

/** Opens the queue, and with it the library, for one change. */
export async function withQueue<T>(
  { config }: ResolvedConfig,
  change: (queue: JobQueue) => Promise<T>,
): Promise<T> {
  const { QueueConnection } = await import("../queue/connection.ts");
  await using connection = new QueueConnection(config.database.url);
  const { JobQueue } = await import("../queue/queue.ts");
  await using queue = await JobQueue.open(connection, false);
  return await change(queue);
}

function scheduled(
  jobs: readonly TrainingJob[],
  name: string | undefined,
  at: Date | null,
): { readonly name: string; readonly job: TrainingJob } {
  const refuse = (what: string): never => {
    throw new RlcfError("usage", `cannot use --cron: ${what}`);
  };
  if (name === undefined || !NAME.test(name)) {
    return refuse("wanted --name of letters, digits, dots, dashes and underscores");
  }
  if (at !== null) return refuse("found --at too, wanted one of the two");
  const [job, ...more] = jobs;
  if (job === undefined || more.length > 0) return refuse(`found a sweep of ${jobs.length} jobs, wanted one job`);
  return { name, job };
}

function tellJobs(jobs: readonly TrainingJob[], ids: readonly string[], json: boolean): void {
  if (json) {
    const told = jobs.map(({ policyType, overrides, policyVersion }, i) => ({
      id: ids[i],
      policy_type: policyType,
      set: overrides,
      policy_version: policyVersion,
    }));
    return printResult(JSON.stringify({ status: "enqueued", jobs: told }));
  }
  say(`${count(ids.length)} ${ids.length === 1 ? "job" : "jobs"} enqueued; rlcf jobs list shows them`);
  for (const id of ids) printResult(id);
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

/** A whole number within bounds, from an option. */
export function whole(text: string, option: string, min: number, max: number): number {
  const value = Number(text);
  if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
  throw new RlcfError(
    "usage",
    `cannot use ${option}: found ${JSON.stringify(text.slice(0, 80))}, wanted an integer from ${min} to ${max}`,
  );
}

/** A moment with its time zone: without one, hosts would not agree. */
function moment(text: string): Date {
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN;
  if (Number.isFinite(time)) return new Date(time);
  throw new RlcfError(
    "usage",
    `cannot use --at: found ${JSON.stringify(text.slice(0, 80))}, wanted a time such as 2026-01-31T03:00:00Z`,
  );
}
