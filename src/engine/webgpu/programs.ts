/**
 * The kernels of one network, each compiled when it is first needed, and how they follow one another in a training step
 * and in a forward pass.
 *
 * @module
 */
import type { LossHeadName } from "../../loss/heads.ts";
import type { Gpu } from "./device.ts";
import { GATHER_THREADS, gatherKernel } from "./gather.ts";
import { gradientsKernel } from "./gradients.ts";
import type { BlockVisits } from "./inputs.ts";
import { buildKernel, type Kernel, type KernelSource, line } from "./kernels.ts";
import { firstKernel, outputsKernel, rowsKernel } from "./network.ts";
import { OPTIMIZER_THREADS, optimizerKernel } from "./optimizer.ts";
import { type NetworkPlan, type RowsPerGroup, rowsPerGroup, splitsOf, TILE } from "./plan.ts";
import type { Workspace } from "./workspace.ts";

/** Dispatches of kernels in a compute pass, with the buffers of a workspace. */
export class Programs {
  readonly #gpu: Gpu;
  readonly #plan: NetworkPlan;
  readonly #kernels = new Map<string, Kernel>();

  /** Compiles nothing yet. */
  constructor(gpu: Gpu, plan: NetworkPlan) {
    this.#gpu = gpu;
    this.#plan = plan;
  }

  /**
   * Compiles one kernel of each kind, so that a device that rejects them says so when the engine is made. Other heads and
   * row counts differ little, and are compiled when they are first used. Call inside `Gpu.attempt`.
   */
  compile(): void {
    this.#gather();
    this.#first();
    this.#rows("policy_gain", 1);
    this.#outputs(1);
    this.#gradients();
    this.#optimizer();
  }

  /** Copies visited rows of one block; `place` is where the visits' numbers lie in the uniform buffer. */
  gather(pass: GPUComputePassEncoder, workspace: Workspace, { block, count }: BlockVisits, place: number): void {
    const groups = Math.ceil(count * this.#plan.layers[0]!.inputs4 / GATHER_THREADS);
    dispatch(pass, this.#gather(), workspace, place, line(groups), block);
  }

  /** One training step in four dispatches. Between two dispatches the device waits for what the first has written. */
  train(pass: GPUComputePassEncoder, workspace: Workspace, head: LossHeadName, rows: number, place: number): void {
    const { tiles, parameters4 } = this.#plan;
    const perGroup = rowsPerGroup(rows);
    this.#dispatchFirst(pass, workspace, rows, place);
    dispatch(pass, this.#rows(head, perGroup), workspace, place, line(Math.ceil(rows / perGroup)));
    dispatch(pass, this.#gradients(), workspace, place, line(tiles));
    dispatch(pass, this.#optimizer(), workspace, place, line(Math.ceil(parameters4 / OPTIMIZER_THREADS)));
  }

  /** One forward pass in two dispatches. */
  forward(pass: GPUComputePassEncoder, workspace: Workspace, rows: number, place: number): void {
    const perGroup = rowsPerGroup(rows);
    this.#dispatchFirst(pass, workspace, rows, place);
    dispatch(pass, this.#outputs(perGroup), workspace, place, line(Math.ceil(rows / perGroup)));
  }

  #dispatchFirst(pass: GPUComputePassEncoder, workspace: Workspace, rows: number, place: number): void {
    const groups = [this.#plan.layers[0]!.columnTiles, Math.ceil(rows / TILE), splitsOf(this.#plan, rows).splits];
    dispatch(pass, this.#first(), workspace, place, groups as [number, number, number]);
  }

  #gather(): Kernel {
    return this.#kernel("gather", () => gatherKernel(this.#plan));
  }

  #first(): Kernel {
    return this.#kernel("first", () => firstKernel(this.#plan));
  }

  #rows(head: LossHeadName, rows: RowsPerGroup): Kernel {
    return this.#kernel(`rows ${head} ${rows}`, () => rowsKernel(this.#plan, head, rows));
  }

  #outputs(rows: RowsPerGroup): Kernel {
    return this.#kernel(`outputs ${rows}`, () => outputsKernel(this.#plan, rows));
  }

  #gradients(): Kernel {
    return this.#kernel("gradients", () => gradientsKernel(this.#plan));
  }

  #optimizer(): Kernel {
    return this.#kernel("optimizer", () => optimizerKernel(this.#plan));
  }

  #kernel(key: string, source: () => KernelSource): Kernel {
    let kernel = this.#kernels.get(key);
    if (kernel === undefined) this.#kernels.set(key, kernel = buildKernel(this.#gpu.device, source()));
    return kernel;
  }
}

function dispatch(
  pass: GPUComputePassEncoder,
  kernel: Kernel,
  workspace: Workspace,
  place: number,
  groups: readonly [number, number, number?],
  block?: GPUBuffer,
): void {
  pass.setPipeline(kernel.pipeline);
  // An array of numbers would do, but takes Deno three times as long.
  pass.setBindGroup(0, workspace.bound(kernel, block), workspace.offsets, place, 1);
  pass.dispatchWorkgroups(...groups);
}
