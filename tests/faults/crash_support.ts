/**
 * Crashes of real processes: where they work, how they are killed, and what must hold afterwards. The tests inject a few,
 * `deno task soak` hundreds.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Random } from "../../src/base/random.ts";
import { verifyCheckpoint } from "../../src/checkpoint/load.ts";
import { findStoredPolicy } from "../../src/session/open_policy.ts";
import { createPersistence } from "../../src/store/create.ts";
import { type Finished, rlcf, start, Workplace } from "../cli/support.ts";
import { postgresForTests, queryPostgres } from "../support/postgres.ts";
import { inspectStore } from "../../src/store/inspection.ts";
import { forgetProof } from "../../src/store/proof_of_life.ts";

/** The seed of the moments at which processes are killed; named by the tests, so that a failure can be repeated. */
export const CRASH_SEED = 20261122;

/** Which database a crash site uses. */
export type Dialect = "sqlite" | "postgres";

/** What each database needs for crashes, or the reason why it cannot have any. */
export const DIALECTS: readonly { readonly dialect: Dialect; readonly missing: string | undefined }[] = [
  { dialect: "sqlite", missing: undefined },
  { dialect: "postgres", missing: await reasonAgainstPostgres() },
];

async function reasonAgainstPostgres(): Promise<string | undefined> {
  const postgres = await postgresForTests();
  return "reason" in postgres ? postgres.reason : undefined;
}

/** A directory and a database in which processes are killed. */
export class CrashSite implements AsyncDisposable {
  readonly #release: AsyncDisposableStack;

  private constructor(
    /** Directory, configuration, checkpoints. */
    readonly place: Workplace,
    /** URL of the database. */
    readonly url: string,
    release: AsyncDisposableStack,
  ) {
    this.#release = release;
  }

  /** Opens a site; the parts are those of {@link Workplace.configure}. */
  static async open(dialect: Dialect, training: string, checkpoint: string): Promise<CrashSite> {
    const release = new AsyncDisposableStack();
    const place = release.use(new Workplace());
    place.configure(training, checkpoint);
    if (dialect === "sqlite") return new CrashSite(place, place.database, release);
    const postgres = await postgresForTests();
    if ("reason" in postgres) throw new Error(postgres.reason);
    return new CrashSite(place, release.use(await postgres.createDatabase()).url, release);
  }

  /** The options that every command needs here. */
  get here(): string[] {
    return ["--config", this.place.config, "--database", this.url];
  }

  /** Runs a command to its end. */
  run(args: readonly string[]): Promise<Finished> {
    return rlcf([...args, ...this.here], { cwd: this.place.path });
  }

  /** Starts a command and sends it a signal, SIGKILL by default. */
  async kill(args: readonly string[], moment: Moment): Promise<Killed> {
    const startedAt = performance.now();
    const child = start([...args, ...this.here], { cwd: this.place.path });
    const stdout = new Response(child.stdout).text();
    const watched = watch(child.stderr, moment.after);
    let [seenAt, endedAt] = [startedAt, startedAt];
    void watched.seen.then(() => seenAt = performance.now());
    const ended = child.status.then(() => void (endedAt = performance.now()));
    if (moment.after !== undefined) await Promise.race([watched.seen, ended]);
    const timer = new AbortController();
    await Promise.race([pause(moment.delayMs, timer.signal), ended]);
    timer.abort();
    const finished = await Promise.race([ended.then(() => true), Promise.resolve(false)]);
    if (!finished) send(child, moment.signal ?? "SIGKILL");
    if (!finished && moment.again !== undefined) {
      await pause(moment.again);
      send(child, moment.signal ?? "SIGKILL");
    }
    const status = await child.status;
    await stdout;
    return {
      killed: status.signal === "SIGKILL",
      code: status.code,
      stderr: await watched.text,
      startMs: seenAt - startedAt,
      workMs: endedAt - seenAt,
    };
  }

  /** Runs SQL behind the program's back. */
  query(text: string): Promise<Record<string, unknown>[]> {
    if (this.url.startsWith("postgres")) return queryPostgres(this.url, text);
    using database = new DatabaseSync(join(this.place.path, "log.db"), { timeout: 5000 });
    return Promise.resolve(database.prepare(text).all() as Record<string, unknown>[]);
  }

  /** The only number of a query. */
  async count(text: string): Promise<number> {
    return Number(Object.values((await this.query(text))[0]!)[0]);
  }

  /** Lets the lease of a dead process run out, as it does within a minute. */
  async expireLease(): Promise<void> {
    await this.query("update training_leases set expires_at = acquired_at");
  }

  /** The names in the checkpoint directory. */
  directories(): string[] {
    try {
      return Array.from(Deno.readDirSync(this.place.policies), ({ name }) => name).sort();
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return [];
      throw thrown;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#forgetProofs();
    await this.#release.disposeAsync();
  }

  /** Who was killed last has no successor here who would remove its file from /tmp. */
  async #forgetProofs(): Promise<void> {
    await using inspection = await inspectStore(this.url, 1);
    if (inspection === null || (await inspection.getSchema()).missing.length > 0) return;
    for (const { holder } of await inspection.listLeases()) await forgetProof(holder);
  }
}

/** When to kill: so long after the start or, if there is one, after a text was seen on stderr. */
export interface Moment {
  readonly after?: string | undefined;
  readonly delayMs: number;
  readonly signal?: Deno.Signal | undefined;
  /** Sends the signal a second time, so many milliseconds later. */
  readonly again?: number | undefined;
}

/** A process that was to be killed. */
export interface Killed {
  /** Whether SIGKILL ended it; false if it ended before, or by itself after another signal. */
  readonly killed: boolean;
  readonly code: number;
  readonly stderr: string;
  /** From the start to the text that was waited for. */
  readonly startMs: number;
  /** From there to the end. */
  readonly workMs: number;
}

/** What is read of a database and a checkpoint directory between two processes. */
export interface Standing {
  /** The active version. */
  readonly active: string | null;
  readonly traces: number;
  readonly feedback: number;
  readonly versions: readonly string[];
  /** Directories of versions that no row knows. */
  readonly unknown: readonly string[];
  /** Temporary directories. */
  readonly temporaries: readonly string[];
  /** Sessions that are still called running. */
  readonly running: number;
}

/**
 * Asserts what must hold whenever no process runs, however the last one ended, and returns what was found:
 * at most one version is active, and it can be loaded; whoever was active before is replaced only by another one; every
 * version on record and every directory of a version is whole; the history ends with the active version; no trace and
 * no feedback is lost, and none is without its mark.
 */
export async function assertSound(site: CrashSite, before: Standing | undefined): Promise<Standing> {
  await using store = await createPersistence(site.url);
  const root = site.place.policies;
  const rows = await store.listPolicyCheckpoints("gating");
  const active = rows.filter(({ isActive }) => isActive).map(({ version }) => version);
  assert.ok(active.length <= 1, `active: ${active}`);
  if (before !== undefined && before.active !== null) assert.equal(active.length, 1, "no version is active any more");
  if (active.length === 1) {
    assert.equal((await findStoredPolicy(store, root, "gating")).checkpoint.version, active[0]);
  }
  const [latest] = await store.listActivations("gating", 1);
  assert.equal(latest?.toVersion, active[0], "the history does not end with the active version");
  for (const { version, stateDictPath, manifestSha256 } of rows) {
    assert.deepEqual(await verifyCheckpoint(root, stateDictPath!, manifestSha256!), [], version);
  }
  const directories = site.directories();
  const published = directories.filter((name) => !name.startsWith("."));
  for (const name of published) assert.deepEqual(await verifyCheckpoint(root, name), [], name);
  const stats = await store.getTrainingStats();
  if (before !== undefined) {
    assert.ok(stats.total_traces >= before.traces, `${before.traces} traces before, ${stats.total_traces} now`);
    assert.ok(
      stats.total_feedback >= before.feedback,
      `${before.feedback} feedbacks before, ${stats.total_feedback} now`,
    );
  }
  assert.equal(stats.traces_with_feedback, stats.total_traces, "every record here has feedback");
  assert.equal(
    await site.count("select count(*) from rlcf_feedback where trace_id not in (select id from rlcf_traces)"),
    0,
  );
  const known = rows.map(({ stateDictPath }) => stateDictPath);
  return {
    active: active[0] ?? null,
    traces: stats.total_traces,
    feedback: stats.total_feedback,
    versions: rows.map(({ version }) => version),
    unknown: published.filter((name) => !known.includes(name)),
    temporaries: directories.filter((name) => name.startsWith(".tmp-")),
    running: await site.count("select count(*) from training_sessions where status = 'running'"),
  };
}

/** Makes temporary directories look as if nobody had touched them for two hours: the sweep leaves young ones alone. */
export function age(site: CrashSite, temporaries: readonly string[]): void {
  const then = new Date(Date.now() - 2 * 60 * 60 * 1000);
  for (const name of temporaries) {
    const directory = join(site.place.policies, name);
    for (const file of Deno.readDirSync(directory)) Deno.utimeSync(join(directory, file.name), then, then);
    Deno.utimeSync(directory, then, then);
  }
}

/** A moment drawn evenly: within a phase that begins with a text and lasts so long, or from the start of the process. */
export function drawMoment(random: Random, lengthMs: number, after?: string): Moment {
  return { after, delayMs: random.uniform() * lengthMs };
}

/** Waits until a database's server has no query of a dead client left to finish. */
export async function settled(site: CrashSite): Promise<void> {
  if (!site.url.startsWith("postgres")) return;
  for (let tries = 0; tries < 200; tries++) {
    const others = await site.count(
      "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() " +
        "and application_name = 'rlcf'",
    );
    if (others === 0) return;
    await pause(25);
  }
  throw new Error("the server did not let go of a dead client within 5 seconds");
}

/** Milliseconds that pass; ends early when aborted. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

/** Sends a signal to a process that may have ended. */
function send(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (thrown) {
    if (!(thrown instanceof TypeError) && !(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
}

/** Reads a stream to its end and tells when a text was seen in it. */
function watch(
  stream: ReadableStream<Uint8Array>,
  text: string | undefined,
): { readonly seen: Promise<void>; readonly text: Promise<string> } {
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  const all = (async () => {
    let read = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      read += chunk;
      if (text !== undefined && read.includes(text)) resolve();
    }
    return read;
  })();
  return { seen, text: all };
}
