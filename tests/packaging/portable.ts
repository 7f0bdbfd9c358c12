/**
 * The portable program, built once for all tests of a process, and ways to run it as strangers do.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Finished } from "../cli/support.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A user that owns nothing here. */
export const STRANGER = 64123;

/** Where the program can be packed: on Linux only. */
export const cannotPack = Deno.build.os !== "linux";
const isRoot = !cannotPack && Deno.uid() === 0;

/** Why file systems cannot be mounted for a test; undefined where they can. */
export const noMounts: string | undefined = isRoot && works("unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt")
  ? undefined
  : "file systems can be mounted by root only";
/** Why no test can take on another user's part; undefined where it can. */
export const noStrangers: string | undefined = isRoot && works("setpriv", `--reuid=${STRANGER}`, "true")
  ? undefined
  : "only root can start a program as another user";
/** Puts a command where there is no network; empty where that is not permitted. */
export const OFFLINE: readonly string[] = !cannotPack && works("unshare", "-n", "true") ? ["unshare", "-n"] : [];
/** Starts a command as a user that owns nothing here. */
export const AS_STRANGER: readonly string[] = [
  "setpriv",
  `--reuid=${STRANGER}`,
  `--regid=${STRANGER}`,
  "--clear-groups",
];

function works(program: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(program, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/** Runs `deno task compile` with the permissions that deno.json gives it. */
export async function compile(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  return await finish(
    new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "compile", ...args],
      cwd: ROOT,
      env: { NO_COLOR: "1", ...env },
    }),
  );
}

/** A directory that everybody may enter, with the program in it. */
export class Bench implements AsyncDisposable {
  readonly path: string;
  /** The portable program. */
  readonly program: string;

  private constructor(path: string) {
    this.path = path;
    this.program = `${path}/rlcf`;
  }

  /** Builds the program. */
  static async make(): Promise<Bench> {
    const bench = new Bench(await Deno.makeTempDir({ prefix: "rlcf-portable-" }));
    await Deno.chmod(bench.path, 0o755);
    const { code, stderr } = await compile(["--portable", "--fast", "--output", bench.program]);
    if (code !== 0) throw new Error(stderr);
    return bench;
  }

  /** An empty directory, by default for this user alone. */
  async directory(name: string, { mode = 0o755, owner }: { mode?: number; owner?: number } = {}): Promise<string> {
    const path = `${this.path}/${name}`;
    await Deno.mkdir(path, { recursive: true });
    await Deno.chmod(path, mode);
    if (owner !== undefined) await Deno.chown(path, owner, owner);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** How a program is started: the environment is empty but for `env`. */
export interface Start {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Put in front of the command. */
  readonly wrapper?: readonly string[];
}

/** Runs a program in an environment of its own. */
export async function run(words: readonly string[], { cwd, env = {}, wrapper = [] }: Start): Promise<Finished> {
  const [program, ...args] = [...wrapper, ...words];
  return await finish(new Deno.Command(program!, { args, cwd, env: { ...env }, clearEnv: true, stdin: "null" }));
}

async function finish(command: Deno.Command): Promise<Finished> {
  const { code, stdout, stderr } = await command.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** The names in a directory, sorted. */
export function namesIn(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}
