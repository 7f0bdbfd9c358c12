/**
 * The gradients of all weights and biases, as one kernel: each workgroup computes a tile of 32 x 32 gradients of one layer
 * and the sum of their squares.
 *
 * A layer's gradient is `[inputs, 1]^T errors` over the rows of the batch: the input that is always 1 gives the bias, the
 * last row of the layer's matrix.
 *
 * @module
 */
import { type KernelSource, LINE_WGSL, reads, writes } from "./kernels.ts";
import type { NetworkPlan, PlannedLayer } from "./plan.ts";
import { ADD_SLICES_WGSL, STAGE_WGSL, THREAD_WGSL, TILE_THREADS, unrolled } from "./tiles.ts";

/** The kernel; its workgroups are the plan's tiles in a line. */
export function gradientsKernel({ shape, layers, record4, tiles }: NetworkPlan): KernelSource {
  return {
    name: "gradients_of",
    bindings: [reads("inputs"), reads("activations"), writes("gradients"), writes("squares", "f32")],
    code: /* wgsl */ `${LINE_WGSL}${STAGE_WGSL}
var<workgroup> sums: array<f32, 64>;

struct Layer {
  firstTile: u32,
  columnTiles: u32,
  inputs: u32,      // vectors of a row of inputs
  outputs: u32,     // vectors of a row of outputs
  input: u32,       // where the inputs start in a row's record; the first layer's are not in it
  error: u32,       // where the errors start in a row's record
  gradients: u32,   // where the layer's gradients start
}

fn layerOf(tile: u32) -> Layer {
${layers.map((_, i) => describe(i)).reverse().join("\n")}
}

@compute @workgroup_size(${TILE_THREADS})
fn gradients_of(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let group = lineOf(id, count);
  if (group >= ${tiles}u) { return; }
  let layer = layerOf(group);
  let tile = group - layer.firstTile;
  let firstInput = tile / layer.columnTiles * 8u;
  let firstOutput = tile % layer.columnTiles * 8u;${THREAD_WGSL}
  let staged = thread / 8u;
  let input = firstInput + across;
  let output = firstOutput + across;
  for (var start = 0u; start < step.rows; start += 32u) {
    let b = start + staged;
    var left = vec4f(0.0);
    var right = vec4f(0.0);
    if (b < step.rows) {
      if (input == layer.inputs) {
        left.x = 1.0;
      } else if (input < layer.inputs) {
        if (layer.firstTile == 0u) {
          left = inputs[(step.first + b) * ${layers[0]!.inputs4}u + input] * f32(${Math.fround(shape.inputScale)});
        } else {
          left = activations[b * ${record4}u + layer.input + input];
        }
      }
      if (output < layer.outputs) { right = activations[b * ${record4}u + layer.error + output]; }
    }
    stage[thread] = left;
    stage[256u + thread] = right;
    workgroupBarrier();
${unrolled(8, multiplied)}
    workgroupBarrier();
  }${ADD_SLICES_WGSL}
  if (slice == 0u) {
    var square = 0.0;
    ${unrolled(4, store)}
    sums[place] = square;
  }
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (thread < half) { sums[thread] += sums[thread + half]; }
    workgroupBarrier();
  }
  if (thread == 0u) { squares[group] = sums[0]; }
}`,
  };

  /** One line of the choice of the layer, last layer first. */
  function describe(i: number): string {
    const layer = layers[i]!;
    const below: PlannedLayer | undefined = layers[i - 1];
    const { firstTile, columnTiles, inputs4, outputs4, error4, parameters4 } = layer;
    const fields = [firstTile, columnTiles, inputs4, outputs4, below?.activation4 ?? 0, error4, parameters4];
    const choice = `return Layer(${fields.map((field) => `${field}u`).join(", ")});`;
    return i === 0 ? `  ${choice}` : `  if (tile >= ${firstTile}u) { ${choice} }`;
  }

  /** One row of the batch: four inputs times four errors. */
  function multiplied(q: number): string {
    return `    {
      let left = stage[(slice * 8u + ${q}u) * 8u + down];
      let right = stage[256u + (slice * 8u + ${q}u) * 8u + across];
${["x", "y", "z", "w"].map((part, m) => `      sum${m} = fma(vec4f(left.${part}), right, sum${m});`).join("\n")}
    }`;
  }

  /** The bias is row `4 inputs` of the matrix; what is beyond it or beyond the last column does not exist. */
  function store(m: number): string {
    return `let row${m} = (firstInput + down) * 4u + ${m}u;
    if (row${m} <= layer.inputs * 4u && output < layer.outputs) {
      gradients[layer.gradients + row${m} * layer.outputs + output] = sum${m};
      square += dot(sum${m}, sum${m});
    }`;
  }
}
