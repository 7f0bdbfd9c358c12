/**
 * The queue of training jobs: pg-boss, and nothing of it above this file. It is loaded only by who changes the queue.
 *
 * A job is taken by one worker, which says every few seconds that it lives; the job of one that falls silent goes back
 * to the queue. Of each type of policy one job runs at a time, whatever the number of workers.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { PgBoss } from "pg-boss";
import type { JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { QUEUE_SCHEMA, type QueueConnection } from "./connection.ts";
import { jobToJson, type PolicyType, type TrainingJob } from "./job.ts";
import { QUEUE_PREFIX } from "./overview.ts";

const log = getLogger(["rlcf", "queue"]);

/** A worker that says nothing for so long is taken for dead. */
const HEARTBEAT_SECONDS = 30;
/** Pause between two signs of life; two may get lost. */
export const SIGN_OF_LIFE_MS = 10_000;
/** How often workers look for silent ones. */
const WATCH_SECONDS = 5;
/** Ended jobs are kept so long, in seconds; the sessions' rows stay for ever. */
const KEEP_ENDED = 30 * 24 * 3600;
/** Waiting jobs are kept so long, in seconds: also those for a date far ahead. */
const KEEP_WAITING = 365 * 24 * 3600;
/** The longest time that the library takes, in seconds: heartbeats decide about life and death, not the clock. */
const LONGEST_RUN = 24 * 3600;

/** When and how a job is run. */
export interface JobTerms {
  /** Larger is earlier; 0 is usual. */
  readonly priority: number;
  /** How often it is tried again after a failure that may pass, or a lost worker. */
  readonly retries: number;
}

/** A job that this process runs. */
export interface TakenJob {
  /** A UUID. */
  readonly id: string;
  /** Whose queue it was in. */
  readonly policyType: string;
  /** As it is stored; nobody has checked it. */
  readonly data: unknown;
  /** Which attempt it is: only its holder can settle it. */
  readonly retryCount: number;
  /** The last attempt has this number. */
  readonly retryLimit: number;
}

const KNOWN: Readonly<Record<PolicyType, true>> = { gating: true, react: true, traversal: true };

/** All types of policy. */
export const POLICY_TYPES: readonly PolicyType[] = Object.keys(KNOWN) as PolicyType[];

/** The queue, open for changes. */
export class JobQueue implements AsyncDisposable {
  readonly #connection: QueueConnection;
  readonly #boss: PgBoss;

  private constructor(connection: QueueConnection, boss: PgBoss) {
    this.#connection = connection;
    this.#boss = boss;
  }

  /**
   * Opens the queue, and makes its tables where they are missing.
   *
   * @param keeps whether to look after it meanwhile (silent workers, schedules), as workers do
   * @throws RlcfError `database`, naming the grants that are missing
   */
  static open(connection: QueueConnection, keeps: boolean): Promise<JobQueue> {
    return connection.attempt("open the queue of jobs", async () => {
      const boss = new PgBoss({
        db: { executeSql: (text, values) => connection.query(text, values) },
        schema: QUEUE_SCHEMA,
        supervise: keeps,
        superviseIntervalSeconds: WATCH_SECONDS,
        monitorIntervalSeconds: WATCH_SECONDS,
        schedule: keeps,
        // It would record memory and processors of this host, for which it asks for more rights than rlcf has.
        registerInstance: false,
        // Maintenance of indexes and vacuum is the administrator's.
        reindex: false,
        monitorVacuum: false,
      });
      boss.on("error", (error: unknown) => {
        log.warn("the queue's upkeep failed: {cause}", { cause: connection.causeOf(error) });
      });
      try {
        await boss.start();
        const queue = new JobQueue(connection, boss);
        await queue.#prepare();
        return queue;
      } catch (error) {
        await boss.stop({ graceful: false }).catch(() => {});
        throw error;
      }
    });
  }

  /** Adds jobs, all or none, and returns their ids in order. */
  async add(
    jobs: readonly TrainingJob[],
    { priority, retries, at }: JobTerms & { readonly at: Date | null },
  ): Promise<string[]> {
    const ids = jobs.map(() => crypto.randomUUID());
    await this.#connection.attempt("add jobs", () =>
      this.#connection.transaction(async (query) => {
        for (const policyType of new Set(jobs.map((job) => job.policyType))) {
          const rows = jobs.map((job, i) => ({ job, id: ids[i]! })).filter(({ job }) => job.policyType === policyType);
          await this.#boss.insert(
            queueOf(policyType),
            rows.map(({ job, id }) => ({
              id,
              data: jobToJson(job),
              priority,
              retryLimit: retries,
              ...(at === null ? {} : { startAfter: at }),
            })),
            { db: { executeSql: query } },
          );
        }
      }));
    return ids;
  }

  /** Repeats a job by a schedule, which takes the place of one of the same name. */
  async schedule(
    name: string,
    job: TrainingJob,
    { cron, timezone, ...terms }: JobTerms & { readonly cron: string; readonly timezone: string },
  ): Promise<void> {
    checkSchedule(cron, timezone);
    await this.#connection.attempt("store a schedule", async () => {
      try {
        await this.#boss.schedule(queueOf(job.policyType), cron, jobToJson(job), {
          key: name,
          tz: timezone,
          priority: terms.priority,
          retryLimit: terms.retries,
          // After a night without workers one run is due, not as many as were missed.
          missed: "once",
        });
      } catch (error) {
        throw new RlcfError(
          "usage",
          `cannot use --cron: found ${JSON.stringify(cron)} in ${timezone} (${this.#connection.causeOf(error)}), ` +
            'wanted five fields such as "0 3 * * *"',
          { cause: error },
        );
      }
    });
    // The same name for another type of policy is the same schedule.
    await this.#removeSchedules(name, POLICY_TYPES.filter((type) => type !== job.policyType));
  }

  /** Ends a schedule; false if there is none of this name. Jobs that it has made stay. */
  unschedule(name: string): Promise<boolean> {
    return this.#removeSchedules(name, POLICY_TYPES);
  }

  /** Takes the next job that is due, or undefined. */
  async take(types: readonly PolicyType[]): Promise<TakenJob | undefined> {
    for (const policyType of types) {
      const [job] = await this.#connection.attempt(
        "take a job",
        () => this.#boss.fetch(queueOf(policyType), { includeMetadata: true }),
        // An answer that got lost leaves a job without a worker, which comes back by itself.
        false,
      );
      if (job === undefined) continue;
      return { id: job.id, policyType, data: job.data, retryCount: job.retryCount, retryLimit: job.retryLimit };
    }
    return undefined;
  }

  /** Tells that the job is being worked on; false if it is not this process' any more. */
  async signOfLife({ id, policyType, retryCount }: TakenJob): Promise<boolean> {
    const response = await this.#connection.attempt(
      "keep a job",
      () => this.#boss.touch(queueOf(policyType), { id, retryCount }),
      false,
    );
    return hasChanged(response);
  }

  /** Ends the job well; false if it is not this process' any more. */
  async complete({ id, policyType, retryCount }: TakenJob, result: JsonObject): Promise<boolean> {
    const response = await this.#connection.attempt(
      "complete a job",
      () => this.#boss.complete(queueOf(policyType), { id, retryCount }, result),
    );
    return hasChanged(response);
  }

  /** Ends the job for good, without another try. */
  fail(job: TakenJob, result: JsonObject): Promise<boolean> {
    return this.#settle(job, `state = 'failed', completed_on = now(), output = $4`, [JSON.stringify(result)]);
  }

  /**
   * Gives the job back, to be taken again so many seconds later.
   *
   * @param isFree whether this attempt does not count against the retries
   */
  putBack(
    job: TakenJob,
    after: { readonly seconds: number; readonly isFree: boolean },
    why: JsonObject,
  ): Promise<boolean> {
    return this.#settle(
      job,
      `state = 'retry', output = $4, start_after = now() + make_interval(secs => $5), retry_limit = retry_limit + $6`,
      [JSON.stringify(why), after.seconds, after.isFree ? 1 : 0],
    );
  }

  /** Cancels a job that has not ended; a worker that runs it stops at its next sign of life. */
  async cancel(id: string, policyType: string): Promise<boolean> {
    return hasChanged(
      await this.#connection.attempt("cancel a job", () => this.#boss.cancel(queueOf(policyType), id)),
    );
  }

  /** Jobs that are due or running. */
  async countOpen(types: readonly PolicyType[]): Promise<number> {
    const { rows: [row] } = await this.#connection.attempt("read the queue of jobs", () =>
      this.#connection.query(
        `select count(*)::int as jobs from ${QUEUE_SCHEMA}.job where name = any($1)
        and (state in ('retry', 'active') or (state = 'created' and start_after <= now()))`,
        [types.map(queueOf)],
      ));
    return row!.jobs as number;
  }

  /** Stops looking after the queue. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#boss.stop({ graceful: true, close: false });
  }

  /**
   * One statement for the holder of this attempt. The library's own commands leave no choice between another try and
   * none, nor the number of retries as it is.
   */
  async #settle(
    { id, policyType, retryCount }: TakenJob,
    change: string,
    values: readonly unknown[],
  ): Promise<boolean> {
    const { rows } = await this.#connection.attempt("settle a job", () =>
      this.#connection.query(
        `update ${QUEUE_SCHEMA}.job set ${change}
        where name = $1 and id = $2 and retry_count = $3 and state = 'active' returning id`,
        [queueOf(policyType), id, retryCount, ...values],
      ));
    return rows.length > 0;
  }

  async #removeSchedules(name: string, types: readonly PolicyType[]): Promise<boolean> {
    const { rows } = await this.#connection.attempt("remove a schedule", () =>
      this.#connection.query(
        `delete from ${QUEUE_SCHEMA}.schedule where key = $1 and name = any($2) returning key`,
        [name, types.map(queueOf)],
      ));
    return rows.length > 0;
  }

  async #prepare(): Promise<void> {
    const names = new Set((await this.#boss.getQueues()).map(({ name }) => name));
    for (const policyType of POLICY_TYPES) {
      const name = queueOf(policyType);
      if (names.has(name)) continue;
      await this.#boss.createQueue(name, {
        policy: "singleton",
        heartbeatSeconds: HEARTBEAT_SECONDS,
        expireInSeconds: LONGEST_RUN,
        retentionSeconds: KEEP_WAITING,
        deleteAfterSeconds: KEEP_ENDED,
        // The job of a dead worker is next again: its interrupted session can then be taken up.
        retryDelay: 0,
        retryBackoff: false,
      });
    }
  }
}

/** How many jobs a command changed, which the library returns and leaves out of the type. */
function hasChanged(response: object): boolean {
  return "affected" in response && typeof response.affected === "number" && response.affected > 0;
}

function queueOf(policyType: string): string {
  return `${QUEUE_PREFIX}${policyType}`;
}

/** The library takes four or six fields for something else than was meant. */
function checkSchedule(cron: string, timezone: string): void {
  if (cron.trim().split(/\s+/).length !== 5) {
    throw new RlcfError(
      "usage",
      `cannot use --cron: found ${JSON.stringify(cron)}, wanted five fields (minute, hour, day, month, weekday) such ` +
        'as "0 3 * * *"',
    );
  }
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
  } catch (error) {
    throw new RlcfError(
      "usage",
      `cannot use --timezone: found ${JSON.stringify(timezone)}, wanted a name such as "Europe/Rome"`,
      { cause: error },
    );
  }
}
