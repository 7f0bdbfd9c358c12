/**
 * What a run found, as JSON and as a table, with the targets for a data-centre GPU.
 *
 * @module
 */
import type { Timing } from "../../src/bench/timing.ts";
import type { Agreement } from "./agreement.ts";
import type { TorchReport } from "./torch.ts";

/** The engines that are timed; both run on the GPU. */
export type EngineName = "webgpu fused" | "webgpu tfjs";

/** One timing, and whose. */
export interface Row extends Timing {
  /** Which engine. */
  readonly backend: EngineName;
  /** Round, from 1. */
  readonly round: number;
}

/** Everything a run found. */
export interface Report {
  /** Whether the sizes were tiny, and the times mean nothing. */
  readonly dry_run: boolean;
  /** ISO 8601. */
  readonly started_at: string;
  /** The GPU in words. */
  readonly device: string;
  /** Version of Deno. */
  readonly deno: string;
  /** Whether the kernels compute what they should. */
  readonly agreement: readonly Agreement[];
  /** All timings of the engines. */
  readonly rows: readonly Row[];
  /** One per round. */
  readonly torch: readonly TorchReport[];
  /** Empty in a dry run. */
  readonly targets: readonly Target[];
}

/** A target, what was found, and whether it is met; absent where one of the two was not measured. */
export interface Target {
  /** What is wanted, in words. */
  readonly target: string;
  /** In ms, or a ratio. */
  readonly found?: number;
  /** Whether it is reached. */
  readonly met?: boolean;
}

/** Compares the best medians at batch size 32 with what issue 3 asks for. */
export function targetsOf(rows: readonly Row[], torch: readonly TorchReport[]): Target[] {
  const fused = best(
    rows.filter(({ backend, op, batch_size }) => backend === "webgpu fused" && op === "train_step" && batch_size === 32)
      .map(({ ms_median }) => ms_median),
  );
  const peer = (kind: string): number | undefined =>
    best(
      torch.flatMap((report) => "steps" in report ? report.steps : [])
        .filter(({ variant, batch_size }) => variant.startsWith(kind) && batch_size === 32)
        .map(({ ms }) => ms),
    );
  const [eager, graphs] = [peer("cuda eager"), peer("cuda graph")];
  const target = (text: string, found: number | undefined, met: (found: number) => boolean): Target =>
    found === undefined ? { target: text } : { target: text, found, met: met(found) };
  const ratio = (a?: number, b?: number): number | undefined => a === undefined || b === undefined ? undefined : a / b;
  return [
    target("B=32: at most 0.15 ms a step", fused, (ms) => ms <= 0.15),
    target("B=32: PyTorch eager takes at least 5 times as long", ratio(eager, fused), (times) => times >= 5),
    target("B=32: at most 1.5 times PyTorch with CUDA graphs", ratio(fused, graphs), (times) => times <= 1.5),
  ];
}

/** Why the kernels cannot be trusted; undefined where they can. A machine that cannot run simd has float64 alone. */
export function disagreementOf(agreement: readonly Agreement[]): string | undefined {
  if (agreement.length === 0) return "the kernels were compared with nothing";
  const wrong = agreement.filter(({ agrees, missing }) => !agrees && missing === undefined);
  if (wrong.length === 0) return undefined;
  return `the kernels compute something wrong: ${wrong.map(textOf).join("; ")}`;
}

/** One comparison in words. */
function textOf({ against, head, batch_size, max_rel_error, missing, not_compared }: Agreement): string {
  const found = missing === undefined
    ? `relative error ${max_rel_error!.toExponential(1)}`
    : `not compared: ${missing}`;
  const left = not_compared === undefined ? "" : ` of the answers; not compared: ${not_compared}`;
  return `${head}, B=${batch_size}, against ${against}: ${found}${left}`;
}

/** The report in lines for a terminal. */
export function linesOf(report: Report): string[] {
  const lines = [`${report.device}, deno ${report.deno}${report.dry_run ? ", DRY RUN: the times mean nothing" : ""}`];
  for (const one of report.agreement) {
    lines.push(`${one.agrees ? "agrees" : one.missing === undefined ? "DIFFERS" : "unknown"}: ${textOf(one)}`);
  }
  for (const { backend, round, op, batch_size, ms_median, ms_p10 } of report.rows) {
    lines.push(
      `round ${round}  ${backend.padEnd(13)} ${op.padEnd(20)} B=${String(batch_size).padEnd(5)} ` +
        `median ${ms_median.toFixed(4).padStart(9)} ms  p10 ${ms_p10.toFixed(4).padStart(9)} ms`,
    );
  }
  for (const [i, torch] of report.torch.entries()) {
    if ("missing" in torch) lines.push(`round ${i + 1}  torch not measured: ${torch.missing}`);
    else {
      for (const { variant, batch_size, ms } of torch.steps) {
        lines.push(
          `round ${i + 1}  torch ${variant.padEnd(28)} B=${String(batch_size).padEnd(5)} best ${ms.toFixed(4)} ms`,
        );
      }
    }
  }
  for (const { target, found, met } of report.targets) {
    const verdict = met === undefined ? "not measured" : `${found!.toFixed(3)}, ${met ? "met" : "MISSED"}`;
    lines.push(`target ${target}: ${verdict}`);
  }
  return lines;
}

function best(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.min(...values);
}
