/**
 * GPUs that fail when they are told to: a stand-in for machines without one, and ways to break a real one.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { RlcfError } from "../../src/base/errors.ts";
import type { EngineEntry } from "../../src/engine/create.ts";
import type { PolicyEngine, StepMetrics, TrainingSegment, TrainingState } from "../../src/engine/engine.ts";
import { createSimdEngine } from "../../src/engine/simd/engine.ts";

/** An engine that calls itself webgpu, computes on another one, and is lost from its k-th call on. */
export class DoomedEngine implements PolicyEngine {
  readonly backend = "webgpu";
  readonly device: string = "a GPU that will be lost";
  readonly shape;
  disposed = false;
  calls = 0;

  /** @param failsAt the first call that fails, from 1; a training call does its work before it fails, as a GPU does */
  constructor(readonly inner: PolicyEngine, readonly failsAt: number) {
    this.shape = inner.shape;
  }

  load(state: TrainingState): Promise<void> {
    return this.#call(() => this.inner.load(state));
  }

  read(): Promise<TrainingState> {
    return this.#call(() => this.inner.read());
  }

  upload(inputsNI: Float32Array): Promise<void> {
    return this.#call(() => this.inner.upload(inputsNI));
  }

  train(segment: TrainingSegment): Promise<StepMetrics> {
    return this.#call(() => this.inner.train(segment));
  }

  forward(inputsNI: Float32Array): Promise<Float32Array> {
    return this.#call(() => this.inner.forward(inputsNI));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    await this.inner[Symbol.asyncDispose]();
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    const result = await work();
    if (++this.calls < this.failsAt) return result;
    throw new RlcfError("backend", `the device was lost at call ${this.calls}`);
  }
}

/** A machine with a GPU that is lost at a call, and the simd engine; the GPU computes what simd computes. */
export function doomedMachine(failsAt: number): readonly EngineEntry[] {
  const probe = () => Promise.resolve({ available: true, device: "test", software: false });
  const simd = (shape: PolicyEngine["shape"]): Promise<PolicyEngine> => createSimdEngine(shape, { threads: 1 });
  return [
    { name: "webgpu", probe, create: async (shape) => new DoomedEngine(await simd(shape), failsAt) },
    { name: "simd", probe, create: simd },
  ];
}

/** The device of TensorFlow.js' webgpu backend, which must have started. */
export function gpuDevice(): GPUDevice {
  return (tf.findBackend("webgpu") as unknown as { device: GPUDevice }).device;
}

/** Lets the process ask for a new device where the old one is lost. */
export function reviveGpu(): void {
  const factory = tf.findBackendFactory("webgpu");
  if (factory === null || factory === undefined) return;
  tf.removeBackend("webgpu");
  tf.registerBackend("webgpu", factory, 3);
}
