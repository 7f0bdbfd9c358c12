/**
 * Chooses and makes an engine. Nothing heavy is loaded before an engine is made: commands that need none start fast.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { BackendName, NetworkShape, PolicyEngine } from "./engine.ts";
import { CPU_DEVICES, findGpuAdapter } from "./devices.ts";
import { FallbackEngine } from "./fallback.ts";
import { checkShape } from "./network.ts";

/** What the user can ask for: a backend, or the best one here. */
export type BackendChoice = "auto" | BackendName;

/** One backend as found on this machine. */
export interface BackendStatus {
  /** Name to ask for it by. */
  readonly name: BackendName;
  /** Whether an engine can be made on it. */
  readonly available: boolean;
  /** The device in words; where there is none, what is missing. */
  readonly device: string;
  /** Whether it is a GPU imitated by the CPU, which `auto` never takes. */
  readonly software: boolean;
}

/** An engine and why it is this one. */
export interface ChosenEngine {
  /** With fresh weights. */
  readonly engine: PolicyEngine;
  /** Half a sentence for the log, e.g. `no webgpu: no GPU adapter found; wasm is the fastest left`. */
  readonly reason: string;
}

/** How to find out about a backend, and how to make an engine on it. */
export interface EngineEntry {
  /** Name to ask for it by. */
  readonly name: BackendName;
  /** Whether it can be used here; loads nothing heavy. */
  readonly probe: () => Promise<Omit<BackendStatus, "name">>;
  /** Makes an engine with fresh weights. */
  readonly create: (shape: NetworkShape) => Promise<PolicyEngine>;
}

/** Every engine of this build, the one that `auto` likes best first. A new engine is one more line. */
const ENGINES: readonly EngineEntry[] = [
  {
    name: "webgpu",
    probe: probeGpu,
    create: async (shape) => (await import("./webgpu/engine.ts")).createWebgpuEngine(shape),
  },
  {
    name: "simd",
    probe: probeSimd,
    create: async (shape) => (await import("./simd/engine.ts")).createSimdEngine(shape),
  },
  { name: "wasm", probe: probeCpu(CPU_DEVICES.wasm), create: (shape) => createTfjs(shape, "wasm") },
  { name: "cpu", probe: probeCpu(CPU_DEVICES.cpu), create: (shape) => createTfjs(shape, "cpu") },
];

/** Every backend of this build, the one that `auto` likes best first, and whether it can be used here. */
export function listBackends(): Promise<BackendStatus[]> {
  return statusOf(ENGINES);
}

function statusOf(engines: readonly EngineEntry[]): Promise<BackendStatus[]> {
  return Promise.all(engines.map(async ({ name, probe }) => ({ name, ...await probe() })));
}

/**
 * Makes an engine with fresh weights.
 *
 * `auto` takes a hardware GPU, else the fastest engine on the CPU. A backend that is asked for by name is used or
 * refused, never replaced by another.
 *
 * @param engines the engines to choose from, best first; tests bring their own
 * @throws {RlcfError} of kind `backend` when the backend asked for is not available; names those that are
 */
export async function createEngine(
  shape: NetworkShape,
  options: { readonly backend?: BackendChoice } = {},
  engines: readonly EngineEntry[] = ENGINES,
): Promise<ChosenEngine> {
  checkShape(shape);
  const { backend = "auto" } = options;
  return backend === "auto" ? await createBest(shape, engines) : await createNamed(shape, backend, engines);
}

/**
 * The same, but a GPU that fails in the middle of the work is replaced by the fastest engine on the CPU, which goes on
 * from the last known state. That holds for a backend that was asked for by name as well, once it has started: the work
 * is worth more than the choice.
 *
 * @throws {RlcfError} as {@link createEngine} does
 */
export async function createLastingEngine(
  shape: NetworkShape,
  options: { readonly backend?: BackendChoice } = {},
  engines: readonly EngineEntry[] = ENGINES,
): Promise<ChosenEngine> {
  const { engine, reason } = await createEngine(shape, options, engines);
  if (engine.backend !== "webgpu") return { engine, reason };
  const others = engines.filter(({ name }) => name !== "webgpu");
  return { engine: new FallbackEngine(engine, async () => (await createBest(shape, others)).engine), reason };
}

async function createNamed(
  shape: NetworkShape,
  backend: BackendName,
  engines: readonly EngineEntry[],
): Promise<ChosenEngine> {
  const entry = engines.find(({ name }) => name === backend);
  const status = await entry?.probe();
  if (entry !== undefined && status?.available) {
    return { engine: await entry.create(shape), reason: `${backend} was asked for` };
  }
  const available = (await statusOf(engines)).filter((other) => other.available).map(({ name }) => name);
  const cause = status?.device ?? "this build of rlcf has no such engine";
  throw new RlcfError("backend", `cannot use backend "${backend}": ${cause}; available here: ${available.join(", ")}`, {
    hint: 'Choose one of these, or "auto".',
  });
}

async function createBest(shape: NetworkShape, engines: readonly EngineEntry[]): Promise<ChosenEngine> {
  const passedOver: string[] = [];
  for (const { name, probe, create } of engines) {
    const { available, software, device } = await probe();
    if (!available || software) {
      passedOver.push(available ? `${name} has only ${device}` : `no ${name}: ${device}`);
      continue;
    }
    try {
      return { engine: await create(shape), reason: [...passedOver, `${name} is the fastest left`].join("; ") };
    } catch (error) {
      // A driver may list a GPU and then refuse to open it; the CPU still works.
      if (!(error instanceof RlcfError) || error.code !== "backend") throw error;
      passedOver.push(error.message);
    }
  }
  throw new RlcfError("backend", `found no backend to compute on: ${passedOver.join("; ")}`);
}

async function createTfjs(shape: NetworkShape, backend: "wasm" | "cpu"): Promise<PolicyEngine> {
  const { createTfjsEngine } = await import("./tfjs/engine.ts");
  return await createTfjsEngine(shape, backend);
}

async function probeSimd(): Promise<Omit<BackendStatus, "name">> {
  const { bestSimdKind, describeSimd } = await import("./simd/device.ts");
  const kind = bestSimdKind();
  if (kind === undefined) return { available: false, device: "WebAssembly has no SIMD here", software: false };
  return { available: true, device: describeSimd(kind), software: false };
}

async function probeGpu(): Promise<Omit<BackendStatus, "name">> {
  const adapter = await findGpuAdapter();
  if ("missing" in adapter) return { available: false, device: adapter.missing, software: false };
  return { available: true, ...adapter };
}

function probeCpu(device: string): EngineEntry["probe"] {
  return () => Promise.resolve({ available: true, device, software: false });
}
