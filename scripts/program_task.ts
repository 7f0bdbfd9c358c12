/**
 * The tasks of deno.json that run the program, taken apart, for all who run it in another way than `deno task`.
 *
 * @module
 */
import manifest from "../deno.json" with { type: "json" };

/** The tasks. */
export type ProgramTask = "rlcf" | "train" | "stats" | "bench" | "demo" | "serve";

/** `NAME=value... deno run FLAGS src/main.ts WORDS`, as a task's command stands in deno.json. */
export interface ProgramCommand {
  /** What is set in the environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Flags of `deno run`: what the program may do, and how V8 is to run it. */
  readonly flags: readonly string[];
  /** Words behind the program. */
  readonly words: readonly string[];
}

/** Takes a task's command apart. Throws where it is not of that form: nothing in it needs a shell. */
export function programCommand(task: ProgramTask): ProgramCommand {
  const { command } = manifest.tasks[task];
  const found = /^((?:[A-Z_]+=[a-z0-9.=:]+ )*)deno run ((?:--[A-Za-z0-9_*,=-]+ )+)src\/main\.ts((?: [a-z]+)*)$/.exec(
    command,
  );
  if (found === null) {
    throw new Error(
      `deno.json: task ${task}: found "${command}", wanted "NAME=value deno run FLAGS src/main.ts WORDS"`,
    );
  }
  const [assignments, flags, words] = found.slice(1).map((part) =>
    part.trim().split(" ").filter((word) => word !== "")
  );
  const environment = assignments!.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]);
  return { environment: Object.fromEntries(environment), flags: flags!, words: words! };
}
