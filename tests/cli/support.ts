/**
 * Runs the program as its users do: the command of a task in deno.json, with exactly the permissions written there, in a
 * process and a directory of its own.
 *
 * @module
 */
import { join } from "node:path";
import { programCommand, type ProgramTask } from "../../scripts/program_task.ts";

const root = new URL("../../", import.meta.url).pathname;

/** Settings of the environment that must not reach the tests from outside. */
const SILENCED = ["RLCF_ASYNC_DATABASE_URL", "RLCF_CHECKPOINT_DIR", "RLCF_LOG_LEVEL", "RLCF_BACKEND"];

/** A process that has ended. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run the program. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
  /** The task whose command is run; `rlcf` by default. */
  readonly task?: ProgramTask;
  /** Put in front of the command, e.g. `setpriv ...`. */
  readonly wrapper?: readonly string[];
}

/** The words of a task's command, its program as an absolute path, ready to be run from anywhere. */
export function commandOf(task: ProgramTask): string[] {
  const { flags, words } = programCommand(task);
  const program = join(root, "src/main.ts");
  return [Deno.execPath(), "run", "--quiet", "--config", join(root, "deno.json"), ...flags, program, ...words];
}

/** Starts the program. */
export function start(args: readonly string[], options: RunOptions = {}): Deno.ChildProcess {
  const task = options.task ?? "rlcf";
  const [program, ...words] = [...options.wrapper ?? [], ...commandOf(task), ...args];
  return new Deno.Command(program!, {
    args: words,
    cwd: options.cwd ?? root,
    env: {
      ...programCommand(task).environment,
      ...Object.fromEntries(SILENCED.map((name) => [name, ""])),
      NO_COLOR: "1",
      ...options.env,
    },
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs the program to its end. */
export async function rlcf(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = start(args, options);
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** The one JSON object on stdout; throws if there is more or less. */
export function onlyObject({ stdout }: Pick<Finished, "stdout">): Record<string, unknown> {
  if (!/^\{.*\}\n$/.test(stdout)) throw new Error(`stdout is not one JSON object on one line: ${stdout}`);
  return JSON.parse(stdout);
}

/** A directory with a configuration of a small network, removed on disposal. */
export class Workplace implements Disposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "rlcf-cli-" });
  /** Where the configuration has the checkpoints. */
  readonly policies: string = join(this.path, "policies");
  /** URL of a SQLite file that is not there yet. */
  readonly database: string = `sqlite:///${join(this.path, "log.db")}`;
  readonly config: string = join(this.path, "small.yaml");

  constructor() {
    this.configure();
  }

  /** Writes the configuration; the parts are YAML lines of `training` and `checkpoint`. */
  configure(training = "  epochs: 2", checkpoint = "  activate: always"): void {
    Deno.writeTextFileSync(
      this.config,
      `gating_policy:\n  input_dim: 8\n  hidden_dim: 4\ntraining:\n  learning_rate: 0.01\n${training}\n` +
        `compute:\n  backend: cpu\ncheckpoint:\n  directory: ${this.policies}\n${checkpoint}\n`,
    );
  }

  /** The options that name the configuration and the database. */
  get here(): string[] {
    return ["--config", this.config, "--database", this.database];
  }

  /** Runs a command here. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return await rlcf([...args, ...this.here], { cwd: this.path, ...options });
  }

  /** Writes a file and returns its path. */
  write(name: string, text: string): string {
    const path = join(this.path, name);
    Deno.writeTextFileSync(path, text);
    return path;
  }

  /** Stores a log of so many records. */
  async fill(records: number): Promise<void> {
    const { code, stderr } = await this.run(["ingest", this.write("log.jsonl", logOf(records))]);
    if (code !== 0) throw new Error(stderr);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

const EXPERTS = ["literal", "systemic", "principles", "precedent"];

/** The embedding of a query: near the axis of the expert that answers it best. */
export function embeddingOf(i: number): number[] {
  return Array.from({ length: 8 }, (_, axis) => (axis === i % 4 ? 0.9 : 0) + 0.1 * Math.sin(i * 8 + axis));
}

/** Record i of a log that was drawn uniformly and judged yesterday. */
export function recordOf(i: number): Record<string, unknown> {
  const at = new Date(Date.now() - 24 * 60 * 60 * 1000).toISOString().slice(0, 11) +
    new Date(i * 1000).toISOString().slice(11);
  const drawn = (i * 7 + (i >> 2)) % 4;
  return {
    trace: {
      query_id: `q${i}`,
      created_at: at,
      actions: [{
        action_type: "expert_selection",
        parameters: { expert_type: EXPERTS[drawn], weight: 0.25 },
        log_prob: Math.log(0.25),
        timestamp: at,
        metadata: { source: "gating_policy", query_embedding: embeddingOf(i) },
      }],
    },
    feedback: { overall_rating: drawn === i % 4 ? 0.9 : 0.3, created_at: at },
    user_id: `lawyer-${i % 3}`,
    user_authority: 0.8,
  };
}

/** A log as JSON lines. */
export function logOf(records: number): string {
  return Array.from({ length: records }, (_, i) => `${JSON.stringify(recordOf(i))}\n`).join("");
}
