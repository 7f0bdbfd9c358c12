/**
 * Forward pass, loss head and the errors passed down, as two kernels.
 *
 * `first` is the wide layer over the long inputs: a tiled matrix product whose depth may be cut between workgroups.
 * `rows` does all that is left for a few rows of the batch in one workgroup: it ends the first layer, runs the small
 * upper layers, the head, and sends the errors down again. Rows do not depend on each other, so one dispatch suffices
 * where layer by layer would take five; on a large GPU it is the number of dispatches that a small batch pays for.
 *
 * @module
 */
import type { LossHeadName } from "../../loss/heads.ts";
import { HEADS_WGSL } from "./heads.ts";
import { type KernelSource, LINE_WGSL, reads, writes } from "./kernels.ts";
import type { NetworkPlan, PlannedLayer, RowsPerGroup } from "./plan.ts";
import { ADD_SLICES_WGSL, STAGE_WGSL, THREAD_WGSL, TILE_THREADS, unrolled } from "./tiles.ts";

/** Vectors of a staged row of inputs, one more than used: rows that are read together then lie in different banks. */
const LEFT_STRIDE = 9;
const RIGHT = 32 * LEFT_STRIDE;

/** The sums of the first layer, before bias and ReLU. Workgroups: column tile, row tile, split of the depth. */
export function firstKernel({ shape, layers }: NetworkPlan): KernelSource {
  const { inputs4, outputs4, parameters4 } = layers[0]!;
  return {
    name: "first",
    bindings: [reads("inputs"), reads("parameters"), writes("partials")],
    code: /* wgsl */ `${STAGE_WGSL}
@compute @workgroup_size(${TILE_THREADS})
fn first(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {${THREAD_WGSL}
  let column = group.x * 8u + across;
  let staged = thread / 8u;
  let row = group.y * 32u + staged;
  let end = min((group.z + 1u) * step.tilesPerSplit, ${Math.ceil(inputs4 / 8)}u);
  for (var tile = group.z * step.tilesPerSplit; tile < end; tile++) {
    var left = vec4f(0.0);
    let input = tile * 8u + across;
    if (row < step.rows && input < ${inputs4}u) {
      left = inputs[(step.first + row) * ${inputs4}u + input] * ${float(shape.inputScale)};
    }
    var right = vec4f(0.0);
    let depth = tile * 32u + staged;
    if (depth < ${4 * inputs4}u && column < ${outputs4}u) {
      right = parameters[${parameters4}u + depth * ${outputs4}u + column];
    }
    stage[staged * ${LEFT_STRIDE}u + across] = left;
    stage[${RIGHT}u + thread] = right;
    workgroupBarrier();
${unrolled(2, multiplied)}
    workgroupBarrier();
  }${ADD_SLICES_WGSL}
  if (slice == 0u && column < ${outputs4}u) {
    ${unrolled(4, store)}
  }
}`,
  };

  /** Four inputs (one vector) of four rows times four columns. */
  function multiplied(q: number): string {
    return `    {
      let depth4 = slice * 2u + ${q}u;
${unrolled(4, (i) => `      let right${i} = stage[${RIGHT}u + (depth4 * 4u + ${i}u) * 8u + across];`)}
${
      unrolled(4, (m) =>
        `      let left${m} = stage[(down + ${8 * m}u) * ${LEFT_STRIDE}u + depth4];
      sum${m} = ${timesFour(`left${m}`, "right", `sum${m}`)};`)
    }
    }`;
  }

  function store(m: number): string {
    return `let row${m} = group.y * 32u + down + ${8 * m}u;
    if (row${m} < step.rows) { partials[(group.z * step.rows + row${m}) * ${outputs4}u + column] = sum${m}; }`;
  }
}

/** All after the first layer's sums, with a head and its errors. */
export function rowsKernel(plan: NetworkPlan, head: LossHeadName, rows: RowsPerGroup): KernelSource {
  const { shape, layers, record4 } = plan;
  const last = layers.at(-1)!;
  const threads = threadsFor(rows);
  const row = `activations[b * ${record4}u + `;
  const columns = shape.outputs + 2;
  const column = `columns[(step.first + b) * ${columns}u + `;
  return {
    name: "rows",
    bindings: [
      reads("partials"),
      reads("parameters"),
      reads("transposed"),
      reads("columns", "f32"),
      writes("activations"),
      writes("measures"),
    ],
    code: /* wgsl */ `${rowsHeader(threads, rows)}
const OUTPUTS = ${shape.outputs}u;
fn output(b: u32, e: u32) -> f32 { return ${row}${last.activation4}u + e / 4u][e % 4u]; }
fn setError(b: u32, e: u32, value: f32) { ${row}${last.error4}u + e / 4u][e % 4u] = value; }
fn coefficient(b: u32, e: u32) -> f32 { return ${column}e]; }
fn goal(b: u32) -> f32 { return ${column}${shape.outputs}u]; }
fn scale(b: u32) -> f32 { return ${column}${shape.outputs + 1}u] / f32(step.rows); }
${HEADS_WGSL[head]}
${rowsEntry(threads, rows)}
${forward(plan, rows, (layer) => `${row}${layer.activation4}u + column]`)}
  if (thread < ${rows}u && first + thread < step.rows) {
    let b = first + thread;
    // Padded outputs have no error.
    ${row}${last.error4 + last.outputs4 - 1}u] = vec4f(0.0);
    measures[b] = head(b);
  }
  storageBarrier();
${layers.slice(1).map((_, i) => errorsBelow(plan, i + 1, rows)).reverse().join("\n")}
}`,
  };
}

/** All after the first layer's sums when the network is only run: the last layer goes to `outputs`. */
export function outputsKernel(plan: NetworkPlan, rows: RowsPerGroup): KernelSource {
  const last = plan.layers.at(-1)!;
  const threads = threadsFor(rows);
  return {
    name: "rows",
    bindings: [reads("partials"), reads("parameters"), writes("activations"), writes("outputs")],
    code: `${rowsHeader(threads, rows)}
${rowsEntry(threads, rows)}
${
      forward(plan, rows, (layer) =>
        layer === last
          ? `outputs[(step.first + b) * ${last.outputs4}u + column]`
          : `activations[b * ${plan.record4}u + ${layer.activation4}u + column]`)
    }
}`,
  };
}

/** Threads of a workgroup of the rows kernel: with more rows each thread has more to do, and sums take more room. */
function threadsFor(rows: RowsPerGroup): number {
  return rows === 1 ? 256 : 128;
}

/**
 * `max(NaN, 0)` is 0 in WGSL, so a plain ReLU would make a broken network look healthy. Whatever is not finite becomes NaN
 * here and reaches the loss. It is recognised by its bits: compilers may assume that no float is NaN.
 */
function rowsHeader(threads: number, rows: number): string {
  return /* wgsl */ `${LINE_WGSL}
var<workgroup> scratch: array<vec4f, ${threads * rows}>;
fn relu(z: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(z);
  let exponent = vec4u(0x7f800000u);
  return select(max(z, vec4f(0.0)), bitcast<vec4f>(bits | vec4u(0x7fc00000u)), (bits & exponent) == exponent);
}`;
}

function rowsEntry(threads: number, rows: number): string {
  return /* wgsl */ `
@compute @workgroup_size(${threads})
fn rows(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let first = lineOf(id, count) * ${rows}u;
  // A last workgroup may have rows too many; they compute what the last row does and write nothing.
${unrolled(rows, (r) => `  let row${r} = min(first + ${r}u, step.rows - 1u);`)}`;
}

/** Ends the first layer and runs the others. */
function forward(plan: NetworkPlan, rows: RowsPerGroup, target: (layer: PlannedLayer) => string): string {
  const { layers } = plan;
  const activated = (layer: PlannedLayer): string => `${target(layer)} = ${layer === layers.at(-1) ? "z" : "relu(z)"};`;
  const bias = (layer: PlannedLayer): string =>
    `parameters[${layer.parameters4 + 4 * layer.inputs4 * layer.outputs4}u + column]`;
  const [bottom, ...upper] = layers as [PlannedLayer, ...PlannedLayer[]];
  return /* wgsl */ `
  for (var i = thread; i < ${rows * bottom.outputs4}u; i += ${threadsFor(rows)}u) {
    let b = first + i / ${bottom.outputs4}u;
    let column = i % ${bottom.outputs4}u;
    if (b < step.rows) {
      var z = ${bias(bottom)};
      for (var split = 0u; split < step.splits; split++) {
        z += partials[(split * step.rows + b) * ${bottom.outputs4}u + column];
      }
      ${activated(bottom)}
    }
  }
  storageBarrier();
${
    upper.map((layer, i) =>
      dense(plan, rows, {
        input4: layers[i]!.activation4,
        depth4: layer.inputs4,
        columns4: layer.outputs4,
        matrix: `parameters[${layer.parameters4}u`,
        start: bias(layer),
        store: activated(layer),
      })
    ).join("\n")
  }`;
}

/** The errors of the layer below layer `i`, through the transposed weights and the derivative of its ReLU. */
function errorsBelow(plan: NetworkPlan, i: number, rows: RowsPerGroup): string {
  const [below, layer] = [plan.layers[i - 1]!, plan.layers[i]!];
  const record = `activations[b * ${plan.record4}u + `;
  return dense(plan, rows, {
    input4: layer.error4,
    depth4: layer.outputs4,
    columns4: layer.inputs4,
    matrix: `transposed[${layer.transposed4}u`,
    start: "vec4f(0.0)",
    store: `let alive = ${record}${below.activation4}u + column] > vec4f(0.0);
      ${record}${below.error4}u + column] = select(vec4f(0.0), z, alive);`,
  });
}

/** A product of a row's vector with a matrix. */
interface Dense {
  /** Where the vector starts in the row's record. */
  readonly input4: number;
  /** Length of the vector, in vectors of 4. */
  readonly depth4: number;
  /** Columns of the matrix, in vectors of 4. */
  readonly columns4: number;
  /** The matrix [depth, columns] up to where its index goes on. */
  readonly matrix: string;
  /** What is added to the product: an expression in `column`. */
  readonly start: string;
  /** What becomes of the result `z` of row `b` at `column`. */
  readonly store: string;
}

/**
 * Neighbouring threads (lanes) take neighbouring columns. Where the columns do not fill the workgroup, several slices of
 * threads go through the depth in turn; their sums meet in `scratch` and are added in a fixed order. The vector is read
 * from the record itself: all lanes of a slice want the same place at once, which costs no more than shared memory.
 */
function dense(plan: NetworkPlan, rows: RowsPerGroup, product: Dense): string {
  const { input4, depth4, columns4, matrix, start, store } = product;
  const threads = threadsFor(rows);
  const lanes = Math.min(threads, 2 ** Math.ceil(Math.log2(columns4)));
  const slices = Math.min(threads / lanes, depth4, 16);
  return /* wgsl */ `
  for (var start = 0u; start < ${columns4}u; start += ${lanes}u) {
    let slice = thread / ${lanes}u;
    let own = start + thread % ${lanes}u;
    if (own < ${columns4}u && slice < ${slices}u) {
${unrolled(rows, (r) => `      var sum${r} = vec4f(0.0);`)}
      for (var k = slice; k < ${depth4}u; k += ${slices}u) {
${unrolled(4, (i) => `        let weight${i} = ${matrix} + (4u * k + ${i}u) * ${columns4}u + own];`)}
${
    unrolled(rows, (r) =>
      `        let input${r} = activations[row${r} * ${plan.record4}u + ${input4}u + k];
        sum${r} = ${timesFour(`input${r}`, "weight", `sum${r}`)};`)
  }
      }
${unrolled(rows, (r) => `      scratch[(${r * slices}u + slice) * ${lanes}u + thread % ${lanes}u] = sum${r};`)}
    }
    workgroupBarrier();
    for (var i = thread; i < ${rows * lanes}u; i += ${threads}u) {
      let b = first + i / ${lanes}u;
      let column = start + i % ${lanes}u;
      if (b < step.rows && column < ${columns4}u) {
        var z = ${start};
        for (var s = 0u; s < ${slices}u; s++) { z += scratch[(i / ${lanes}u * ${slices}u + s) * ${lanes}u + i % ${lanes}u]; }
        ${store}
      }
    }
    workgroupBarrier();
  }
  storageBarrier();`;
}

/** `sum` plus the four numbers of a vector times four rows of a matrix. */
function timesFour(vector: string, matrix: string, sum: string): string {
  return ["x", "y", "z", "w"].reduce((inner, part, i) => `fma(vec4f(${vector}.${part}), ${matrix}${i}, ${inner})`, sum);
}

/** A number as WGSL writes a float. */
function float(value: number): string {
  return `f32(${Math.fround(value)})`;
}
