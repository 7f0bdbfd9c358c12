/**
 * What every engine can do: hold one multilayer perceptron, run it forward, and train it on uploaded inputs.
 *
 * The network is `inputDim -> hiddenDim -> floor(hiddenDim / 2) -> outputs` with ReLU between the layers, or one
 * linear layer where hiddenDim is 0. Everything that crosses this boundary is a flat row-major Float32Array in torch's
 * layout (`weight [out, in]`), so that checkpoints and tests never see a tensor library.
 *
 * Index letters: N rows of the uploaded set, M visited rows of one call, B rows of a batch, E outputs (experts),
 * I inputs, P parameters.
 *
 * @module
 */
import type { LossHeadName } from "../loss/heads.ts";

/** The backends a user can ask for; `simd` and the three backends of TensorFlow.js. */
export type BackendName = "webgpu" | "simd" | "wasm" | "cpu";

/** The sizes of the network, and the factor by which every input is multiplied before the first layer. */
export interface NetworkShape {
  /** Length of an input vector, at least 1. */
  readonly inputDim: number;
  /** Width of the first hidden layer: 0 (linear network) or at least 2. The second is half as wide. */
  readonly hiddenDim: number;
  /** Number of outputs, at least 1. */
  readonly outputs: number;
  /**
   * Factor on the inputs. Unit-length embeddings have entries near 1/sqrt(inputDim), too small for the default
   * initialisation; a power of two keeps folding it into the exported first layer exact in float32.
   */
  readonly inputScale: number;
}

/** All that training changes inside an engine: the parameters and the moments of AdamW. */
export interface TrainingState {
  /** The network that the arrays belong to. */
  readonly shape: NetworkShape;
  /** [P] every layer's weight [out, in] then its bias, first layer first; not multiplied by inputScale. */
  readonly parameters: Float32Array;
  /** [P] exponential mean of the gradients. */
  readonly firstMoments: Float32Array;
  /** [P] exponential mean of the squared gradients. */
  readonly secondMoments: Float32Array;
  /** Number of optimizer steps taken so far. */
  readonly step: number;
}

/** How one optimizer step turns a gradient into new parameters. AdamW: Loshchilov and Hutter, 2019. */
export interface OptimizerSettings {
  /** Step size, above 0. */
  readonly learningRate: number;
  /** Decoupled weight decay, applied to weights and biases. */
  readonly weightDecay: number;
  /** Largest global l2 norm of the gradient; larger ones are scaled down. 0 switches clipping off. */
  readonly clipGradNorm: number;
}

/** AdamW's constants, the same in every engine (PyTorch's defaults). */
export const ADAMW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clipEpsilon: 1e-6 } as const;

/**
 * A run of consecutive steps over uploaded rows. All per-row columns are in visiting order, so that a gain may differ
 * from one visit of a row to the next (the baseline moves).
 */
export interface TrainingSegment {
  /** Which loss is minimised; `loss/heads.ts` defines what the columns mean to it. */
  readonly head: LossHeadName;
  /** [M] rows of the uploaded inputs, in visiting order. */
  readonly rows: Uint32Array;
  /** [M, E] the head's coefficients: gains, soft targets, the mixture of a regression, or PPO's actions. */
  readonly coefficients: Float32Array;
  /** [M] the head's scalar targets (only masked_regression and ppo_actor read them). */
  readonly targets: Float32Array;
  /** [M] weight of each row in the mean loss. */
  readonly sampleWeights: Float32Array;
  /** Rows per step; the last step takes what is left. */
  readonly batchSize: number;
  /** Factor of the entropy bonus (policy heads only). */
  readonly entropyCoef: number;
  /** Clip range of ppo_actor, above 0; 0.2 by default. Other heads do not read it. */
  readonly clipRatio?: number | undefined;
  /**
   * The same for every step of the segment. Null only measures: no parameter, moment or step count changes. That is how
   * a trainer of several networks learns all their gradients' norms before it clips them together.
   */
  readonly optimizer: OptimizerSettings | null;
}

/** What the steps of a segment measured, one entry per step, each before the step's update. */
export interface StepMetrics {
  /** [steps] the whole loss. */
  readonly loss: Float32Array;
  /** [steps] mean entropy of the policy in nats; 0 for heads that are not policies. */
  readonly entropy: Float32Array;
  /** [steps] global l2 norm of the gradient before clipping. */
  readonly gradNorm: Float32Array;
  /** [steps] mean estimate of KL(logged policy, policy) in nats; 0 for heads other than ppo_actor. */
  readonly kl: Float32Array;
  /** [steps] share of the rows outside the clip range; 0 for heads other than ppo_actor. */
  readonly clipFraction: Float32Array;
}

/** One network on one device. Not safe for concurrent calls: await each before the next. */
export interface PolicyEngine extends AsyncDisposable {
  /** The name by which this engine is asked for. */
  readonly backend: BackendName;
  /** The device in words, e.g. `llvmpipe (software)` or `2 cores, relaxed SIMD`. */
  readonly device: string;
  /** Sizes of the network it holds; fixed when it is made. */
  readonly shape: NetworkShape;
  /** Replaces parameters, moments and step count. Throws when the shape differs from the engine's. */
  load(state: TrainingState): Promise<void>;
  /**
   * A copy of parameters, moments and step count as they are now.
   *
   * @param worn a state of this shape that nobody looks at any more: its arrays may be written over and returned. New
   * memory can cost ten times what the copy does
   */
  read(worn?: TrainingState): Promise<TrainingState>;
  /** Replaces the set that {@link train} visits: inputs [N, I], unscaled. The engine may keep or copy the array. */
  upload(inputsNI: Float32Array): Promise<void>;
  /** Runs ceil(M / batchSize) steps over the uploaded inputs and returns what each measured. */
  train(segment: TrainingSegment): Promise<StepMetrics>;
  /** Outputs before any softmax, [n, E], of inputs [n, I]. */
  forward(inputsNI: Float32Array): Promise<Float32Array>;
}
