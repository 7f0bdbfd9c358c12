/**
 * Runs the PyTorch peer and reads its report.
 *
 * @module
 */
import { messageOf } from "../../src/base/errors.ts";

/** What the peer took for a step of one variant, e.g. `cuda graph adamw=fused`; or why nothing was measured. */
export type TorchReport =
  | { readonly version: string; readonly steps: readonly TorchStep[] }
  | { readonly missing: string };

/** One variant at one batch size; the best of three runs, as the peer reports it. */
export interface TorchStep {
  /** Eager or graph, and which AdamW. */
  readonly variant: string;
  /** Rows of a step. */
  readonly batch_size: number;
  /** Milliseconds per step. */
  readonly ms: number;
}

/**
 * Runs `torch_reinforce.py` once.
 *
 * @param script path of the peer
 * @param environment of the Python process: this process' own carries the stand-in libraries of the Vulkan loader
 * @param python the interpreter
 */
export async function runTorch(
  script: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  python = "python3",
): Promise<TorchReport> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(python, { args: [script, ...args], env: environment })
      .output();
    const text = new TextDecoder();
    if (!success) return { missing: text.decode(stderr).trim().split("\n").at(-1) || `${python} failed` };
    return parseReport(text.decode(stdout));
  } catch (error) {
    return { missing: messageOf(error) };
  }
}

/** Reads lines such as `cuda eager adamw=fused       B=32       0.1234 ms/step       259319 episodes/s`. */
export function parseReport(report: string): TorchReport {
  const [version = ""] = report.split("\n");
  const steps = [...report.matchAll(/^(.+?)\s+B=(\d+)\s+([\d.]+) ms\/step/gm)].map(([, variant, batch, ms]) => ({
    variant: variant!,
    batch_size: Number(batch),
    ms: Number(ms),
  }));
  if (steps.length === 0) return { missing: `the peer measured nothing: ${version || "no output"}` };
  return { version, steps };
}
