/**
 * The few numbers that differ from step to step, as a uniform of 256 bytes (the alignment that every device accepts for
 * dynamic offsets). All steps of a submit are written at once; each dispatch points at its own.
 *
 * @module
 */
import { CLIP_RATIO } from "../../loss/heads.ts";
import { ADAMW, type OptimizerSettings } from "../engine.ts";
import type { Splits } from "./plan.ts";

/** Distance of two steps in the uniform buffer, in bytes. */
export const STEP_STRIDE = 256;

/** Size of the struct below, in bytes. */
export const STEP_BYTES = 48;

/** The struct as kernels see it. */
export const STEP_WGSL = /* wgsl */ `
struct Step {
  rows: u32,           // of the batch
  first: u32,          // first row of the batch among the rows of this submit
  slot: u32,           // where in the ring the measurements go
  splits: u32,         // of the first layer's inputs
  tilesPerSplit: u32,
  stepSize: f32,       // learning rate / (1 - beta1^t)
  correction: f32,     // 1 / sqrt(1 - beta2^t)
  decay: f32,          // 1 - learning rate * weight decay
  clip: f32,           // largest norm of the gradient; 0 is no limit
  entropyCoef: f32,
  clipRatio: f32,      // clip range of ppo_actor
  updates: u32,        // 0 where the step only measures
}`;

/** The numbers of one step; those of the optimizer are absent where nothing is optimised. */
export interface StepNumbers {
  /** Rows of the batch, or of a gathering. */
  readonly rows: number;
  /** The first of them among the rows of the submit. */
  readonly first: number;
  /** Where in the ring the measurements go. */
  readonly slot?: number;
  /** How the first layer's inputs are cut. */
  readonly splits?: Splits;
  /** Number of this optimizer step, from 1. */
  readonly step?: number;
  /** How the gradient becomes new parameters; null where the step only measures. */
  readonly optimizer?: OptimizerSettings | null;
  /** Factor of the entropy bonus. */
  readonly entropyCoef?: number;
  /** Clip range of ppo_actor. */
  readonly clipRatio?: number | undefined;
}

/** Writes a step at its place in the uniform buffer's contents. */
export function writeStep(target: DataView, place: number, numbers: StepNumbers): void {
  const { rows, first, slot = 0, splits, step = 1, optimizer = null, entropyCoef = 0, clipRatio } = numbers;
  const { learningRate, weightDecay, clipGradNorm } = optimizer ?? STANDING;
  const offset = place * STEP_STRIDE;
  target.setUint32(offset, rows, true);
  target.setUint32(offset + 4, first, true);
  target.setUint32(offset + 8, slot, true);
  target.setUint32(offset + 12, splits?.splits ?? 0, true);
  target.setUint32(offset + 16, splits?.tilesPerSplit ?? 0, true);
  target.setFloat32(offset + 20, learningRate / (1 - ADAMW.beta1 ** step), true);
  target.setFloat32(offset + 24, 1 / Math.sqrt(1 - ADAMW.beta2 ** step), true);
  target.setFloat32(offset + 28, 1 - learningRate * weightDecay, true);
  target.setFloat32(offset + 32, clipGradNorm, true);
  target.setFloat32(offset + 36, entropyCoef, true);
  target.setFloat32(offset + 40, clipRatio ?? CLIP_RATIO, true);
  target.setUint32(offset + 44, optimizer === null ? 0 : 1, true);
}

/** Where nothing is optimised. */
const STANDING: OptimizerSettings = { learningRate: 0, weightDecay: 0, clipGradNorm: 0 };
