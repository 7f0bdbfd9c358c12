/**
 * From WGSL text to something that can be dispatched: each kernel lists the buffers it touches once, and declarations,
 * pipeline and bind groups follow from the list.
 *
 * @module
 */
import { STEP_BYTES, STEP_WGSL } from "./step.ts";

/** Most workgroups in one dimension of a dispatch (WebGPU's default limit). */
const MAX_WORKGROUPS = 65_535;

/** Every buffer that kernels touch. */
export type BufferName =
  /** [block rows, inputDim] a block of the uploaded set. */
  | "block"
  /** Pairs: row in the block, place among the rows of the submit. */
  | "places"
  /** [rows of the submit, inputDim] in visiting order, unscaled. */
  | "inputs"
  /** [rows of the submit, E + 2] coefficients, target and sample weight. */
  | "columns"
  /** [split, batch row, first layer's outputs] sums before bias and ReLU. */
  | "partials"
  /** [batch row, record] outputs and errors of every layer. */
  | "activations"
  /** [batch row] what the row adds to loss, entropy, KL estimate and rows outside the clip range. */
  | "measures"
  /** [rows of the submit, E] the network's outputs, when it is only run. */
  | "outputs"
  | "parameters"
  /** Both moments of AdamW: all first ones, then all second ones. */
  | "moments"
  /** The upper layers' weights, transposed. */
  | "transposed"
  | "gradients"
  /** [tile] sum of the squared gradients of each tile. */
  | "squares"
  /** [step, 2] loss, entropy, norm of the gradient, a mark that the step was run; KL estimate, clip fraction, 0, 0. */
  | "ring";

/** The buffers by name. */
export type Buffers = Readonly<Record<BufferName, GPUBuffer>>;

/** A buffer as one kernel sees it. */
export interface Binding {
  /** Which buffer; also its name in the kernel. */
  readonly buffer: BufferName;
  /** What the kernel does with it. */
  readonly access: "read" | "read_write";
  /** Type of an element, e.g. `vec4f`. */
  readonly element: string;
}

/** A kernel in WGSL, without its declarations of buffers. Its entry point is called like it. */
export interface KernelSource {
  /** Name of the entry point, and label in error messages. */
  readonly name: string;
  /** The buffers that it touches. */
  readonly bindings: readonly Binding[];
  /** WGSL. */
  readonly code: string;
}

/** A kernel that the device has accepted. */
export interface Kernel {
  /** What a pass is set to. */
  readonly pipeline: GPUComputePipeline;
  /** Ties the kernel to buffers; the step is chosen per dispatch by a dynamic offset into `steps`. */
  readonly bind: (buffers: Pick<Buffers, BufferName>, steps: GPUBuffer) => GPUBindGroup;
}

/** A buffer that a kernel only reads; `vec4f` unless told otherwise. */
export const reads = (buffer: BufferName, element = "vec4f"): Binding => ({ buffer, access: "read", element });

/** A buffer that a kernel writes, and may read. */
export const writes = (buffer: BufferName, element = "vec4f"): Binding => ({ buffer, access: "read_write", element });

/** The whole text of a kernel's module: at binding 0 the step, then the buffers in order. */
export function moduleText({ bindings, code }: KernelSource): string {
  const declarations = bindings.map(({ buffer, access, element }, i) =>
    `@group(0) @binding(${i + 1}) var<storage, ${access}> ${buffer}: array<${element}>;`
  );
  return [STEP_WGSL, "@group(0) @binding(0) var<uniform> step: Step;", ...declarations, code].join("\n");
}

/** Compiles a kernel. Failures go to the device's error scopes. */
export function buildKernel(gpu: GPUDevice, source: KernelSource): Kernel {
  const visibility = GPUShaderStage.COMPUTE;
  const layout = gpu.createBindGroupLayout({
    label: source.name,
    entries: [
      { binding: 0, visibility, buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize: STEP_BYTES } },
      ...source.bindings.map(({ access }, i) => ({
        binding: i + 1,
        visibility,
        buffer: { type: access === "read" ? "read-only-storage" as const : "storage" as const },
      })),
    ],
  });
  const module = gpu.createShaderModule({ label: source.name, code: moduleText(source) });
  const pipeline = gpu.createComputePipeline({
    label: source.name,
    layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: source.name },
  });
  return {
    pipeline,
    bind: (buffers, steps) =>
      gpu.createBindGroup({
        label: source.name,
        layout,
        entries: [
          { binding: 0, resource: { buffer: steps, size: STEP_BYTES } },
          ...source.bindings.map(({ buffer }, i) => ({ binding: i + 1, resource: { buffer: buffers[buffer] } })),
        ],
      }),
  };
}

/**
 * The dimensions of a dispatch of so many workgroups in a line, which may be longer than one dimension allows. Kernels
 * undo it with {@link LINE_WGSL}; a few workgroups too many may be started.
 */
export function line(workgroups: number): [number, number] {
  const width = Math.min(workgroups, MAX_WORKGROUPS);
  return [width, Math.ceil(workgroups / width)];
}

/** `lineOf(id, count)`: the number of a workgroup dispatched by {@link line}. */
export const LINE_WGSL = /* wgsl */ `
fn lineOf(id: vec3u, count: vec3u) -> u32 { return id.x + id.y * count.x; }`;
