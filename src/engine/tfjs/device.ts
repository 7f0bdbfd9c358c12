/**
 * The backends of TensorFlow.js: loads one on demand and says what it runs on. Backends register themselves in
 * TensorFlow.js' own process-wide table, so opening one twice costs nothing.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { messageOf, RlcfError } from "../../base/errors.ts";
import { CPU_DEVICES, findGpuAdapter } from "../devices.ts";

/** The backends of TensorFlow.js that this engine runs on. */
export type TfjsBackendName = "webgpu" | "wasm" | "cpu";

/** One backend, ready for use. */
export interface TfjsDevice {
  /** Which backend. */
  readonly backend: TfjsBackendName;
  /** The device in words. */
  readonly device: string;
  /** Largest tensor that one operation can read, in bytes. */
  readonly maxTensorBytes: number;
  /**
   * Runs operations on this backend and frees every tensor they made but those returned. Synchronous, so that engines
   * on different backends may take turns at their awaits.
   *
   * @throws {RlcfError} of kind `backend` when the device was lost
   */
  readonly run: <T extends tf.TensorContainer>(operations: () => T) => T;
  /**
   * The numbers of a tensor once the device has computed them; not to be written to.
   *
   * @throws {RlcfError} of kind `backend` when the device was lost or has reported a failure since it was opened
   */
  readonly read: (tensor: tf.Tensor) => Promise<Float32Array>;
  /** Stops listening to the device. The backend itself stays: other engines may be using it. */
  readonly close: () => void;
}

/** Loads a backend and makes it ready. Throws an RlcfError of kind `backend` when that is not possible here. */
export function openTfjsDevice(backend: TfjsBackendName): Promise<TfjsDevice> {
  return inTurn(async () => {
    // Before the first tensor: otherwise the cpu backend, which the others fall back on, prints a banner.
    tf.enableProdMode();
    try {
      const device = await LOADERS[backend]();
      // Failing to start is not an error for setBackend: it answers false, and another backend would do the work.
      if (!await tf.setBackend(backend)) throw new Error("TensorFlow.js could not start it");
      const watch = backend === "webgpu"
        ? watchGpu()
        : { maxTensorBytes: Infinity, read: dataOf, close: (): void => {} };
      const opened: TfjsDevice = { ...watch, backend, device, run: runOn(backend) };
      await checkArithmetic(opened);
      return opened;
    } catch (error) {
      throw new RlcfError("backend", `cannot use backend "${backend}": ${messageOf(error)}`, { cause: error });
    }
  });
}

/** Throws unless the device adds: one that was lost, or has no memory left, does not fail before it is read. */
async function checkArithmetic({ run, read, close }: TfjsDevice): Promise<void> {
  let sum: tf.Tensor | undefined;
  try {
    sum = run(() => tf.sum(tf.fill([1024], 1)));
    const [found] = await read(sum);
    if (found !== 1024) throw new Error(`it added 1024 ones to ${found}`);
  } catch (error) {
    close();
    throw error;
  } finally {
    sum?.dispose();
  }
}

/** TensorFlow.js gives up on a backend that is starting when another one starts, so they start one after the other. */
function inTurn<T>(start: () => Promise<T>): Promise<T> {
  const turn = lastStart.then(start);
  lastStart = turn.catch(() => {});
  return turn;
}

/** Module state because TensorFlow.js' table of backends, which it guards, belongs to the whole process too. */
let lastStart: Promise<unknown> = Promise.resolve();

/** Loads the module that registers a backend; returns the device in words. */
const LOADERS: Readonly<Record<TfjsBackendName, () => Promise<string>>> = {
  cpu: async () => {
    await import("@tensorflow/tfjs-backend-cpu");
    return CPU_DEVICES.cpu;
  },
  wasm: async () => {
    await loadWasm();
    return CPU_DEVICES.wasm;
  },
  webgpu: async () => {
    const adapter = await findGpuAdapter();
    if ("missing" in adapter) throw new Error(adapter.missing);
    await import("@tensorflow/tfjs-backend-webgpu");
    return adapter.device;
  },
};

/**
 * Registers the wasm backend with its binary. The binary is imported as bytes, so that it is found in the npm cache and
 * travels inside a bundle, and it is handed over as a `blob:` URL, so that no permission to read files is needed.
 */
async function loadWasm(): Promise<void> {
  if (tf.findBackendFactory("wasm") !== null) return;
  const { default: bytes } = await import("@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm", {
    with: { type: "bytes" },
  });
  const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/wasm" }));
  // One binary for all three names: Deno has SIMD everywhere, and the threaded one does not load in it.
  setWasmPaths({
    "tfjs-backend-wasm.wasm": url,
    "tfjs-backend-wasm-simd.wasm": url,
    "tfjs-backend-wasm-threaded-simd.wasm": url,
  }, true);
  // The loader reads __dirname, which a bundle lacks. With a URL given, its value does not matter.
  const scope = globalThis as { __dirname?: string };
  const bundled = scope.__dirname === undefined;
  if (bundled) scope.__dirname = "";
  try {
    await tf.setBackend("wasm");
  } finally {
    if (bundled) delete scope.__dirname;
    URL.revokeObjectURL(url);
  }
}

/**
 * Choosing a backend that has started takes effect at once, though it returns a promise; it is costly, so it is done only
 * when due. Both name and instance are compared: they differ for a moment while another backend is starting.
 */
function runOn(backend: TfjsBackendName): TfjsDevice["run"] {
  const instance = tf.findBackend(backend);
  return (operations) => {
    if (tf.getBackend() !== backend || tf.backend() !== instance) void tf.setBackend(backend);
    try {
      return tf.tidy(operations);
    } catch (error) {
      // What a lost GPU throws when it is given work.
      if (error instanceof DOMException) throw failureOf(backend, error.message);
      throw error;
    }
  };
}

function failureOf(backend: TfjsBackendName, cause: string): RlcfError {
  return new RlcfError("backend", `the ${backend} backend failed: ${cause}`);
}

const dataOf = (tensor: tf.Tensor): Promise<Float32Array> => tensor.data<"float32">();

/**
 * A GPU's failures do not throw where they happen: running out of memory or of bindings is reported as an event while
 * the results are zeros, and a lost device rejects only reads. So the first report is kept for the next read.
 */
function watchGpu(): Pick<TfjsDevice, "maxTensorBytes" | "read" | "close"> {
  const { device } = tf.findBackend("webgpu") as unknown as { readonly device: GPUDevice };
  let failure: string | undefined;
  const onError = (event: unknown): void => {
    failure ??= (event as GPUUncapturedErrorEvent).error.message;
  };
  device.addEventListener("uncapturederror", onError);
  void device.lost.then((info) => failure ??= `the device was lost (${info.message || info.reason})`);
  return {
    maxTensorBytes: device.limits.maxStorageBufferBindingSize,
    read: async (tensor): Promise<Float32Array> => {
      const data = await dataOf(tensor).catch((error: unknown) => {
        failure ??= messageOf(error);
        return new Float32Array(0);
      });
      if (failure !== undefined) throw failureOf("webgpu", failure);
      return data;
    },
    close: (): void => device.removeEventListener("uncapturederror", onError),
  };
}
