/**
 * The oracle of the engine tests: the semantics of `PolicyEngine` in float64.
 *
 * @module
 */
import {
  ADAMW,
  type NetworkShape,
  type OptimizerSettings,
  type PolicyEngine,
  type StepMetrics,
  type TrainingSegment,
  type TrainingState,
} from "../../src/engine/engine.ts";
import { checkState, parameterCount } from "../../src/engine/network.ts";
import type { HeadValue } from "../../src/loss/heads.ts";
import { norm } from "./numbers.ts";
import { referenceForward, referenceGradient } from "./reference_network.ts";

/** What one step measured. */
type MeasuredStep = HeadValue & { readonly gradNorm: number };

/** The reference as an engine; float64 inside, rounded only where the interface asks for float32. */
export class ReferenceEngine implements PolicyEngine {
  readonly backend = "cpu";
  readonly device = "float64 reference";
  /** [P] parameters. */
  parameters: Float64Array;
  /** [P] AdamW's first moments. */
  firstMoments: Float64Array;
  /** [P] AdamW's second moments. */
  secondMoments: Float64Array;
  /** Smallest distance of a hidden unit from the kink of its ReLU in any step so far. */
  kinkMargin = Infinity;
  /** Smallest share of a regression's errors in what they are differences of, in any step so far. */
  residualShare = Infinity;
  #step = 0;
  #inputsNI = new Float32Array(0);

  constructor(readonly shape: NetworkShape) {
    const zeros = (): Float64Array => new Float64Array(parameterCount(shape));
    [this.parameters, this.firstMoments, this.secondMoments] = [zeros(), zeros(), zeros()];
  }

  load(state: TrainingState): Promise<void> {
    checkState(state, this.shape);
    this.parameters = Float64Array.from(state.parameters);
    this.firstMoments = Float64Array.from(state.firstMoments);
    this.secondMoments = Float64Array.from(state.secondMoments);
    this.#step = state.step;
    return Promise.resolve();
  }

  read(): Promise<TrainingState> {
    return Promise.resolve({
      shape: this.shape,
      parameters: Float32Array.from(this.parameters),
      firstMoments: Float32Array.from(this.firstMoments),
      secondMoments: Float32Array.from(this.secondMoments),
      step: this.#step,
    });
  }

  upload(inputsNI: Float32Array): Promise<void> {
    this.#inputsNI = Float32Array.from(inputsNI);
    return Promise.resolve();
  }

  train(segment: TrainingSegment): Promise<StepMetrics> {
    const measured: MeasuredStep[] = [];
    for (let start = 0; start < segment.rows.length; start += segment.batchSize) {
      measured.push(this.#trainStep(segment, start, Math.min(start + segment.batchSize, segment.rows.length)));
    }
    const column = (name: keyof MeasuredStep): Float32Array => Float32Array.from(measured, (step) => step[name]);
    return Promise.resolve({
      loss: column("loss"),
      entropy: column("entropy"),
      gradNorm: column("gradNorm"),
      kl: column("kl"),
      clipFraction: column("clipFraction"),
    });
  }

  forward(inputsNI: Float32Array): Promise<Float32Array> {
    const { activations } = referenceForward(this.shape, this.parameters, inputsNI);
    return Promise.resolve(Float32Array.from(activations.at(-1)!));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #trainStep(
    segment: TrainingSegment,
    start: number,
    end: number,
  ): MeasuredStep {
    const { inputDim, outputs } = this.shape;
    const inputsBI = new Float32Array((end - start) * inputDim);
    for (const [b, row] of segment.rows.subarray(start, end).entries()) {
      inputsBI.set(this.#inputsNI.subarray(row * inputDim, (row + 1) * inputDim), b * inputDim);
    }
    const { gradientP, kinkMargin, residualShare, ...measured } = referenceGradient(this.shape, this.parameters, {
      head: segment.head,
      inputsBI,
      size: end - start,
      outputs,
      coefficientsBE: segment.coefficients.subarray(start * outputs, end * outputs),
      targetsB: segment.targets.subarray(start, end),
      sampleWeightsB: segment.sampleWeights.subarray(start, end),
      entropyCoef: segment.entropyCoef,
      clipRatio: segment.clipRatio,
    });
    this.kinkMargin = Math.min(this.kinkMargin, kinkMargin);
    this.residualShare = Math.min(this.residualShare, residualShare);
    const gradNorm = norm(gradientP);
    if (segment.optimizer !== null) this.#adamW(gradientP, gradNorm, segment.optimizer);
    return { ...measured, gradNorm };
  }

  #adamW(gradientP: Float64Array, gradNorm: number, optimizer: OptimizerSettings): void {
    const { beta1, beta2, epsilon, clipEpsilon } = ADAMW;
    const { learningRate, weightDecay, clipGradNorm } = optimizer;
    const factor = clipGradNorm === 0 ? 1 : Math.min(1, clipGradNorm / (gradNorm + clipEpsilon));
    this.#step++;
    const [correction1, correction2] = [1 - beta1 ** this.#step, 1 - beta2 ** this.#step];
    for (let p = 0; p < gradientP.length; p++) {
      const gradient = factor * gradientP[p]!;
      const m = this.firstMoments[p] = beta1 * this.firstMoments[p]! + (1 - beta1) * gradient;
      const v = this.secondMoments[p] = beta2 * this.secondMoments[p]! + (1 - beta2) * gradient * gradient;
      const mHat = m / correction1;
      const vHat = v / correction2;
      const decayed = this.parameters[p]! - learningRate * weightDecay * this.parameters[p]!;
      this.parameters[p] = decayed - learningRate * mHat / (Math.sqrt(vHat) + epsilon);
    }
  }
}
