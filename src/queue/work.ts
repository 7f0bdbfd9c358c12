/**
 * A worker: takes one job after another until it is stopped, or there is nothing more to do.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { PolicyType } from "./job.ts";
import { type JobQueue, SIGN_OF_LIFE_MS, type TakenJob } from "./queue.ts";
import type { JobFailure, JobOutcome } from "./run_job.ts";

const log = getLogger(["rlcf", "queue"]);

/** Pause before looking for a job again, in milliseconds. */
const LOOK_AGAIN_MS = 1000;
/** Pause after the database has failed, in milliseconds. */
const DATABASE_AWAY_MS = 10_000;
/** How long a job waits for a trainer that holds the lease, in seconds. */
const BUSY_SECONDS = 5;
/** Pauses before another try, in seconds: doubled each time, up to the longest. */
const [FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS] = [5, 300];

/** How a job left the worker. */
export type JobEnd = "completed" | "failed" | "put_back" | "lost";

/** What a worker tells of a job; the field names are those of `worker --json`. */
export interface WorkedJob {
  /** A UUID. */
  readonly id: string;
  /** What was trained. */
  readonly policy_type: string;
  /** `put_back`: it will be taken again; `lost`: it was cancelled, or given to another worker meanwhile. */
  readonly end: JobEnd;
  /** The version, if there is one. */
  readonly version: string | null;
  /** Whether that version is, or was, active. */
  readonly activated: boolean;
  /** Whether an earlier attempt had made the version, so that nothing was trained now. */
  readonly repeated: boolean;
  /** Why it did not complete. */
  readonly failure: JobFailure | null;
}

/** How a worker works. */
export interface WorkOptions {
  /** Where it takes jobs from. */
  readonly queue: JobQueue;
  /** Which types it trains. */
  readonly types: readonly PolicyType[];
  /** `once`: at most one job; `drain`: until no job is due or running; `forever`: until stopped. */
  readonly until: "once" | "drain" | "forever";
  /** Aborted to stop: the job that runs saves its state and goes back. */
  readonly signal: AbortSignal;
  /** Runs a job; never throws. */
  readonly run: (job: TakenJob, signal: AbortSignal) => Promise<JobOutcome>;
  /** Told when a job is about to run. */
  readonly onTaken?: ((job: TakenJob) => void) | undefined;
  /** Told when it has left this worker. */
  readonly onEnd?: ((job: WorkedJob) => void) | undefined;
}

/** Works until there is no reason to go on. */
export async function work(options: WorkOptions): Promise<void> {
  const { queue, types, until, signal } = options;
  for (let turn = 0; !signal.aborted; turn++) {
    try {
      // In turn, so that a type with many jobs does not keep the others waiting.
      const job = await queue.take(types.map((_, i) => types[(turn + i) % types.length]!));
      if (job !== undefined) {
        options.onTaken?.(job);
        options.onEnd?.(await workOn(job, options));
        if (until === "once") return;
        continue;
      }
      if (until === "once" || (until === "drain" && await queue.countOpen(types) === 0)) return;
    } catch (thrown) {
      // A service outlives its database; a command says that it failed.
      if (until !== "forever" || !(thrown instanceof RlcfError) || thrown.code !== "database") throw thrown;
      log.warn("{cause}; trying again", { cause: thrown.message });
      await pause(DATABASE_AWAY_MS, signal);
    }
    await pause(LOOK_AGAIN_MS, signal);
  }
}

async function workOn(job: TakenJob, { queue, signal, run }: WorkOptions): Promise<WorkedJob> {
  using life = new SignsOfLife(queue, job);
  const outcome = await run(job, AbortSignal.any([signal, life.lost]));
  const { end, isOurs } = await settle(queue, job, outcome);
  const isDone = outcome.kind === "done";
  return {
    id: job.id,
    policy_type: job.policyType,
    end: isOurs ? end : "lost",
    version: isDone ? outcome.result.version : null,
    activated: isDone && outcome.result.activated,
    repeated: isDone && outcome.isRepeat,
    failure: isDone ? null : outcome.failure,
  };
}

async function settle(
  queue: JobQueue,
  job: TakenJob,
  outcome: JobOutcome,
): Promise<{ end: JobEnd; isOurs: boolean }> {
  if (outcome.kind === "done") {
    const { version, activated, sessionId } = outcome.result;
    const isOurs = await queue.complete(job, { version, activated, session_id: sessionId });
    return { end: "completed", isOurs };
  }
  const why = { ...outcome.failure };
  switch (outcome.kind) {
    case "busy":
      return { end: "put_back", isOurs: await queue.putBack(job, { seconds: BUSY_SECONDS, isFree: true }, why) };
    case "stopped":
      return { end: "put_back", isOurs: await queue.putBack(job, { seconds: 0, isFree: true }, why) };
    case "failed":
      if (job.retryCount < job.retryLimit) {
        const seconds = Math.min(FIRST_RETRY_SECONDS * 2 ** Math.min(job.retryCount, 16), LONGEST_RETRY_SECONDS);
        return { end: "put_back", isOurs: await queue.putBack(job, { seconds, isFree: false }, why) };
      }
      return { end: "failed", isOurs: await queue.fail(job, why) };
    case "hopeless":
      return { end: "failed", isOurs: await queue.fail(job, why) };
  }
}

/** Tells the queue every few seconds that the job is being worked on. */
class SignsOfLife implements Disposable {
  readonly #lost = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(queue: JobQueue, job: TakenJob) {
    this.#timer = setInterval(async () => {
      try {
        if (await queue.signOfLife(job)) return;
        log.warn("job {id} was cancelled, or given to another worker: stopping it here", { id: job.id });
        this.#lost.abort();
      } catch (thrown) {
        log.warn("{cause}; job {id} goes on", { cause: messageOf(thrown), id: job.id });
      }
    }, SIGN_OF_LIFE_MS);
  }

  /** Aborted when the job is not this worker's any more. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}
