/**
 * One job, from what is stored in the queue to what came of it.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { type ErrorCode, messageOf, RlcfError } from "../base/errors.ts";
import type { JsonObject } from "../base/check.ts";
import type { Config } from "../config/schema.ts";
import { type TrainRequest, trainSession } from "../session/train_session.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { jobFromJson, type TrainingJob } from "./job.ts";
import { type JobResult, whatIsLeft } from "./published.ts";
import type { TakenJob } from "./queue.ts";

const log = getLogger(["rlcf", "queue"]);

/** A failure, as it is kept with the job. */
export interface JobFailure {
  /** The kind of failure; `unexpected` for a defect. */
  readonly code: ErrorCode | "unexpected";
  /** One sentence. */
  readonly message: string;
}

/** What came of a job. */
export type JobOutcome =
  /** It has its version. `isRepeat`: an earlier attempt had published it. */
  | { readonly kind: "done"; readonly result: JobResult; readonly isRepeat: boolean }
  /** It cannot succeed as it is. */
  | { readonly kind: "hopeless"; readonly failure: JobFailure }
  /** It may succeed later, or on another host. */
  | { readonly kind: "failed"; readonly failure: JobFailure }
  /** Another trainer holds the lease. */
  | { readonly kind: "busy"; readonly failure: JobFailure }
  /** It was stopped, and its state saved where there was one. */
  | { readonly kind: "stopped"; readonly failure: JobFailure };

/** Where a job runs. */
export interface JobPlace {
  /** Traces, feedback, sessions and versions. */
  readonly store: RLCFPersistence;
  /**
   * The host's configuration with the job's settings over it, and the same for the records.
   *
   * @throws RlcfError `usage`
   */
  readonly configure: (
    job: TrainingJob,
  ) => Promise<{ readonly config: Config; readonly configJson: JsonObject }>;
  /** Told how far training is. */
  readonly onProgress?: TrainRequest["onProgress"];
  readonly onFit?: TrainRequest["onFit"];
}

/** Thrown out of a session that need not begin. */
class AlreadyDone extends Error {
  override readonly name = "AlreadyDone";
  readonly result: JobResult;

  constructor(result: JobResult) {
    super(`version ${result.version} is published`);
    this.result = result;
  }
}

/** Runs a job. Never throws: whatever happens is an outcome. */
export async function runJob(taken: TakenJob, place: JobPlace, signal: AbortSignal): Promise<JobOutcome> {
  try {
    const job = jobFromJson(taken.data);
    if (job.policyType !== taken.policyType) {
      throw new RlcfError(
        "usage",
        `cannot run job ${taken.id}: found policy type ${job.policyType}, wanted ${taken.policyType}, its queue's`,
      );
    }
    const configured = await place.configure(job);
    return await attempt(taken, job, { ...place, ...configured }, signal, true);
  } catch (thrown) {
    return outcomeOf(thrown);
  }
}

async function attempt(
  taken: TakenJob,
  job: TrainingJob,
  place: Pick<TrainRequest, "store" | "config" | "configJson" | "onProgress" | "onFit">,
  signal: AbortSignal,
  mayResume: boolean,
): Promise<JobOutcome> {
  const { store, config } = place;
  let resumes = false;
  try {
    const report = await trainSession({
      ...place,
      ...(job.policyVersion === null ? {} : { policyVersion: job.policyVersion }),
      jobId: taken.id,
      signal,
      onLease: async (holder) => {
        const left = await whatIsLeft({ store, config, jobId: taken.id, holder });
        if (left.result !== undefined) throw new AlreadyDone(left.result);
        // Before anything is opened: so short a session would leave nothing to take up.
        signal.throwIfAborted();
        resumes = mayResume && left.canResume;
        return { resume: resumes };
      },
    });
    const { version, activated, session_id: sessionId } = report;
    return { kind: "done", result: { version, activated, sessionId }, isRepeat: false };
  } catch (thrown) {
    if (thrown instanceof AlreadyDone) return { kind: "done", result: thrown.result, isRepeat: true };
    if (thrown === signal.reason) return { kind: "stopped", failure: { code: "interrupted", message: "stopped" } };
    if (!resumes || !cannotResume(thrown)) throw thrown;
    log.info("job {id} starts anew: {cause}", { id: taken.id, cause: thrown.message });
    return await attempt(taken, job, place, signal, false);
  }
}

/** The log or the settings have changed, or the saved state is not on this host. */
function cannotResume(thrown: unknown): thrown is RlcfError {
  return thrown instanceof RlcfError && (thrown.code === "usage" || thrown.code === "checkpoint");
}

function outcomeOf(thrown: unknown): JobOutcome {
  const code: JobFailure["code"] = thrown instanceof RlcfError ? thrown.code : "unexpected";
  const failure = { code, message: messageOf(thrown) };
  switch (code) {
    case "interrupted":
      return { kind: "stopped", failure };
    case "lease_held":
      return { kind: "busy", failure };
    case "usage":
    case "not_enough_data":
      return { kind: "hopeless", failure };
    default:
      if (code === "unexpected") log.error("a job failed unexpectedly: {cause}", { cause: stackOf(thrown) });
      return { kind: "failed", failure };
  }
}

function stackOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown);
}
