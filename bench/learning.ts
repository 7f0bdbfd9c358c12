// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * How the settings of learning were chosen: for each variant of the defaults and each log, the true value of the most
 * likely expert on test queries after so many steps, and what stopping at the best estimate on the held-out rows would
 * have given. The rows that a policy is stopped by are those that the gate judges it by.
 *
 *     deno task bench:learning [--logs legal_it,drawn1000] [--variants base,decay_0] [--seeds 2] [--json]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { splitHoldout } from "../src/episodes/holdout.ts";
import { logSupport } from "../src/evaluate/support.ts";
import { estimateValue } from "../src/evaluate/policy_value.ts";
import { heldOutValues } from "../src/evaluate/reward_values.ts";
import { GatingPolicy } from "../src/policy/gating_policy.ts";
import { chooseObjective, type ObjectiveChoice } from "../src/train/objective.ts";
import { SingleStepTrainer } from "../src/train/single_step_trainer.ts";
import { TrainingRun } from "../src/train/training_run.ts";
import { openSource, type Source } from "./learning/sources.ts";

const LOGS = "legal_it,alis,alis_templates,clinc4,drawn1000,drawn10000,mixed10000";
const BATCH_SIZE = 32;
const POINT_EVERY = 100;
const STEPS = 3000;
/** Steps whose values are shown. */
const SHOWN = [300, 900, 3000];

/** What a variant changes. */
interface Variant {
  readonly objective?: ObjectiveChoice;
  readonly hiddenDim?: number;
  readonly inputScale?: number;
  readonly weightDecay?: number;
  readonly entropyCoef?: number;
  readonly learningRate?: number;
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  base: {},
  decay_0: { weightDecay: 0 },
  decay_0_1: { weightDecay: 0.1 },
  decay_1: { weightDecay: 1 },
  unscaled: { inputScale: 1 },
  entropy_0: { entropyCoef: 0 },
  entropy_0_05: { entropyCoef: 0.05 },
  linear: { hiddenDim: 0 },
  reinforce: { objective: "reinforce" },
};

/** The policy after some steps. */
interface Point {
  readonly step: number;
  /** True value on the test queries. */
  readonly truth: number;
  /** Doubly robust (soft logs: direct) estimate of its value on the held-out rows. */
  readonly estimate: number;
}

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    logs: { type: "string", default: LOGS },
    variants: { type: "string", default: Object.keys(VARIANTS).join(",") },
    seeds: { type: "string", default: "2" },
    json: { type: "boolean" },
  },
});

const table: Record<string, Record<string, number>> = {};
const curves: object[] = [];
for (const log of options.logs.split(",")) {
  for (const variant of options.variants.split(",")) {
    const runs: Point[][] = [];
    for (let seed = 1; seed <= Number(options.seeds); seed++) {
      runs.push(await learn(await openSource(log, seed), VARIANTS[variant]!, seed));
    }
    curves.push({ log, variant, runs });
    table[`${log} ${variant}`] = summary(runs);
    console.error(log, variant, JSON.stringify(table[`${log} ${variant}`]));
  }
}
if (options.json) console.log(JSON.stringify({ batch_size: BATCH_SIZE, steps: STEPS, curves }));
else console.table(table);

/** One training run, looked at every {@link POINT_EVERY} steps. */
async function learn(source: Source, variant: Variant, seed: number): Promise<Point[]> {
  const { episodes, testNI } = source;
  const { training, holdout } = splitHoldout(episodes, 0.2, 5);
  const holdoutNI = new Float32Array(holdout.length * episodes.inputDim);
  for (const [i, row] of holdout.entries()) {
    holdoutNI.set(
      episodes.embeddings.subarray(row * episodes.inputDim, (row + 1) * episodes.inputDim),
      i * episodes.inputDim,
    );
  }
  const support = logSupport(episodes);
  await using policy = await GatingPolicy.create({
    inputDim: episodes.inputDim,
    hiddenDim: variant.hiddenDim ?? 256,
    experts: episodes.experts,
    seed,
    backend: "simd",
    ...(variant.inputScale === undefined ? {} : { inputScale: variant.inputScale }),
  });
  const { learningRate = 1e-4, weightDecay = 0.01, entropyCoef = 0.01 } = variant;
  const trainer = new SingleStepTrainer({ policy, config: { learningRate, weightDecay, entropyCoef } });
  const stepsOfPass = Math.ceil(training.length / BATCH_SIZE);
  const run = await TrainingRun.start({
    trainer,
    episodes,
    trainingRows: training,
    objective: chooseObjective(variant.objective ?? "auto", episodes).objective,
    epochs: Math.ceil(STEPS / stepsOfPass),
    batchSize: BATCH_SIZE,
    seed,
  });
  const valuesNE = await heldOutValues(episodes, training, holdout, run.rewardModel);
  const points: Point[] = [];
  for (let steps = 0; steps < STEPS && !run.done;) {
    const due = POINT_EVERY - steps % POINT_EVERY;
    steps += (await run.advance(due * BATCH_SIZE)).loss.length;
    if (steps % POINT_EVERY !== 0) continue;
    const routed = (await policy.forward(holdoutNI)).weights;
    const value = estimateValue(episodes, holdout, routed, { support, valuesNE, seed });
    const truth = source.value((await policy.forward(testNI)).weights);
    points.push({ step: steps, truth, estimate: value.doubly_robust ?? value.direct! });
  }
  return points;
}

/** Means over the seeds: after fixed numbers of steps, stopped by the estimate, and the best that could be had. */
function summary(runs: readonly Point[][]): Record<string, number> {
  const mean = (pick: (points: Point[]) => number): number =>
    Math.round(1000 * runs.reduce((sum, points) => sum + pick(points), 0) / runs.length) / 1000;
  const best = (points: Point[], of: (point: Point) => number): Point => points.reduce((a, b) => of(b) > of(a) ? b : a);
  return {
    ...Object.fromEntries(
      SHOWN.map((step) => [`${step} steps`, mean((points) => points.find((point) => point.step === step)!.truth)]),
    ),
    "stopped by estimate": mean((points) => best(points, (point) => point.estimate).truth),
    "at step": Math.round(mean((points) => best(points, (point) => point.estimate).step)),
    "best": mean((points) => best(points, (point) => point.truth).truth),
  };
}
