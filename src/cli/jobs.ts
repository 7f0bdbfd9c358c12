/**
 * `rlcf jobs`: what is in the queue, and what came of it.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { RlcfError } from "../base/errors.ts";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { QueueConnection } from "../queue/connection.ts";
import type { JobFilter, JobState, JobView } from "../queue/overview.ts";
import { command, configured } from "./context.ts";
import { whole, withQueue } from "./enqueue.ts";
import { jobRow, sayJobs, saySchedules } from "./jobs_view.ts";
import { sayFacts } from "./table.ts";
import { printResult, say } from "./terminal.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The command and its subcommands. */
export function jobsCommand(): Command {
  const jobs = new Command("jobs").description("list, show and cancel the jobs of the queue, and its schedules");
  for (const sub of [list(), show(), cancel(), schedules(), unschedule()]) jobs.addCommand(sub);
  return jobs as unknown as Command;
}

function list(): Command {
  const sub = command("list", "jobs, newest first")
    .option("--state <state>", "only scheduled, waiting, running, completed, failed or cancelled ones")
    .option("--limit <n>", "most jobs", "20");
  sub.action(async (options) => {
    const resolved = await configured(options);
    const limit = whole(options.limit, "--limit", 1, 100_000);
    const state = options.state === undefined ? undefined : await stateOf(options.state);
    const found = await find(resolved, { limit, state });
    if (options.json) return printResult(JSON.stringify({ jobs: found }));
    if (found.length === 0) return say("no job; rlcf enqueue adds one");
    sayJobs(found);
  });
  return sub as unknown as Command;
}

function show(): Command {
  const sub = command("show", "one job and what came of it").argument("<id>");
  sub.action(async (id, options) => {
    const job = await theJob(await configured(options), id);
    if (options.json) return printResult(JSON.stringify(job));
    sayFacts(jobRow(job));
  });
  return sub as unknown as Command;
}

function cancel(): Command {
  const sub = command("cancel", "cancel a job; one that runs is stopped within seconds, its state saved")
    .argument("<id>");
  sub.action(async (id, options) => {
    const resolved = await configured(options);
    const job = await theJob(resolved, id);
    const isCancelled = await withQueue(resolved, (queue) => queue.cancel(job.id, job.policy_type));
    if (!isCancelled) {
      throw new RlcfError("usage", `cannot cancel job ${job.id}: it is ${job.state}, wanted one that has not ended`);
    }
    if (options.json) return printResult(JSON.stringify({ status: "cancelled", id: job.id, was: job.state }));
    say(`job ${job.id}: cancelled`);
  });
  return sub as unknown as Command;
}

function schedules(): Command {
  const sub = command("schedules", "jobs that are repeated; rlcf enqueue --cron adds one");
  sub.action(async (options) => {
    const resolved = await configured(options);
    // Whoever looks here may be the one who was asked to make the queue's tables.
    await withQueue(resolved, () => Promise.resolve());
    const { listSchedules } = await import("../queue/overview.ts");
    const found = await looking(resolved, (connection) => listSchedules(connection)) ?? [];
    if (options.json) return printResult(JSON.stringify({ schedules: found }));
    if (found.length === 0) return say('no schedule; rlcf enqueue --cron "0 3 * * *" --name nightly adds one');
    saySchedules(found);
  });
  return sub as unknown as Command;
}

function unschedule(): Command {
  const sub = command("unschedule", "end a schedule; jobs that it has made stay").argument("<name>");
  sub.action(async (name, options) => {
    const removed = await withQueue(await configured(options), (queue) => queue.unschedule(name));
    if (!removed) throw new RlcfError("usage", `cannot end the schedule ${JSON.stringify(name)}: there is none`);
    if (options.json) return printResult(JSON.stringify({ status: "unscheduled", name }));
    say(`${name}: not repeated any more`);
  });
  return sub as unknown as Command;
}

/** Looks at the queue of a configuration. Throws RlcfError("usage") on SQLite. */
export async function looking<T>(
  { config }: ResolvedConfig,
  look: (connection: QueueConnection) => Promise<T>,
): Promise<T> {
  const { QueueConnection } = await import("../queue/connection.ts");
  await using connection = new QueueConnection(config.database.url);
  return await look(connection);
}

async function find(resolved: ResolvedConfig, filter: JobFilter): Promise<JobView[]> {
  const { listJobs } = await import("../queue/overview.ts");
  return await looking(resolved, (connection) => listJobs(connection, filter)) ?? [];
}

async function theJob(resolved: ResolvedConfig, id: string): Promise<JobView> {
  const refuse = (wanted: string): never => {
    throw new RlcfError("usage", `cannot find job ${JSON.stringify(id.slice(0, 80))}: ${wanted}`, {
      hint: "rlcf jobs list --json tells the ids.",
    });
  };
  if (!UUID.test(id)) return refuse("wanted the id of a job, a UUID");
  const [job] = await find(resolved, { limit: 1, id });
  return job ?? refuse("there is none with this id");
}

async function stateOf(text: string): Promise<JobState> {
  const { JOB_STATES } = await import("../queue/overview.ts");
  const state = JOB_STATES.find((known) => known === text);
  if (state !== undefined) return state;
  throw new RlcfError(
    "usage",
    `cannot use --state: found ${JSON.stringify(text.slice(0, 80))}, wanted one of ${JOB_STATES.join(", ")}`,
  );
}
