/**
 * The buffers of an engine: those that last (the state), and the workspace of batches and submits, which grows with the
 * largest batch seen. Also remembers bind groups, which are made once for each kernel and set of buffers.
 *
 * @module
 */
import type { Gpu } from "./device.ts";
import type { BufferName, Buffers, Kernel } from "./kernels.ts";
import { type NetworkPlan, partials4 } from "./plan.ts";
import { STEP_STRIDE } from "./step.ts";

/** The buffers that hold the state, made once. */
export type StateBuffers = Pick<Buffers, "parameters" | "moments" | "transposed" | "gradients" | "squares" | "ring">;

/** What a workspace has room for. */
export interface Room {
  /** Rows of a batch. */
  readonly batchRows: number;
  /** Rows of all batches of a submit. */
  readonly submitRows: number;
  /** Steps of a submit, gathering included. */
  readonly steps: number;
}

/** Makes the buffers of the state. Call inside `Gpu.attempt`. */
export function stateBuffers(gpu: Gpu, plan: NetworkPlan, ringSteps: number): StateBuffers {
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const make = (label: string, bytes: number, usage = STORAGE | COPY_SRC | COPY_DST): GPUBuffer =>
    gpu.buffer(label, bytes, usage);
  return {
    parameters: make("parameters", 16 * plan.parameters4),
    moments: make("moments", 32 * plan.parameters4),
    transposed: make("transposed", 16 * plan.transposed4),
    gradients: make("gradients", 16 * plan.parameters4, STORAGE),
    squares: make("squares", 4 * plan.tiles, STORAGE),
    ring: make("ring", 32 * ringSteps),
  };
}

/** Bytes of each buffer of a workspace. */
export function workspaceBytes(
  plan: NetworkPlan,
  { batchRows, submitRows }: Omit<Room, "steps">,
): Readonly<Record<Exclude<BufferName, keyof StateBuffers | "block">, number>> {
  const { layers, record4, shape } = plan;
  return {
    places: 8 * submitRows,
    inputs: 16 * submitRows * layers[0]!.inputs4,
    columns: 4 * submitRows * (shape.outputs + 2),
    partials: 16 * partials4(plan, batchRows),
    activations: 16 * batchRows * record4,
    measures: 16 * batchRows,
    outputs: 16 * submitRows * layers.at(-1)!.outputs4,
  };
}

/** Buffers for batches and submits up to a size. */
export class Workspace {
  /** What there is room for. */
  readonly room: Room;
  /** The steps' numbers, {@link STEP_STRIDE} bytes each. */
  readonly steps: GPUBuffer;
  /** Where each step starts in `steps`. */
  readonly offsets: Uint32Array<ArrayBuffer>;
  /** Everything but the blocks of the uploaded set. */
  readonly buffers: Omit<Buffers, "block">;
  readonly #own: readonly GPUBuffer[];
  readonly #bound = new Map<Kernel, Map<GPUBuffer | undefined, GPUBindGroup>>();

  /** Makes the buffers. Call inside `Gpu.attempt`. */
  constructor(gpu: Gpu, plan: NetworkPlan, state: StateBuffers, room: Room) {
    this.room = room;
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
    this.steps = gpu.buffer("steps", STEP_STRIDE * room.steps, UNIFORM | COPY_DST);
    this.offsets = Uint32Array.from({ length: room.steps }, (_, place) => place * STEP_STRIDE);
    const own = Object.entries(workspaceBytes(plan, room)).map(([name, bytes]) =>
      [name, gpu.buffer(name, bytes, STORAGE | COPY_SRC | COPY_DST)] as const
    );
    this.#own = [this.steps, ...own.map(([, buffer]) => buffer)];
    this.buffers = { ...state, ...Object.fromEntries(own) } as Omit<Buffers, "block">;
  }

  /** Whether there is room for so much. */
  holds({ batchRows, submitRows, steps }: Room): boolean {
    const { room } = this;
    return batchRows <= room.batchRows && submitRows <= room.submitRows && steps <= room.steps;
  }

  /** The bind group of a kernel with these buffers, and with a block where the kernel reads one. */
  bound(kernel: Kernel, block?: GPUBuffer): GPUBindGroup {
    let groups = this.#bound.get(kernel);
    if (groups === undefined) this.#bound.set(kernel, groups = new Map());
    let group = groups.get(block);
    if (group === undefined) {
      group = kernel.bind({ ...this.buffers, block: block ?? this.buffers.inputs }, this.steps);
      groups.set(block, group);
    }
    return group;
  }

  /** Forgets bind groups with blocks that are about to be freed. */
  forgetBlocks(): void {
    for (const groups of this.#bound.values()) {
      for (const block of groups.keys()) if (block !== undefined) groups.delete(block);
    }
  }

  /** Frees the buffers, but not those of the state. */
  free(gpu: Gpu): void {
    for (const buffer of this.#own) gpu.free(buffer);
  }
}
