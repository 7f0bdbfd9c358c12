/**
 * The permissions that a packed program is given: those of the task `rlcf` in deno.json, and nothing else. They are
 * written there alone.
 *
 * @module
 */
import manifest from "../../deno.json" with { type: "json" };

/** The flags between `deno run` and the program in a task's command. */
export function flagsOf(task: "rlcf" | "train" | "stats" | "bench" | "demo"): string[] {
  const words = manifest.tasks[task].command.split(" ");
  const end = words.indexOf("src/main.ts");
  const flags = words.slice(2, end);
  if (
    words[0] !== "deno" || words[1] !== "run" || end === -1 ||
    !flags.every((word) => /^--[A-Za-z0-9_*,=-]+$/.test(word))
  ) {
    throw new Error(`deno.json: task ${task}: found "${words.join(" ")}", wanted "deno run FLAGS src/main.ts"`);
  }
  return flags;
}

/** What the program is run with, packed or not: no configuration of the place where it is started, and WebGPU. */
export const RUNTIME_FLAGS: readonly string[] = ["--no-config", "--no-lock", "--unstable-webgpu", ...flagsOf("rlcf")];
