/**
 * The ways to compute that a benchmark compares: some backends can be run in two.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { createEngine, listBackends } from "../engine/create.ts";
import type { BackendName, NetworkShape, PolicyEngine } from "../engine/engine.ts";

/** One way to compute. */
export interface Variant {
  /** E.g. `webgpu fused`, `simd 2 threads`; begins with the backend. */
  readonly name: string;
  /** The backend that it belongs to. */
  readonly backend: BackendName;
  /** The device in words. */
  readonly device: string;
  /** Whether it is a GPU imitated by the CPU. */
  readonly software: boolean;
  /** Makes an engine with fresh weights. */
  readonly create: (shape: NetworkShape) => Promise<PolicyEngine>;
}

/** The variants to measure, and the backends left out with the reason. */
export interface VariantChoice {
  /** In the order in which they are measured. */
  readonly variants: readonly Variant[];
  /** What could not be measured, or was not asked for. */
  readonly skipped: readonly { readonly backend: BackendName; readonly reason: string }[];
}

/**
 * Every variant of the backends asked for; by default of all that are available and no imitation of a GPU.
 *
 * @throws RlcfError("backend") when one that was asked for is not available
 */
export async function chooseVariants(wanted: readonly BackendName[] | undefined): Promise<VariantChoice> {
  const variants: Variant[] = [];
  const skipped: { backend: BackendName; reason: string }[] = [];
  for (const { name, available, device, software } of await listBackends()) {
    if (wanted !== undefined && !wanted.includes(name)) continue;
    if (!available && wanted !== undefined) {
      throw new RlcfError("backend", `cannot measure backend "${name}": ${device}`, {
        hint: "Leave --backend out to measure what there is.",
      });
    }
    if (!available) skipped.push({ backend: name, reason: device });
    else if (software && wanted === undefined) {
      skipped.push({ backend: name, reason: `only ${device}; --backend ${name} measures it all the same` });
    } else variants.push(...variantsOf(name).map((variant) => ({ ...variant, backend: name, device, software })));
  }
  return { variants, skipped };
}

function variantsOf(backend: BackendName): Pick<Variant, "name" | "create">[] {
  switch (backend) {
    case "webgpu":
      return [
        { name: "webgpu fused", create: async (shape) => (await createEngine(shape, { backend })).engine },
        {
          name: "webgpu tfjs",
          create: async (shape) => (await import("../engine/tfjs/engine.ts")).createTfjsEngine(shape, "webgpu"),
        },
      ];
    case "simd":
      return [1, 2].filter((threads) => threads <= navigator.hardwareConcurrency).map((threads) => ({
        name: `simd ${threads} ${threads === 1 ? "thread" : "threads"}`,
        create: async (shape) => (await import("../engine/simd/engine.ts")).createSimdEngine(shape, { threads }),
      }));
    default:
      return [{ name: backend, create: async (shape) => (await createEngine(shape, { backend })).engine }];
  }
}
