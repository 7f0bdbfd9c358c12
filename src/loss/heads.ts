/**
 * Loss heads: what is minimised, as pure functions of the network's outputs. Each returns the mean loss of a batch and
 * writes its gradient with respect to the outputs; what lies below the outputs is the engine's affair.
 *
 * Index letters: B rows of the batch, E outputs (experts). Sums and means run in float64 whatever the arrays are.
 *
 * @module
 */

/** Names of the loss heads. */
export type LossHeadName = "policy_gain" | "soft_target" | "masked_regression" | "ppo_actor";

/** Any array of floats: Float32Array in the engines, Float64Array in the tests' reference. */
export type Floats = Float32Array | Float64Array;

/** The columns of one batch as a head sees them. */
export interface HeadBatch {
  /** Number of rows B. */
  readonly size: number;
  /** Number of outputs E. */
  readonly outputs: number;
  /** [B, E] what each output is worth; the head says how. */
  readonly coefficientsBE: Floats;
  /** [B] scalar of each row: the target of masked_regression, the advantage of ppo_actor. */
  readonly targetsB: Floats;
  /** [B] weight of each row in the mean. */
  readonly sampleWeightsB: Floats;
  /** Factor of the entropy bonus (policy heads). */
  readonly entropyCoef: number;
  /** How far a probability may move, as a share of the logged one (ppo_actor); {@link CLIP_RATIO} by default. */
  readonly clipRatio?: number | undefined;
}

/** The clip range of ppo_actor where none is given: the one that Schulman et al. (2017) found best. */
export const CLIP_RATIO = 0.2;

/** What a head measured on a batch. */
export interface HeadValue {
  /** Mean loss, entropy bonus included. */
  readonly loss: number;
  /** Mean entropy of softmax(outputs) in nats; 0 for heads that are not policies. */
  readonly entropy: number;
  /** Mean estimate of KL(logged policy, pi) in nats (ppo_actor); 0 for other heads. */
  readonly kl: number;
  /** Share of the rows whose probability has left the clip range (ppo_actor); 0 for other heads. */
  readonly clipFraction: number;
}

/** A loss: reads outputs [B, E] and a batch, writes d loss / d outputs [B, E]. */
export type LossHead = (outputsBE: Floats, batch: HeadBatch, gradientBE: Floats) => HeadValue;

/**
 * `-mean_i w_i sum_e pi_e(x_i) G_ie - c mean_i H(pi(x_i))`, the expected gain of the policy plus an entropy bonus.
 *
 * With `G_ie = 1{e = a_i} A_i / mu_{a_i}` its gradient is that of REINFORCE (Williams, 1992) with importance weighting;
 * with a reward model's values it is the direct method (Dudik, Langford, Li, 2011). Bounded in pi, so a single
 * episode cannot make it explode as the log-likelihood form can.
 */
export const policyGain: LossHead = (outputsBE, batch, gradientBE) =>
  policyHead(outputsBE, batch, gradientBE, (piE, _logPiE, coefficientsE, scale, gradientE) => {
    let gain = 0;
    for (let e = 0; e < piE.length; e++) gain += piE[e]! * coefficientsE[e]!;
    for (let e = 0; e < piE.length; e++) gradientE[e] = -scale * piE[e]! * (coefficientsE[e]! - gain);
    return -scale * gain;
  });

/**
 * `-mean_i w_i sum_e T_ie log pi_e(x_i) - c mean_i H(pi(x_i))` with `T_ie = A_i u_ie`: the original's formula, a
 * cross entropy towards the logged mixture u weighted by the advantage A. Kept for parity; on traces of the policy's
 * own softmax its policy gradient is zero whatever the reward.
 */
export const softTarget: LossHead = (outputsBE, batch, gradientBE) =>
  policyHead(outputsBE, batch, gradientBE, (piE, logPiE, coefficientsE, scale, gradientE) => {
    let [loss, mass] = [0, 0];
    for (let e = 0; e < piE.length; e++) {
      loss -= coefficientsE[e]! * logPiE[e]!;
      mass += coefficientsE[e]!;
    }
    for (let e = 0; e < piE.length; e++) gradientE[e] = -scale * (coefficientsE[e]! - mass * piE[e]!);
    return scale * loss;
  });

/**
 * `mean_i w_i (t_i - sum_e u_ie q_e(x_i))^2`: a reward model q fitted to rewards of mixtures u. A one-hot u is a drawn
 * expert. The outputs are values, not logits; there is no entropy.
 */
export const maskedRegression: LossHead = (outputsBE, batch, gradientBE) => {
  const { size, outputs, coefficientsBE, targetsB, sampleWeightsB } = batch;
  let loss = 0;
  for (let b = 0; b < size; b++) {
    const scale = sampleWeightsB[b]! / size;
    let predicted = 0;
    for (let k = b * outputs; k < (b + 1) * outputs; k++) predicted += coefficientsBE[k]! * outputsBE[k]!;
    const error = predicted - targetsB[b]!;
    loss += scale * error * error;
    for (let k = b * outputs; k < (b + 1) * outputs; k++) gradientBE[k] = 2 * scale * error * coefficientsBE[k]!;
  }
  return { loss, entropy: 0, kl: 0, clipFraction: 0 };
};

/**
 * `-mean_i w_i min(rho_i A_i, clamp(rho_i, 1 - eps, 1 + eps) A_i) - c mean_i H(pi(x_i))`, PPO's clipped surrogate
 * (Schulman et al., 2017, eq. 7), with `rho = pi_a / mu_a` the new probability of the logged action over the logged one.
 *
 * The coefficients are one-hot: `1 / mu_a` at the action, so that `rho = sum_e pi_e c_e`; the targets are the advantages A.
 * Also measures `mean_i (rho_i - 1) - ln rho_i`, an unbiased estimate of KL(mu, pi) that is never negative (Schulman, 2020,
 * "Approximating KL divergence", k3), and the share of rows with `|rho - 1| > eps`.
 */
export const ppoActor: LossHead = (outputsBE, batch, gradientBE) => {
  const { size, targetsB, clipRatio = CLIP_RATIO } = batch;
  let [divergence, clipped] = [0, 0];
  const value = policyHead(outputsBE, batch, gradientBE, (piE, logPiE, inverseE, scale, gradientE, b) => {
    let logRatio = 0;
    for (let e = 0; e < piE.length; e++) if (inverseE[e] !== 0) logRatio = logPiE[e]! + Math.log(inverseE[e]!);
    const ratio = Math.exp(logRatio);
    const advantage = targetsB[b]!;
    const bounded = Math.min(Math.max(ratio, 1 - clipRatio), 1 + clipRatio);
    // Where the bound holds the smaller value, the loss no longer depends on the policy.
    const gain = ratio * advantage <= bounded * advantage ? ratio * advantage : 0;
    for (let e = 0; e < piE.length; e++) gradientE[e] = scale * gain * (piE[e]! - (inverseE[e] !== 0 ? 1 : 0));
    divergence += ratio - 1 - logRatio;
    if (Math.abs(ratio - 1) > clipRatio) clipped++;
    return -scale * Math.min(ratio * advantage, bounded * advantage);
  });
  return { ...value, kl: divergence / size, clipFraction: clipped / size };
};

/** The heads by name. */
export const LOSS_HEADS: Readonly<Record<LossHeadName, LossHead>> = {
  policy_gain: policyGain,
  soft_target: softTarget,
  masked_regression: maskedRegression,
  ppo_actor: ppoActor,
};

/** One row's policy loss: writes its gradient at the logits and returns its part of the mean. */
type PolicyRow = (
  piE: Float64Array,
  logPiE: Float64Array,
  coefficientsE: Floats,
  scale: number,
  gradientE: Float64Array,
  b: number,
) => number;

/** What the policy heads share: the softmax of each row, and the entropy bonus with its gradient. */
function policyHead(logitsBE: Floats, batch: HeadBatch, gradientBE: Floats, row: PolicyRow): HeadValue {
  const { size, outputs, coefficientsBE, sampleWeightsB, entropyCoef } = batch;
  const [piE, logPiE, gradientE] = [0, 1, 2].map(() => new Float64Array(outputs)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  let [loss, entropySum] = [0, 0];
  for (let b = 0; b < size; b++) {
    const start = b * outputs;
    logSoftmax(logitsBE.subarray(start, start + outputs), piE, logPiE);
    loss += row(
      piE,
      logPiE,
      coefficientsBE.subarray(start, start + outputs),
      sampleWeightsB[b]! / size,
      gradientE,
      b,
    );
    let entropy = 0;
    for (let e = 0; e < outputs; e++) entropy -= piE[e]! * logPiE[e]!;
    entropySum += entropy;
    // d(-c H)/d logit_e = c pi_e (log pi_e + H)
    for (let e = 0; e < outputs; e++) {
      gradientBE[start + e] = gradientE[e]! + (entropyCoef / size) * piE[e]! * (logPiE[e]! + entropy);
    }
  }
  const entropy = entropySum / size;
  return { loss: loss - entropyCoef * entropy, entropy, kl: 0, clipFraction: 0 };
}

/** softmax and log softmax of one row, written to pi and logPi; the largest logit is subtracted first. */
export function logSoftmax(logitsE: ArrayLike<number>, piE: Floats, logPiE: Floats): void {
  let max = -Infinity;
  for (let e = 0; e < logitsE.length; e++) max = Math.max(max, logitsE[e]!);
  let sum = 0;
  for (let e = 0; e < logitsE.length; e++) sum += Math.exp(logitsE[e]! - max);
  const logSum = Math.log(sum);
  for (let e = 0; e < logitsE.length; e++) {
    // In this order: beside a huge maximum the logarithm of the sum would be rounded away.
    logPiE[e] = logitsE[e]! - max - logSum;
    piE[e] = Math.exp(logPiE[e]!);
  }
}
