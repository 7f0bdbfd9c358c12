/**
 * Copies visited rows out of a block of the uploaded set into the rows of a submit, in visiting order. It runs once per
 * submit and block, not per step: the steps then read consecutive rows, whatever number of blocks the set is cut into.
 *
 * @module
 */
import { type KernelSource, LINE_WGSL, reads, writes } from "./kernels.ts";
import type { NetworkPlan } from "./plan.ts";

/** Threads of a workgroup; each copies one vector. */
export const GATHER_THREADS = 256;

/** The kernel; `step.first` is the first of `step.rows` places. */
export function gatherKernel({ layers }: NetworkPlan): KernelSource {
  const { inputs4 } = layers[0]!;
  return {
    name: "gather",
    bindings: [reads("block"), reads("places", "vec2u"), writes("inputs")],
    code: /* wgsl */ `${LINE_WGSL}
@compute @workgroup_size(${GATHER_THREADS})
fn gather(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = lineOf(id, count) * ${GATHER_THREADS}u + thread;
  if (i / ${inputs4}u >= step.rows) { return; }
  let place = places[step.first + i / ${inputs4}u];
  inputs[place.y * ${inputs4}u + i % ${inputs4}u] = block[place.x * ${inputs4}u + i % ${inputs4}u];
}`,
  };
}
