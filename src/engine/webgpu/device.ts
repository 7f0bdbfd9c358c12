/**
 * The GPU behind TensorFlow.js' webgpu backend, with the manners that a GPU lacks: its failures become errors where they
 * happen, and every buffer that was made on it is known.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { messageOf, RlcfError } from "../../base/errors.ts";
import { openTfjsDevice, type TfjsDevice } from "../tfjs/device.ts";

/** Failures that a call on the device does not throw; innermost scope last. */
const SCOPES: readonly GPUErrorFilter[] = ["internal", "out-of-memory", "validation"];

/** A GPU. Made by {@link openGpu}; {@link close} frees every buffer that was made through it. */
export class Gpu {
  /** The device in words. */
  readonly name: string;
  /** Largest buffer that a kernel can read, in bytes. */
  readonly maxBindingBytes: number;
  /** What the kernels are built on. Errors of direct calls are noticed only inside {@link attempt}. */
  readonly device: GPUDevice;
  readonly #tfjs: TfjsDevice;
  readonly #buffers = new Set<GPUBuffer>();
  /** Buffers made by the {@link attempt} that is under way. */
  #made: GPUBuffer[] = [];
  /** The first failure that no call of the engine caused, such as loss; nothing the device computes is trusted then. */
  #failure: string | undefined;
  readonly #onError = (event: unknown): void => {
    const { error } = event as { readonly error?: GPUError };
    this.#failure ??= error?.message ?? "an error that the device did not explain";
  };

  /** Takes over what TensorFlow.js has opened. */
  constructor(tfjs: TfjsDevice, device: GPUDevice) {
    this.#tfjs = tfjs;
    this.device = device;
    this.name = tfjs.device;
    this.maxBindingBytes = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
    device.addEventListener("uncapturederror", this.#onError);
    void device.lost.then((info) => this.#failure ??= `the device was lost (${info.message || info.reason})`);
  }

  /**
   * Calls the device and waits for its verdict, not for its work. A device that was lost accepts everything until that
   * is noticed, at the latest by the next {@link read}.
   *
   * @param doing for the message, e.g. `cannot train`
   * @param work synchronous, because the device's error scopes are a stack that all its users share; if it fails, the
   *   buffers that it made are freed
   * @throws {RlcfError} of kind `backend` when the device refuses, has no memory left, or was lost
   */
  async attempt<T>(doing: string, work: () => T): Promise<T> {
    if (this.#failure !== undefined) throw failed(doing, this.#failure);
    const made: GPUBuffer[] = this.#made = [];
    for (const scope of SCOPES) this.device.pushErrorScope(scope);
    let result: { readonly value: T } | undefined;
    let thrown: unknown;
    try {
      result = { value: work() };
    } catch (error) {
      thrown = error;
    }
    const verdicts = SCOPES.map(() => this.device.popErrorScope());
    const errors = (await Promise.allSettled(verdicts))
      .map((verdict) => verdict.status === "rejected" ? verdict.reason : verdict.value)
      .filter((error) => error !== null);
    if (result === undefined || errors.length > 0) {
      for (const buffer of made) this.free(buffer);
      throw await this.#failed(doing, errors[0] ?? thrown);
    }
    return result.value;
  }

  /** Makes a buffer of zeros, of at least one vector: an empty one cannot be bound. Call inside {@link attempt}. */
  buffer(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const buffer = this.device.createBuffer({ label, size: Math.max(16, bytes), usage });
    this.#buffers.add(buffer);
    this.#made.push(buffer);
    return buffer;
  }

  /** Frees a buffer at once; work on it that was submitted before still ends. */
  free(buffer: GPUBuffer): void {
    buffer.destroy();
    this.#buffers.delete(buffer);
  }

  /**
   * Submits work that ends in copies to a buffer in main memory, and waits for it. Deno looks for the end of the work
   * every 10 ms only, so each call costs that much at least.
   *
   * @param encode adds the work; gets the buffer to copy to
   * @returns the buffer's contents
   */
  async read(
    doing: string,
    bytes: number,
    encode: (encoder: GPUCommandEncoder, target: GPUBuffer) => void,
  ): Promise<ArrayBuffer> {
    const target = await this.attempt(doing, () => {
      const buffer = this.buffer("read back", bytes, GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ);
      const encoder = this.device.createCommandEncoder();
      encode(encoder, buffer);
      this.device.queue.submit([encoder.finish()]);
      return buffer;
    });
    try {
      await target.mapAsync(GPUMapMode.READ, 0, bytes);
      // What was reported in the meantime may be why the contents are zeros.
      if (this.#failure !== undefined) throw new Error(this.#failure);
      return target.getMappedRange(0, bytes).slice(0);
    } catch (error) {
      // A buffer that was made without complaint cannot be read only where the device is gone or has failed.
      const failure = await this.#failed(doing, error);
      this.#failure ??= messageOf(error);
      throw failure;
    } finally {
      this.free(target);
    }
  }

  /** The error to throw, with the deeper cause where there is one: loss is announced a moment after what it breaks. */
  async #failed(doing: string, error: unknown): Promise<RlcfError> {
    await new Promise((resolve) => setTimeout(resolve));
    return failed(doing, this.#failure ?? (error as { readonly message?: string }).message ?? messageOf(error), error);
  }

  /** Runs TensorFlow.js operations on this device; see `TfjsDevice.run`. */
  run<T extends tf.TensorContainer>(operations: () => T): T {
    return this.#tfjs.run(operations);
  }

  /** Frees every buffer and stops listening. The device stays: TensorFlow.js and other engines may be using it. */
  close(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.clear();
    this.device.removeEventListener("uncapturederror", this.#onError);
    this.#tfjs.close();
  }
}

/**
 * Opens the GPU that TensorFlow.js' webgpu backend uses.
 *
 * @throws {RlcfError} of kind `backend` when there is none or it does not work
 */
export async function openGpu(): Promise<Gpu> {
  const tfjs = await openTfjsDevice("webgpu");
  const { device } = tf.findBackend("webgpu") as unknown as { readonly device: GPUDevice };
  return new Gpu(tfjs, device);
}

function failed(doing: string, cause: string, error?: unknown): RlcfError {
  return new RlcfError("backend", `${doing}: the webgpu backend failed: ${cause.trim()}`, { cause: error });
}
