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
  silenceEgl();
  // The same request as TensorFlow.js makes, so that what is described is what will be used.
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) return { missing: "no GPU adapter found (no GPU, or no Vulkan driver for it)" };
  const { description, vendor, device, isFallbackAdapter } = adapter.info;
  const name = description || `GPU ${vendor}:${device}`;
  return { device: isFallbackAdapter ? `${name} (software)` : name, software: isFallbackAdapter };
}

/** Where the drivers of hardware GPUs on Linux have their devices: Mesa's, NVIDIA's, WSL's, and those of phones. */
const LINUX_GPU_DEVICES: readonly string[] = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg", "/dev/kgsl-3d0", "/dev/mali0"];

/**
 * Why there can be no hardware GPU, without asking the graphics drivers: only to list a software adapter they load a
 * compiler of 75 MB. Undefined where there may be one.
 */
export function whyNoHardwareGpu(): string | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const exists = (path: string): boolean => {
    // What may not be looked at may be there.
    if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return true;
    try {
      Deno.statSync(path);
      return true;
    } catch (error) {
      return !(error instanceof Deno.errors.NotFound);
    }
  };
  return LINUX_GPU_DEVICES.some(exists) ? undefined : "this machine has no GPU";
}

/**
 * Without XDG_RUNTIME_DIR, EGL writes four lines of "error: XDG_RUNTIME_DIR is invalid" on stderr when adapters are
 * listed, though none of it is used. It has to be set before the first request; nothing else here reads it. Where the
 * permission for it was not granted the lines stay, because asking would put a prompt in front of the user.
 */
function silenceEgl(): void {
  if (Deno.build.os !== "linux") return;
  const permission = Deno.permissions.querySync({ name: "env", variable: "XDG_RUNTIME_DIR" });
  if (permission.state !== "granted") return;
  if (Deno.env.get("XDG_RUNTIME_DIR") === undefined) Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
}
