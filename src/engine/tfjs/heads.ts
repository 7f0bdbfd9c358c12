/**
 * The loss heads as tensor operations. `loss/heads.ts` defines what each one means and is what these are tested
 * against; here the same formulas run over a whole batch at once, gradients included.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { CLIP_RATIO, type LossHeadName } from "../../loss/heads.ts";

/** The columns of one batch on the device. */
export interface TensorBatch {
  /** [B, E] the head's coefficients. */
  readonly coefficientsBE: tf.Tensor2D;
  /** [B, 1] the head's scalar targets. */
  readonly targetsB1: tf.Tensor2D;
  /** [B, 1] weight of each row, divided by B: sums over rows are then means. */
  readonly scaleB1: tf.Tensor2D;
  /** Factor of the entropy bonus. */
  readonly entropyCoef: number;
  /** Clip range of ppo_actor. */
  readonly clipRatio?: number | undefined;
}

/** What a head measured, and the gradient that it passes down. */
export interface TensorHeadValue {
  /** Mean loss, entropy bonus included. */
  readonly loss: tf.Scalar;
  /** Mean entropy in nats; 0 for heads that are not policies. */
  readonly entropy: tf.Scalar;
  /** Mean estimate of KL(logged policy, policy) in nats (ppo_actor); absent where it is 0. */
  readonly kl?: tf.Scalar;
  /** Share of the rows outside the clip range (ppo_actor); absent where it is 0. */
  readonly clipFraction?: tf.Scalar;
  /** [B, E] gradient of the loss at the outputs. */
  readonly gradientBE: tf.Tensor2D;
}

/** A loss head on the device: takes outputs [B, E]. */
export type TensorHead = (outputsBE: tf.Tensor2D, batch: TensorBatch) => TensorHeadValue;

const policyGain: TensorHead = (logitsBE, batch) => {
  const { piBE, logPiBE } = softmax(logitsBE);
  const gainB1 = sumRows(tf.mul(piBE, batch.coefficientsBE));
  return withEntropyBonus(piBE, logPiBE, batch.entropyCoef, {
    loss: tf.neg(tf.sum(tf.mul(batch.scaleB1, gainB1))),
    gradientBE: tf.mul(tf.neg(batch.scaleB1), tf.mul(piBE, tf.sub(batch.coefficientsBE, gainB1))),
  });
};

const softTarget: TensorHead = (logitsBE, batch) => {
  const { piBE, logPiBE } = softmax(logitsBE);
  const massB1 = sumRows(batch.coefficientsBE);
  const crossEntropyB1 = tf.neg(sumRows(tf.mul(batch.coefficientsBE, logPiBE)));
  return withEntropyBonus(piBE, logPiBE, batch.entropyCoef, {
    loss: tf.sum(tf.mul(batch.scaleB1, crossEntropyB1)),
    gradientBE: tf.mul(batch.scaleB1, tf.sub(tf.mul(massB1, piBE), batch.coefficientsBE)),
  });
};

const maskedRegression: TensorHead = (valuesBE, batch) => {
  const errorB1 = tf.sub(sumRows(tf.mul(batch.coefficientsBE, valuesBE)), batch.targetsB1);
  const weightedB1 = tf.mul(batch.scaleB1, errorB1);
  return {
    loss: tf.sum(tf.mul(weightedB1, errorB1)),
    entropy: tf.scalar(0),
    gradientBE: tf.mul(tf.mul(weightedB1, 2), batch.coefficientsBE),
  };
};

const ppoActor: TensorHead = (logitsBE, batch) => {
  const { clipRatio = CLIP_RATIO, targetsB1: advantageB1 } = batch;
  const { piBE, logPiBE } = softmax(logitsBE);
  const inverseB1 = sumRows(batch.coefficientsBE);
  const takenBE = tf.div(batch.coefficientsBE, inverseB1);
  const logRatioB1 = tf.add(sumRows(tf.mul(takenBE, logPiBE)), tf.log(inverseB1));
  const ratioB1 = tf.exp(logRatioB1);
  const freeB1 = tf.mul(ratioB1, advantageB1);
  const boundedB1 = tf.mul(tf.clipByValue(ratioB1, 1 - clipRatio, 1 + clipRatio), advantageB1);
  // Where the bound holds the smaller value, the loss no longer depends on the policy.
  const gainB1 = tf.mul(freeB1, tf.cast(tf.lessEqual(freeB1, boundedB1), "float32"));
  const value = withEntropyBonus(piBE, logPiBE, batch.entropyCoef, {
    loss: tf.neg(tf.sum(tf.mul(batch.scaleB1, tf.minimum(freeB1, boundedB1)))),
    gradientBE: tf.mul(tf.mul(batch.scaleB1, gainB1), tf.sub(piBE, takenBE)),
  });
  const distanceB1 = tf.abs(tf.sub(ratioB1, 1));
  return {
    ...value,
    kl: tf.mean(tf.sub(tf.sub(ratioB1, 1), logRatioB1)),
    clipFraction: tf.mean(tf.cast(tf.greater(distanceB1, clipRatio), "float32")),
  };
};

/** The heads by name, as in `loss/heads.ts`. */
export const TENSOR_HEADS: Readonly<Record<LossHeadName, TensorHead>> = {
  policy_gain: policyGain,
  soft_target: softTarget,
  masked_regression: maskedRegression,
  ppo_actor: ppoActor,
};

/** softmax and log softmax of each row; the largest logit is subtracted first. */
function softmax(logitsBE: tf.Tensor2D): { readonly piBE: tf.Tensor2D; readonly logPiBE: tf.Tensor2D } {
  const shiftedBE = tf.sub(logitsBE, tf.max(logitsBE, 1, true));
  const logPiBE = tf.sub<tf.Tensor2D>(shiftedBE, tf.log(sumRows(tf.exp(shiftedBE))));
  return { piBE: tf.exp(logPiBE), logPiBE };
}

/** Adds `-c mean H(pi)` to a policy's loss, and its gradient `c/B pi (log pi + H)`. */
function withEntropyBonus(
  piBE: tf.Tensor2D,
  logPiBE: tf.Tensor2D,
  entropyCoef: number,
  policy: { readonly loss: tf.Scalar; readonly gradientBE: tf.Tensor },
): TensorHeadValue {
  const entropyB1 = tf.neg(sumRows(tf.mul(piBE, logPiBE)));
  const entropy = tf.mean<tf.Scalar>(entropyB1);
  const bonusBE = tf.mul(tf.mul(piBE, tf.add(logPiBE, entropyB1)), entropyCoef / piBE.shape[0]);
  return {
    loss: tf.sub(policy.loss, tf.mul(entropy, entropyCoef)),
    entropy,
    gradientBE: tf.add(policy.gradientBE, bonusBE),
  };
}

function sumRows(valuesBE: tf.Tensor): tf.Tensor2D {
  return tf.sum<tf.Tensor2D>(valuesBE, 1, true);
}
