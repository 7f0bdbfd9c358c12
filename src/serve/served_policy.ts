/**
 * One version of the policy while it is served.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { EngineEntry } from "../engine/create.ts";
import type { BackendName } from "../engine/engine.ts";
import type { GatingPolicy } from "../policy/gating_policy.ts";
import { openPolicy, readStoredPolicy } from "../session/open_policy.ts";
import type { PolicyCheckpoint } from "../store/persistence.ts";
import { MicroBatcher } from "./micro_batch.ts";

/** Where versions are read from, and what computes them. */
export interface PolicySource {
  /** The checkpoint directory. */
  readonly root: string;
  /** Where to compute. */
  readonly backend: BackendName | "auto";
  /** The engines to choose from; those of this build by default. */
  readonly engines?: readonly EngineEntry[] | undefined;
}

/** A loaded version. */
export class ServedPolicy {
  /** Its row. */
  readonly checkpoint: PolicyCheckpoint;
  /** When it was loaded, ISO 8601. */
  readonly loadedAt: string = new Date().toISOString();
  readonly #policy: GatingPolicy;
  readonly #batcher: MicroBatcher;

  private constructor(checkpoint: PolicyCheckpoint, policy: GatingPolicy, onForward: () => void) {
    this.checkpoint = checkpoint;
    this.#policy = policy;
    this.#batcher = new MicroBatcher((inputs) => {
      onForward();
      return policy.engine.forward(inputs);
    }, policy.shape);
  }

  /**
   * Reads, verifies and tries a version.
   *
   * @param onForward called for each call of the network
   * @throws RlcfError("checkpoint") if it is missing, does not match its hashes or computes no numbers
   */
  static async load(
    checkpoint: PolicyCheckpoint,
    { root, backend, engines }: PolicySource,
    onForward: () => void = () => {},
  ): Promise<ServedPolicy> {
    const { saved } = await readStoredPolicy(checkpoint, root);
    const policy = await openPolicy(saved, backend, engines);
    try {
      // Also lets the engine do now what it does at its first call only.
      const outputs = await policy.engine.forward(new Float32Array(policy.shape.inputDim));
      if (!outputs.every(Number.isFinite)) {
        throw new RlcfError(
          "checkpoint",
          `cannot serve ${checkpoint.version}: its network computes ${[...outputs].join(", ")}, wanted finite numbers`,
        );
      }
    } catch (thrown) {
      await policy.close();
      throw thrown;
    }
    return new ServedPolicy(checkpoint, policy, onForward);
  }

  /** E.g. `v1.0.1`. */
  get version(): string {
    return this.checkpoint.version;
  }

  /** Names of the experts in the order of the outputs. */
  get experts(): readonly string[] {
    return this.#policy.experts;
  }

  /** Length of an embedding. */
  get inputDim(): number {
    return this.#policy.shape.inputDim;
  }

  /** Width of the hidden layer. */
  get hiddenDim(): number {
    return this.#policy.shape.hiddenDim;
  }

  /** What computes it now. */
  get backend(): BackendName {
    return this.#policy.engine.backend;
  }

  /** Logits [n, experts] of embeddings [n, inputDim]. */
  forward(embeddings: Float32Array): Promise<Float32Array> {
    return this.#batcher.run(embeddings);
  }

  /** Answers all who wait, then releases the engine. */
  async close(): Promise<void> {
    await this.#batcher.idle();
    await this.#policy.close();
  }
}
