/**
 * The flags that a packed program is run with: those of the task `rlcf` in deno.json, its permissions among them. They
 * are written there alone.
 *
 * @module
 */
import { programCommand } from "../program_task.ts";

/** What the program is run with, packed or not: no configuration of the place where it is started, and WebGPU. */
export const RUNTIME_FLAGS: readonly string[] = [
  "--no-config",
  "--no-lock",
  "--unstable-webgpu",
  ...programCommand("rlcf").flags,
];
