/**
 * Runs a process to its end and tells how long it took and how much memory it held at most.
 *
 * @module
 */

/** A process that has ended. */
export interface Measured {
  /** Whole wall time, from before the start until after the end. */
  readonly seconds: number;
  /** Largest resident set; null where neither GNU time nor /proc tells. */
  readonly megabytes: number | null;
  /** What it wrote on stdout. */
  readonly stdout: string;
}

/** Milliseconds between two looks at /proc. */
const LOOK_EVERY_MS = 10;
const GNU_TIME = "/usr/bin/time";

/**
 * Runs a program; throws with the last line of its stderr if it fails.
 *
 * @param environment added to this process' own
 */
export async function measureProcess(
  command: readonly string[],
  options: { readonly cwd: string; readonly environment?: Readonly<Record<string, string>> },
): Promise<Measured> {
  const report = await exists(GNU_TIME) ? await Deno.makeTempFile({ prefix: "rlcf-time-" }) : undefined;
  const prefix = report === undefined ? [] : [GNU_TIME, "--quiet", "--format=%M", `--output=${report}`];
  const [program, ...args] = [...prefix, ...command];
  const startedAt = performance.now();
  const child = new Deno.Command(program!, {
    args,
    cwd: options.cwd,
    env: { ...options.environment },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const watch = new PeakWatch(report === undefined ? child.pid : undefined);
  const { success, stdout, stderr } = await child.output();
  const seconds = (performance.now() - startedAt) / 1000;
  const looked = watch.stop();
  const text = new TextDecoder();
  if (!success) {
    throw new Error(`${command.join(" ")} failed: ${text.decode(stderr).trim()}`);
  }
  const timed = report === undefined ? undefined : Number(await Deno.readTextFile(report)) * 1024;
  if (report !== undefined) await Deno.remove(report);
  const bytes = timed ?? looked;
  return { seconds, megabytes: bytes === undefined ? null : bytes / 1e6, stdout: text.decode(stdout) };
}

/** Reads a process' high-water mark again and again; the last look before its end is what counts. */
class PeakWatch {
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #bytes: number | undefined;

  /** @param pid whom to watch; nobody if undefined */
  constructor(pid: number | undefined) {
    if (pid === undefined || Deno.build.os !== "linux") return;
    this.#timer = setInterval(() => {
      try {
        const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
        if (kilobytes !== undefined) this.#bytes = 1024 * Number(kilobytes);
      } catch {
        // It has ended between two looks.
      }
    }, LOOK_EVERY_MS);
  }

  /** The largest resident set in bytes. */
  stop(): number | undefined {
    clearInterval(this.#timer);
    return this.#bytes;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}
