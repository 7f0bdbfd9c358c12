/**
 * The loss heads in WGSL. `loss/heads.ts` defines what each one means and is what these are tested against. A head is
 * the function `head(b)`: it reads the outputs of row b, writes the gradient at them, and returns what the row adds to the
 * means of loss, entropy, KL estimate and rows outside the clip range.
 *
 * A head sees its row through five functions that the rows kernel brings along: `output(b, e)`, `coefficient(b, e)`,
 * `goal(b)` (the scalar target), `scale(b)` (the sample weight divided by the batch size) and `setError(b, e, value)`;
 * `OUTPUTS` is the number of outputs.
 *
 * @module
 */
import type { LossHeadName } from "../../loss/heads.ts";

/**
 * What a policy head says of a row, as WGSL expressions in `pi`, `logPi`, `given` (the coefficient), `mass` (the sum of the
 * coefficients) and `value`.
 */
interface PolicyRow {
  /** What each output adds to `value`. */
  readonly value: string;
  /** Statements between the sums over the outputs and the gradients, which may set `kl` and `outside`. */
  readonly between?: string;
  /** The loss of the row, before its weight. */
  readonly loss: string;
  /** The gradient at each logit, before the row's weight. */
  readonly gradient: string;
}

/** The heads by name, as in `loss/heads.ts`. */
export const HEADS_WGSL: Readonly<Record<LossHeadName, string>> = {
  policy_gain: policyHead({ value: "pi * given", loss: "-value", gradient: "-pi * (given - value)" }),
  soft_target: policyHead({ value: "-given * logPi", loss: "value", gradient: "mass * pi - given" }),
  // `value` becomes the log ratio: ln pi_a + ln(1 / mu_a). Where the bound holds the smaller value, the gain is 0.
  ppo_actor: policyHead({
    value: "select(0.0, logPi + log(given), given > 0.0)",
    between: /* wgsl */ `
  let ratio = exp(value);
  let bounded = clamp(ratio, 1.0 - step.clipRatio, 1.0 + step.clipRatio);
  let free = ratio * goal(b);
  let gain = select(0.0, free, free <= bounded * goal(b));
  kl = ratio - 1.0 - value;
  outside = select(0.0, 1.0, abs(ratio - 1.0) > step.clipRatio);`,
    loss: "-min(free, bounded * goal(b))",
    gradient: "gain * (pi - select(0.0, 1.0, given > 0.0))",
  }),
  masked_regression: /* wgsl */ `
fn head(b: u32) -> vec4f {
  var predicted = 0.0;
  for (var e = 0u; e < OUTPUTS; e++) { predicted += coefficient(b, e) * output(b, e); }
  let error = predicted - goal(b);
  for (var e = 0u; e < OUTPUTS; e++) { setError(b, e, 2.0 * scale(b) * error * coefficient(b, e)); }
  return vec4f(scale(b) * error * error, 0.0, 0.0, 0.0);
}`,
};

/** What the policy heads share: the softmax of the row, the largest logit subtracted first, and the entropy bonus. */
function policyHead({ value, between = "", loss, gradient }: PolicyRow): string {
  return /* wgsl */ `
fn head(b: u32) -> vec4f {
  var largest = output(b, 0u);
  for (var e = 1u; e < OUTPUTS; e++) { largest = max(largest, output(b, e)); }
  var sum = 0.0;
  for (var e = 0u; e < OUTPUTS; e++) { sum += exp(output(b, e) - largest); }
  let logSum = log(sum);
  var value = 0.0;
  var mass = 0.0;
  var entropy = 0.0;
  var kl = 0.0;
  var outside = 0.0;
  for (var e = 0u; e < OUTPUTS; e++) {
    let logPi = output(b, e) - largest - logSum;
    let pi = exp(logPi);
    let given = coefficient(b, e);
    value += ${value};
    mass += given;
    entropy -= pi * logPi;
  }${between}
  // The bonus adds -c H to the loss; its gradient is c pi (log pi + H).
  let bonus = step.entropyCoef / f32(step.rows);
  for (var e = 0u; e < OUTPUTS; e++) {
    let logPi = output(b, e) - largest - logSum;
    let pi = exp(logPi);
    let given = coefficient(b, e);
    setError(b, e, scale(b) * (${gradient}) + bonus * pi * (logPi + entropy));
  }
  return vec4f(scale(b) * (${loss}) - bonus * entropy, vec3f(entropy, kl, outside) / f32(step.rows));
}`;
}
