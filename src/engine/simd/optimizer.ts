/**
 * The numbers that a step of AdamW multiplies with, in float64; the kernels do the rest.
 *
 * @module
 */
import { ADAMW, type OptimizerSettings } from "../engine.ts";
import type { UpdateFactors } from "./network.ts";

/**
 * The factors of one step.
 *
 * @param gradNorm global l2 norm of the gradient
 * @param step number of this step, from 1
 */
export function updateFactors(optimizer: OptimizerSettings, gradNorm: number, step: number): UpdateFactors {
  const { learningRate, weightDecay, clipGradNorm } = optimizer;
  const { beta1, beta2, clipEpsilon } = ADAMW;
  return {
    clipFactor: clipGradNorm === 0 ? 1 : Math.min(1, clipGradNorm / (gradNorm + clipEpsilon)),
    decay: 1 - learningRate * weightDecay,
    stepSize: learningRate / (1 - beta1 ** step),
    correction: 1 / Math.sqrt(1 - beta2 ** step),
  };
}
