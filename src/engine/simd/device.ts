/**
 * The CPU as this engine sees it: which of the two modules it can run, and how many cores there are.
 *
 * @module
 */
import { RlcfError } from "../../base/errors.ts";
import { PLAIN_SIMD, RELAXED_SIMD } from "./modules.ts";

/** The two modules: `relaxed` multiplies and adds in one instruction, `plain` runs wherever WebAssembly has SIMD. */
export type SimdKind = "relaxed" | "plain";

/** A compiled module and the machine in words. */
export interface SimdDevice {
  /** Which of the modules. */
  readonly kind: SimdKind;
  /** Compiled, to be instantiated once for each thread. */
  readonly module: WebAssembly.Module;
  /** Cores that the operating system offers, at least 1. */
  readonly cores: number;
  /** E.g. `relaxed SIMD, 2 cores`. */
  readonly device: string;
}

/** The better module that this machine can run, or undefined where WebAssembly has no SIMD. */
export function bestSimdKind(): SimdKind | undefined {
  return (["relaxed", "plain"] as const).find((kind) => WebAssembly.validate(bytesOf(kind)));
}

/** The machine in words. */
export function describeSimd(kind: SimdKind): string {
  const cores = coreCount();
  return `${kind === "relaxed" ? "relaxed SIMD" : "SIMD"}, ${cores} ${cores === 1 ? "core" : "cores"}`;
}

/**
 * Compiles a module, the better one unless one is named. Needs no permission: the modules are part of the program.
 *
 * @throws {RlcfError} of kind `backend` where WebAssembly has no SIMD
 */
export async function openSimdDevice(kind: SimdKind | undefined = bestSimdKind()): Promise<SimdDevice> {
  if (kind === undefined) throw new RlcfError("backend", 'cannot use backend "simd": WebAssembly has no SIMD here');
  return { kind, module: await WebAssembly.compile(bytesOf(kind)), cores: coreCount(), device: describeSimd(kind) };
}

/**
 * The same module at once, for computations that do not wait for anything. Compiling takes about a millisecond.
 *
 * @throws {RlcfError} of kind `backend` where WebAssembly has no SIMD
 */
export function compileSimd(kind: SimdKind | undefined = bestSimdKind()): WebAssembly.Module {
  if (kind === undefined) throw new RlcfError("backend", "cannot fit a linear model: WebAssembly has no SIMD here");
  return new WebAssembly.Module(bytesOf(kind));
}

function bytesOf(kind: SimdKind): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(kind === "relaxed" ? RELAXED_SIMD : PLAIN_SIMD);
}

function coreCount(): number {
  return Math.max(1, navigator.hardwareConcurrency);
}
