/**
 * Clipping by the global norm and AdamW (Loshchilov and Hutter, 2019, algorithm 2) as one kernel, which also writes down
 * what the step measured.
 *
 * Every workgroup adds up the squares of all tiles for itself: a few hundred numbers, cheaper than one more dispatch.
 *
 * @module
 */
import { ADAMW } from "../engine.ts";
import { type KernelSource, LINE_WGSL, reads, writes } from "./kernels.ts";
import type { NetworkPlan, PlannedLayer } from "./plan.ts";

/** Threads of a workgroup; each updates one vector of parameters. */
export const OPTIMIZER_THREADS = 256;

/** The kernel; its workgroups, one per {@link OPTIMIZER_THREADS} vectors of parameters, are in a line. */
export function optimizerKernel({ layers, parameters4, tiles }: NetworkPlan): KernelSource {
  const { beta1, beta2, epsilon, clipEpsilon } = ADAMW;
  return {
    name: "adamw",
    bindings: [
      writes("parameters"),
      writes("moments"),
      // Four threads write the four numbers of a vector, so here it has to be numbers.
      writes("transposed", "f32"),
      reads("gradients"),
      reads("squares", "f32"),
      reads("measures"),
      writes("ring"),
    ],
    code: /* wgsl */ `${LINE_WGSL}
var<workgroup> sums: array<vec4f, ${OPTIMIZER_THREADS}>;

// The sum over all threads of the workgroup, in a fixed order.
fn total(thread: u32, own: vec4f) -> vec4f {
  sums[thread] = own;
  workgroupBarrier();
  for (var half = ${OPTIMIZER_THREADS / 2}u; half > 0u; half /= 2u) {
    if (thread < half) { sums[thread] += sums[thread + half]; }
    workgroupBarrier();
  }
  let result = sums[0];
  workgroupBarrier();
  return result;
}

@compute @workgroup_size(${OPTIMIZER_THREADS})
fn adamw(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  var square = 0.0;
  for (var tile = thread; tile < ${tiles}u; tile += ${OPTIMIZER_THREADS}u) { square += squares[tile]; }
  let norm = sqrt(total(thread, vec4f(square, 0.0, 0.0, 0.0)).x);
  var factor = 1.0;
  if (step.clip > 0.0) { factor = min(1.0, step.clip / (norm + f32(${clipEpsilon}))); }

  let group = lineOf(id, count);
  let p = group * ${OPTIMIZER_THREADS}u + thread;
  if (p < ${parameters4}u && step.updates == 1u) {
    let gradient = gradients[p] * factor;
    let first = moments[p] * f32(${beta1}) + gradient * f32(${1 - beta1});
    let second = moments[${parameters4}u + p] * f32(${beta2}) + gradient * gradient * f32(${1 - beta2});
    let change = first / (sqrt(second) * step.correction + vec4f(${epsilon}));
    let value = parameters[p] * step.decay - change * step.stepSize;
    moments[p] = first;
    moments[${parameters4}u + p] = second;
    parameters[p] = value;
${layers.slice(1).map(writeTransposed).join("\n")}
  }

  if (group == 0u) {
    var measured = vec4f(0.0);
    for (var b = thread; b < step.rows; b += ${OPTIMIZER_THREADS}u) { measured += measures[b]; }
    measured = total(thread, measured);
    // The mark tells a step that measured zeros from one that was never run.
    if (thread == 0u) {
      ring[2u * step.slot] = vec4f(measured.xy, norm, 1.0);
      ring[2u * step.slot + 1u] = vec4f(measured.zw, 0.0, 0.0);
    }
  }
}`,
  };
}

/** Keeps the transposed copy of an upper layer's weights. */
function writeTransposed({ parameters4, transposed4, inputs4, outputs4 }: PlannedLayer): string {
  const weight = `(p - ${parameters4}u)`;
  const columns = ["x", "y", "z", "w"].map((part, i) =>
    `      transposed[${4 * transposed4}u + (output + ${i}u) * ${4 * inputs4}u + input] = value.${part};`
  );
  return `    if (p >= ${parameters4}u && p < ${parameters4 + 4 * inputs4 * outputs4}u) {
      let input = ${weight} / ${outputs4}u;
      let output = ${weight} % ${outputs4}u * 4u;
${columns.join("\n")}
    }`;
}
