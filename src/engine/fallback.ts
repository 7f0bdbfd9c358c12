/**
 * An engine on a device that may fail, with another one to go on with. A GPU can be lost, run out of memory or reject a
 * kernel at any moment, and what was not read back by then is gone. So a copy of the state is kept in main memory, with
 * everything that was done since: when the device fails, the other engine takes the copy, does that again, and goes on.
 * Whoever uses the engine notices nothing but the warning.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { BackendName, NetworkShape, PolicyEngine, StepMetrics, TrainingSegment, TrainingState } from "./engine.ts";
import { type LayerTensors, type WeightSharing, weightTensors } from "./weight_tensors.ts";

const log = getLogger(["rlcf", "engine"]);

/** A change of engine in the middle of the work. */
export interface EngineFallback {
  /** The backend that failed. */
  readonly from: BackendName;
  /** The backend that goes on. */
  readonly to: BackendName;
  /** What the failed one said. */
  readonly reason: string;
  /** Rows that had been trained on before the failing call, over all calls. */
  readonly trainedRows: number;
  /** How many of them were trained on again, because their state was lost with the device. */
  readonly repeatedRows: number;
}

/** How much may be lost. */
export interface FallbackLimits {
  /**
   * Rows trained on after which the state is copied to main memory. A copy costs a read-back of about 10 ms; doing this
   * many rows again costs the CPU some seconds.
   */
  readonly rowsBetweenCopies: number;
  /** Bytes of uploaded sets that are kept for doing again what was trained on them, besides the latest set. */
  readonly keptBytes: number;
}

const LIMITS: FallbackLimits = { rowsBetweenCopies: 2 ** 18, keptBytes: 2 ** 26 };

/** What changed the state, or what it is changed with, since the copy was made. */
type Deed = { readonly upload: Float32Array } | { readonly train: TrainingSegment };

/** An engine that is replaced by another one when its device fails, once. */
export class FallbackEngine implements PolicyEngine, WeightSharing {
  readonly #replace: () => Promise<PolicyEngine>;
  readonly #limits: FallbackLimits;
  readonly #fallbacks: EngineFallback[] = [];
  #engine: PolicyEngine;
  /** The copy; before the first, both engines hold the same fresh weights. */
  #copy: TrainingState | undefined;
  /** What was uploaded when the copy was made. */
  #inputsOfCopy: Float32Array | undefined;
  #inputs: Float32Array | undefined;
  #since: Deed[] = [];
  #rowsSince = 0;
  #bytesSince = 0;
  #trainedRows = 0;

  /**
   * @param engine what to work on, with fresh weights
   * @param replace makes the other engine, with fresh weights too; called at the first failure of the device
   */
  constructor(engine: PolicyEngine, replace: () => Promise<PolicyEngine>, limits: FallbackLimits = LIMITS) {
    this.#engine = engine;
    this.#replace = replace;
    this.#limits = limits;
  }

  /** The backend that is at work now. */
  get backend(): BackendName {
    return this.#engine.backend;
  }

  /** Its device in words. */
  get device(): string {
    return this.#engine.device;
  }

  /** Sizes of the network. */
  get shape(): NetworkShape {
    return this.#engine.shape;
  }

  /** The changes of engine so far: none or one. */
  get fallbacks(): readonly EngineFallback[] {
    return this.#fallbacks;
  }

  /** Replaces parameters, moments and step count. */
  async load(state: TrainingState): Promise<void> {
    await this.#use((engine) => engine.load(state));
    this.#remember(state);
  }

  /** A copy of parameters, moments and step count. */
  async read(worn?: TrainingState): Promise<TrainingState> {
    const state = await this.#use((engine) => engine.read(worn));
    this.#remember(state);
    return state;
  }

  /** Replaces the set that is trained on. */
  async upload(inputsNI: Float32Array): Promise<void> {
    if (this.#isGuarded && this.#rowsSince > 0 && this.#bytesSince > this.#limits.keptBytes) await this.read();
    await this.#use((engine) => engine.upload(inputsNI));
    this.#inputs = inputsNI;
    if (!this.#isGuarded) return;
    if (this.#rowsSince === 0) this.#inputsOfCopy = inputsNI;
    else {
      this.#since.push({ upload: inputsNI });
      this.#bytesSince += inputsNI.byteLength;
    }
  }

  /** Trains; see `PolicyEngine.train`. */
  async train(segment: TrainingSegment): Promise<StepMetrics> {
    const metrics = await this.#use((engine) => engine.train(segment));
    this.#trainedRows += segment.rows.length;
    if (!this.#isGuarded) return metrics;
    this.#since.push({ train: copyOfSegment(segment) });
    this.#rowsSince += segment.rows.length;
    if (this.#rowsSince >= this.#limits.rowsBetweenCopies) await this.read();
    return metrics;
  }

  /** Outputs before any softmax. */
  forward(inputsNI: Float32Array): Promise<Float32Array> {
    return this.#use((engine) => engine.forward(inputsNI));
  }

  /** The weights of the engine at work; see `weightTensors`. */
  weightTensors(): Promise<LayerTensors[]> {
    return this.#use(weightTensors);
  }

  /** Releases the engine at work. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#forget();
    await this.#engine[Symbol.asyncDispose]();
  }

  /** Whether there is still another engine to go on with, so that copies are worth keeping. */
  get #isGuarded(): boolean {
    return this.#fallbacks.length === 0;
  }

  async #use<T>(work: (engine: PolicyEngine) => Promise<T>): Promise<T> {
    try {
      return await work(this.#engine);
    } catch (thrown) {
      if (!this.#isGuarded || !isDeviceFailure(thrown)) throw thrown;
      await this.#fallBack(thrown);
      return await work(this.#engine);
    }
  }

  /** Puts the other engine where the failed one stood before the call that failed. */
  async #fallBack(thrown: unknown): Promise<void> {
    const failed = this.#engine;
    const reason = messageOf(thrown).replaceAll(/\s+/g, " ").trim();
    let engine: PolicyEngine;
    try {
      engine = await this.#replace();
    } catch (second) {
      log.error("the {from} backend failed, and there is no other: {cause}", {
        from: failed.backend,
        cause: messageOf(second),
      });
      throw thrown;
    }
    log.warn(
      "{reason}; going on with {to} ({device}) from the last known state, {rows} episodes are trained on again",
      {
        reason,
        to: engine.backend,
        device: engine.device,
        rows: this.#rowsSince,
      },
    );
    try {
      await this.#redo(engine);
    } catch (second) {
      await engine[Symbol.asyncDispose]();
      throw second;
    }
    this.#fallbacks.push({
      from: failed.backend,
      to: engine.backend,
      reason,
      trainedRows: this.#trainedRows,
      repeatedRows: this.#rowsSince,
    });
    this.#engine = engine;
    this.#forget();
    try {
      await failed[Symbol.asyncDispose]();
    } catch (second) {
      // It failed before; what it could not free goes with the device.
      log.debug("could not release the {from} backend: {cause}", { from: failed.backend, cause: messageOf(second) });
    }
  }

  async #redo(engine: PolicyEngine): Promise<void> {
    if (this.#copy !== undefined) await engine.load(this.#copy);
    if (this.#inputsOfCopy !== undefined) await engine.upload(this.#inputsOfCopy);
    for (const deed of this.#since) {
      if ("upload" in deed) await engine.upload(deed.upload);
      else await engine.train(deed.train);
    }
  }

  /** Takes a state that the engine holds now as the copy. */
  #remember(state: TrainingState): void {
    if (!this.#isGuarded) return;
    this.#forget();
    this.#copy = {
      ...state,
      parameters: state.parameters.slice(),
      firstMoments: state.firstMoments.slice(),
      secondMoments: state.secondMoments.slice(),
    };
    this.#inputsOfCopy = this.#inputs;
  }

  #forget(): void {
    [this.#copy, this.#inputsOfCopy, this.#since] = [undefined, undefined, []];
    [this.#rowsSince, this.#bytesSince] = [0, 0];
  }
}

/** Whether it is the device that failed, and not what it was given. */
function isDeviceFailure(thrown: unknown): boolean {
  return thrown instanceof RlcfError ? thrown.code === "backend" : thrown instanceof DOMException;
}

/** With arrays of its own: the caller may use its arrays again. */
function copyOfSegment(segment: TrainingSegment): TrainingSegment {
  return Object.fromEntries(
    Object.entries(segment).map(([name, value]) => {
      return [name, value instanceof Float32Array || value instanceof Uint32Array ? value.slice() : value];
    }),
  ) as unknown as TrainingSegment;
}
