/**
 * Runs a process to its end and tells how long it took and how much memory it held at most.
 *
 * @module
 */

/** A process that has ended. */
export interface Measured {
  /** Whole wall time, from before the start until after the end. */
  readonly seconds: number;
  /** Largest resident set in MB; null where neither GNU time nor /proc tells. */
  readonly megabytes: number | null;
  /** What it wrote on stdout. */
  readonly stdout: string;
}

/** How to run it. */
export interface ProcessOptions {
  /** Its working directory. */
  readonly cwd: string;
  /** Added to this process' own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Path of GNU time; where nothing is there, /proc is looked at. */
  readonly gnuTime?: string;
}

/**
 * Says a process' high-water mark every 20 ms until it has ended: Deno reads nothing in /proc unless it may do everything.
 * Only `sleep` is a process of its own, so that what is measured is hardly disturbed.
 */
const WATCH = 'while peak=; while read -r name kilobytes _; do [ "$name" = VmHWM: ] && peak=$kilobytes; done ' +
  '<"/proc/$1/status"; [ -n "$peak" ]; do echo "$peak"; sleep 0.02; done 2>/dev/null';

/** Runs a program; throws with what it wrote on stderr if it fails. */
export async function measureProcess(command: readonly string[], options: ProcessOptions): Promise<Measured> {
  const { gnuTime = "/usr/bin/time" } = options;
  if (!await Deno.stat(gnuTime).then((info) => info.isFile, () => false)) return await run(command, options, watchPeak);
  const report = await Deno.makeTempFile({ prefix: "rlcf-time-" });
  try {
    const timed = [gnuTime, "--quiet", "--format=%M", `--output=${report}`, ...command];
    return await run(timed, options, () => async () => Number(await Deno.readTextFile(report)));
  } finally {
    await Deno.remove(report);
  }
}

/** Told of a process when it starts; the answer tells its largest resident set in KiB when it has ended. */
type Watch = (pid: number) => () => Promise<number | null>;

async function run(command: readonly string[], options: ProcessOptions, watch: Watch): Promise<Measured> {
  const [program, ...args] = command;
  const startedAt = performance.now();
  const child = new Deno.Command(program!, {
    args,
    cwd: options.cwd,
    env: { ...options.environment },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const peak = watch(child.pid);
  const { success, stdout, stderr } = await child.output();
  const seconds = (performance.now() - startedAt) / 1000;
  const kilobytes = await peak();
  const text = new TextDecoder();
  if (!success) throw new Error(`${command.join(" ")} failed: ${text.decode(stderr).trim()}`);
  return { seconds, megabytes: kilobytes === null ? null : kilobytes * 1024 / 1e6, stdout: text.decode(stdout) };
}

/** Looks at /proc again and again; the last look before the end is what counts. */
function watchPeak(pid: number): () => Promise<number | null> {
  if (Deno.build.os !== "linux") return () => Promise.resolve(null);
  const watcher = new Deno.Command("sh", { args: ["-c", WATCH, "sh", String(pid)], stdout: "piped", stderr: "null" })
    .output();
  return async () => {
    const last = new TextDecoder().decode((await watcher).stdout).trim().split("\n").at(-1)!;
    return last === "" ? null : Number(last);
  };
}
