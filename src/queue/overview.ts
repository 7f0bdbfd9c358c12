/**
 * Looking at the queue without the library that keeps it: for `rlcf jobs` and `rlcf stats`, which must start fast and
 * create nothing.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import { type Query, QUEUE_SCHEMA, type QueueConnection } from "./connection.ts";

/** Begins the name of the queue of each type of policy. */
export const QUEUE_PREFIX = "training-";

/** How a job stands. */
export type JobState = "scheduled" | "waiting" | "running" | "completed" | "failed" | "cancelled";

/** All states, in the order of a job's life. */
export const JOB_STATES: readonly JobState[] = ["scheduled", "waiting", "running", "completed", "failed", "cancelled"];

/** A job as people see it; the field names are those of `--json`. */
export interface JobView {
  /** A UUID. */
  readonly id: string;
  /** `gating`, `react` or `traversal`. */
  readonly policy_type: string;
  /** How it stands. */
  readonly state: JobState;
  /** Settings that differ from the host's. */
  readonly set: JsonObject;
  /** Whose traces it trains on; null for all. */
  readonly policy_version: string | null;
  /** Larger is earlier. */
  readonly priority: number;
  /** Times it was taken by a worker. */
  readonly attempts: number;
  /** Retries that are left after a failure or a lost worker. */
  readonly retries_left: number;
  /** ISO 8601 in UTC, as all times. */
  readonly created_at: string;
  /** Not taken before. */
  readonly due_at: string;
  /** When the latest attempt began. */
  readonly started_at: string | null;
  /** When it completed, failed or was cancelled. */
  readonly ended_at: string | null;
  /** What came of it: version and session, or code and message; null before the first attempt has ended. */
  readonly result: JsonObject | null;
}

/** A repeated job. */
export interface ScheduleView {
  /** Unique. */
  readonly name: string;
  /** What its jobs train. */
  readonly policy_type: string;
  /** Five fields of cron, or a recurrence rule of RFC 5545. */
  readonly cron: string;
  /** In which the expression is read, e.g. `UTC`. */
  readonly timezone: string;
  /** Settings of its jobs. */
  readonly set: JsonObject;
  /** Whose traces they train on; null for all. */
  readonly policy_version: string | null;
}

/** The queue in short. */
export interface QueueView {
  /** Jobs in each state. */
  readonly counts: Readonly<Record<JobState, number>>;
  /** The newest jobs. */
  readonly latest: readonly JobView[];
  /** All schedules, by name. */
  readonly schedules: readonly ScheduleView[];
}

/** Which jobs to list. */
export interface JobFilter {
  /** Most jobs. */
  readonly limit: number;
  /** Only in this state. */
  readonly state?: JobState | undefined;
  /** Only this one. */
  readonly id?: string | undefined;
}

const STATE = `case when state = 'active' then 'running'
  when state in ('created', 'retry') then case when start_after > now() then 'scheduled' else 'waiting' end
  else state::text end`;

/** Jobs, newest first; undefined where no queue was ever made. */
export function listJobs(connection: QueueConnection, filter: JobFilter): Promise<JobView[] | undefined> {
  return reading(connection, (query) => jobs(query, filter));
}

/** Schedules by name; undefined where no queue was ever made. */
export function listSchedules(connection: QueueConnection): Promise<ScheduleView[] | undefined> {
  return reading(connection, schedules);
}

/**
 * Counts, newest jobs and schedules; undefined where no queue was ever made, or this user may not see it: other
 * statistics are for everybody.
 */
export function overviewOf(connection: QueueConnection, latest: number): Promise<QueueView | undefined> {
  return reading(connection, async (query) => {
    const { rows } = await query(
      `select ${STATE} as state, count(*)::int as jobs from ${QUEUE_SCHEMA}.job
      where name like '${QUEUE_PREFIX}%' group by 1`,
    );
    const counted = new Map(rows.map((row) => [row.state as string, row.jobs as number]));
    return {
      counts: Object.fromEntries(JOB_STATES.map((state) => [state, counted.get(state) ?? 0])) as QueueView["counts"],
      latest: await jobs(query, { limit: latest }),
      schedules: await schedules(query),
    };
  }, "nothing");
}

async function reading<T>(
  connection: QueueConnection,
  read: (query: Query) => Promise<T>,
  ifHidden: "throw" | "nothing" = "throw",
): Promise<T | undefined> {
  return await connection.attempt("read the queue of jobs", async () => {
    try {
      return await read(connection.query);
    } catch (error) {
      if (connection.isMissing(error)) return undefined;
      if (ifHidden === "nothing" && connection.isHidden(error)) return undefined;
      throw error;
    }
  });
}

async function jobs(query: Query, { limit, state, id }: JobFilter): Promise<JobView[]> {
  const { rows } = await query(
    `select * from (
      select id, name, ${STATE} as state, data, priority, retry_count, retry_limit, created_on, start_after, started_on,
        completed_on, output
      from ${QUEUE_SCHEMA}.job
      where name like '${QUEUE_PREFIX}%' and ($1::uuid is null or id = $1)
    ) jobs where $2::text is null or state = $2 order by created_on desc, id desc limit $3`,
    [id ?? null, state ?? null, limit],
  );
  return rows.map((row) => ({
    id: row.id as string,
    policy_type: (row.name as string).slice(QUEUE_PREFIX.length),
    state: row.state as JobState,
    ...dataOf(row.data),
    priority: row.priority as number,
    attempts: row.started_on === null ? 0 : row.retry_count as number + 1,
    retries_left: Math.max(0, (row.retry_limit as number) - (row.retry_count as number)),
    created_at: iso(row.created_on)!,
    due_at: iso(row.start_after)!,
    started_at: iso(row.started_on),
    ended_at: iso(row.completed_on),
    result: isObject(row.output) ? resultOf(row.output) : null,
  }));
}

async function schedules(query: Query): Promise<ScheduleView[]> {
  const { rows } = await query(
    `select name, key, cron, timezone, data from ${QUEUE_SCHEMA}.schedule where name like '${QUEUE_PREFIX}%' order by key`,
  );
  return rows.map((row) => ({
    name: row.key as string,
    policy_type: (row.name as string).slice(QUEUE_PREFIX.length),
    cron: row.cron as string,
    timezone: row.timezone as string,
    ...dataOf(row.data),
  }));
}

/** What a row says of its job, whoever wrote it. */
function dataOf(data: unknown): Pick<JobView, "set" | "policy_version"> {
  const { set, policy_version } = isObject(data) ? data : {};
  return {
    set: isObject(set) ? set : {},
    policy_version: typeof policy_version === "string" ? policy_version : null,
  };
}

/** The library's own words for a worker that fell silent become ours. */
function resultOf(output: JsonObject): JsonObject {
  const { value } = output;
  const said = isObject(value) ? value.message : output.message;
  if (output.code === undefined && typeof said === "string" && /heartbeat|timed out/.test(said)) {
    return { code: "worker_lost", message: "the worker ended, or was stopped, while it ran the job" };
  }
  return output;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function iso(value: unknown): string | null {
  return value instanceof Date ? value.toISOString() : null;
}
