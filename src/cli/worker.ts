/**
 * `rlcf worker`: trains what is in the queue, on this host.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { RlcfError } from "../base/errors.ts";
import { loadConfig } from "../config/load.ts";
import type { FlagValues, ResolvedConfig } from "../config/resolve.ts";
import type { TrainingJob } from "../queue/job.ts";
import type { WorkedJob, WorkOptions } from "../queue/work.ts";
import { command, type CommonOptions, configToJson, configured, openStore } from "./context.ts";
import { EXIT_CODES, EXIT_OK, EXIT_UNEXPECTED } from "./exit_codes.ts";
import { Answer } from "./failure.ts";
import { showLogs } from "./logging.ts";
import { progressDisplay } from "./progress.ts";
import { watchSignals } from "./stop.ts";
import { printResult, say } from "./terminal.ts";

/** Jobs that `--json` tells of; of older ones only the counts are kept. */
const TOLD = 1000;

type WorkerOptions = CommonOptions & {
  readonly policyType?: string | undefined;
  readonly once?: true | undefined;
  readonly drain?: true | undefined;
};

/** The command. */
export function workerCommand(): Command {
  const worker = command("worker", "run the jobs of the queue on this host, one after another (PostgreSQL)")
    .option("--policy-type <type>", "only jobs of this type of policy (default: all)")
    .option("--once", "run at most one job; the exit code is the job's")
    .option("--drain", "end when no job is due or running");
  worker.action(async (options) => {
    if (options.once && options.drain) throw new RlcfError("usage", "cannot use --once: found --drain too, wanted one");
    const resolved = await configured(options, { "training.policy_type": options.policyType });
    const tally = new Tally(options.json === true);
    using stop = watchSignals(() =>
      say("stopping; a job that runs saves its state and goes back to the queue; once more to leave at once")
    );
    await serve(resolved, options, stop.signal, tally);
    tally.tell(stop.signal.aborted);
    const code = exitCode(tally, options, stop.signal.aborted);
    if (code !== EXIT_OK) throw new Answer(code);
  });
  return worker as unknown as Command;
}

async function serve(
  resolved: ResolvedConfig,
  options: WorkerOptions,
  signal: AbortSignal,
  tally: Tally,
): Promise<void> {
  const { QueueConnection } = await import("../queue/connection.ts");
  await using connection = new QueueConnection(resolved.config.database.url);
  await using store = await openStore(resolved);
  const { JobQueue, POLICY_TYPES } = await import("../queue/queue.ts");
  const { runJob } = await import("../queue/run_job.ts");
  const { work } = await import("../queue/work.ts");
  await using queue = await JobQueue.open(connection, true);
  const display = progressDisplay();
  await showLogs(resolved.config.logging.level, display.clear);
  const types = options.policyType === undefined ? POLICY_TYPES : [resolved.config.training.policyType];
  const until: WorkOptions["until"] = options.once ? "once" : options.drain ? "drain" : "forever";
  if (until === "forever") say(`waiting for jobs (${types.join(", ")}) in ${store.location}`);
  const configure = (job: TrainingJob): ReturnType<typeof configureFor> => configureFor(job, options);
  const place = { store, configure, onProgress: display.update, onFit: display.fit };
  try {
    await work({
      queue,
      types,
      until,
      signal,
      run: (job, stopped) => runJob(job, place, stopped),
      onTaken: ({ id, policyType }) => say(`job ${id}: training ${policyType}`),
      onEnd: (job) => {
        display.clear();
        tally.add(job);
      },
    });
  } finally {
    display.clear();
  }
}

/** This host's configuration with the job's settings over it; read anew, so that a change of the file takes effect. */
async function configureFor(
  { policyType, overrides }: TrainingJob,
  options: CommonOptions,
): Promise<{ config: ResolvedConfig["config"]; configJson: ReturnType<typeof configToJson> }> {
  const flags: FlagValues = {
    ...overrides,
    "training.policy_type": policyType,
    "database.url": options.database,
    "logging.level": options.logLevel,
  };
  const resolved = await loadConfig({ path: options.config, flags, env: (name) => Deno.env.get(name) });
  return { config: resolved.config, configJson: configToJson(resolved) };
}

/** What a worker has done. */
class Tally {
  readonly #json: boolean;
  readonly #jobs: WorkedJob[] = [];
  readonly #counts = { completed: 0, failed: 0, put_back: 0, lost: 0 };

  constructor(json: boolean) {
    this.#json = json;
  }

  /** The latest job. */
  get last(): WorkedJob | undefined {
    return this.#jobs.at(-1);
  }

  add(job: WorkedJob): void {
    this.#counts[job.end]++;
    this.#jobs.push(job);
    if (this.#jobs.length > TOLD) this.#jobs.shift();
    say(`job ${job.id}: ${endText(job)}`);
    if (!this.#json && job.end === "completed") printResult(`${job.id} ${job.version}`);
  }

  tell(isStopped: boolean): void {
    if (!this.#json) return;
    const status = isStopped ? "stopped" : "done";
    printResult(JSON.stringify({ status, counts: this.#counts, jobs: this.#jobs }));
  }
}

function endText({ end, version, activated, repeated, failure }: WorkedJob): string {
  const made = `${version}${activated ? ", active" : ""}${repeated ? "; an earlier attempt had trained it" : ""}`;
  switch (end) {
    case "completed":
      return `completed, ${made}`;
    case "failed":
      return `failed: ${failure?.message}`;
    case "put_back":
      return `back in the queue: ${failure?.message}`;
    case "lost":
      return version === null ? "not this worker's any more" : `not this worker's any more, but it has made ${made}`;
  }
}

/** A stopped job is in the queue again, with its state: 130, as for `train`. */
function exitCode({ last }: Tally, { once }: WorkerOptions, isStopped: boolean): number {
  if (isStopped) return last?.failure?.code === "interrupted" ? EXIT_CODES.interrupted : EXIT_OK;
  if (once !== true || last?.failure == null) return EXIT_OK;
  return last.failure.code === "unexpected" ? EXIT_UNEXPECTED : EXIT_CODES[last.failure.code];
}
