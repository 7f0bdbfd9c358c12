/**
 * What the engines run on, in words. Asks the platform only; no tensor library is loaded.
 *
 * @module
 */

/** The devices of the engines that need nothing but a CPU. */
export const CPU_DEVICES = {
  wasm: "WebAssembly SIMD (XNNPACK), 1 thread",
  cpu: "plain JavaScript, 1 thread",
} as const;

/** What is known of an adapter before a device is made on it. */
export interface GpuAdapter {
  /** Name of the device, e.g. `NVIDIA H200` or `llvmpipe (LLVM 15.0.6, 256 bits) (software)`. */
  readonly device: string;
  /** Whether the adapter is a program on the CPU: right for tests, slower than any CPU engine. */
  readonly software: boolean;
}

/** The adapter that a webgpu engine would get, or the reason why there is none. */
export async function findGpuAdapter(): Promise<GpuAdapter | { readonly missing: string }> {
  // Typed as always there, but absent where Deno was started without its webgpu flag.
  const gpu = navigator.gpu as GPU | undefined;
  if (gpu === undefined) return { missing: "WebGPU is switched off (start Deno with --unstable-webgpu)" };
  prepareDrivers();
  // The same request as TensorFlow.js makes, so that what is described is what will be used.
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) return { missing: "no GPU adapter found (no GPU, or no Vulkan driver for it)" };
  const { description, vendor, device, isFallbackAdapter } = adapter.info;
  const name = description || `GPU ${vendor}:${device}`;
  return { device: isFallbackAdapter ? `${name} (software)` : name, software: isFallbackAdapter };
}

/**
 * What the environment tells the drivers, set before the first request where it is not set yet. A variable whose
 * permission was not granted is left alone, because asking would put a prompt in front of the user.
 *
 * - Without XDG_RUNTIME_DIR, EGL writes four lines of "error: XDG_RUNTIME_DIR is invalid" on stderr when adapters are
 *   listed, though none of it is used.
 * - Deno looks for adapters through Vulkan and through OpenGL, whose software driver costs 12 MB of memory. Nothing here
 *   was ever tried on OpenGL; DENO_WEBGPU_BACKEND=vulkan,gl brings it back.
 */
function prepareDrivers(): void {
  if (Deno.build.os !== "linux") return;
  for (const [name, value] of [["XDG_RUNTIME_DIR", "/tmp"], ["DENO_WEBGPU_BACKEND", "vulkan"]] as const) {
    const permission = Deno.permissions.querySync({ name: "env", variable: name });
    if (permission.state === "granted" && Deno.env.get(name) === undefined) Deno.env.set(name, value);
  }
}
