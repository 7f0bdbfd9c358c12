// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * Whether the estimates for agents can be believed: their error and the coverage of their 95% intervals against the
 * simulated truth, and how often the gate promotes an agent that is worse than the active one.
 *
 *     deno task bench:react-coverage [--logs 60] [--json]
 *
 * In each log the active agent plays 600 episodes. A candidate learns from the first half, from the scores or from their
 * opposite, a little or a lot; the second half judges it. The truth is its mean return over 6,000 fresh episodes.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { type TrajectorySet, TrajectorySetBuilder } from "../src/episodes/trajectory_set.ts";
import { TRAJECTORY_ESTIMATORS, type TrajectoryValue } from "../src/evaluate/trajectory_value.ts";
import { ReActPolicy } from "../src/policy/react_policy.ts";
import { actIn, evaluateActing } from "../src/session/trajectory_evaluation.ts";
import { play } from "../src/simulate/react_training.ts";
import { ReActWorld } from "../src/simulate/react_world.ts";
import { reactEpisode } from "../src/trace/react_episode.ts";
import { PpoTrainer } from "../src/train/ppo_trainer.ts";

const { values: options } = parseArgs({
  args: Deno.args,
  options: { logs: { type: "string", default: "60" }, json: { type: "boolean" } },
});
const LOGS = Number(options.logs);
const SIZES = { stateDim: 16, hiddenDim: 16, seed: 0, backend: "simd" } as const;
const [EPISODES, TRUTH_EPISODES] = [600, 6000];

/** How a candidate learns: from the scores, or from their opposite, which makes it worse. */
const CANDIDATES = [
  { name: "a little better", learningRate: 0.003, numEpochs: 4, opposite: false },
  { name: "much changed", learningRate: 0.03, numEpochs: 30, opposite: false },
  { name: "a little worse", learningRate: 0.003, numEpochs: 4, opposite: true },
  { name: "much changed, worse", learningRate: 0.03, numEpochs: 30, opposite: true },
] as const;

await using active = await ReActPolicy.create(SIZES);
const activeTruth = await truthOf(active, 0);
const results = [];
for (const candidate of CANDIDATES) results.push(await measure(candidate));
if (options.json) console.log(JSON.stringify(results));
else for (const result of results) console.log(result);

/** A world of which a number of questions has gone by, so that no two logs have the same ones. */
function worldAfter(questions: number): ReActWorld {
  const world = new ReActWorld({ seed: 5, stateDim: SIZES.stateDim });
  for (let i = 0; i < questions; i++) world.begin();
  return world;
}

async function truthOf(policy: ReActPolicy, k: number): Promise<number> {
  const played = await play(worldAfter(1000 + k), policy, TRUTH_EPISODES, new Random(1000 + k));
  return played.reduce((sum, { score }) => sum + score, 0) / played.length;
}

async function logOf(k: number, opposite: boolean): Promise<TrajectorySet> {
  const played = await play(worldAfter(7 * k), active, EPISODES, new Random(k + 1));
  const { actions } = active;
  const builder = new TrajectorySetBuilder({
    stateDim: SIZES.stateDim,
    actionNames: actions,
    feedbackWeighting: "none",
  });
  for (const [i, { trace, score }] of played.entries()) {
    const id = `q${i}`;
    const learned = opposite && i < EPISODES / 2 ? 1 - score : score;
    builder.add({
      traceId: id,
      queryId: id,
      ...reactEpisode(trace),
      score: learned,
      userAuthority: 1,
      userId: `u${i % 40}`,
    });
  }
  return builder.build();
}

async function measure({ name, opposite, ...settings }: (typeof CANDIDATES)[number]): Promise<Record<string, unknown>> {
  const half = (from: number): Uint32Array => Uint32Array.from({ length: EPISODES / 2 }, (_, i) => from + i);
  const held = Object.fromEntries(TRAJECTORY_ESTIMATORS.map((estimator) => [estimator, 0]));
  const squares = { ...held };
  let [judged, effective, gain, promoted, promotedWorse] = [0, 0, 0, 0, 0];
  for (let k = 0; k < LOGS; k++) {
    const set = await logOf(k, opposite);
    const holdout = half(EPISODES / 2);
    await using policy = await ReActPolicy.create(SIZES);
    const config = { ...settings, targetKl: null, batchSize: 256, seed: k };
    await new PpoTrainer({ policy, config }).update(set, { trajectories: half(0) });
    const { candidate, gate } = evaluateActing({
      set,
      candidate: await actIn(policy, set, holdout),
      active: { version: "active", acted: await actIn(active, set, holdout) },
      activeVersion: "active",
      question: 1,
      levelMargin: 0.05,
      stepPenalty: 0,
      seed: k,
    });
    const truth = await truthOf(policy, k + 1);
    gain += (truth - activeTruth) / LOGS;
    effective += (candidate!.effective_sample_size ?? 0) / LOGS;
    if (gate.verdict === "promote") promoted++;
    if (gate.verdict === "promote" && truth < activeTruth) promotedWorse++;
    if (candidate!.not_identified.length > 0) continue;
    judged++;
    for (const estimator of TRAJECTORY_ESTIMATORS) {
      const value = candidate as TrajectoryValue;
      const [low, high] = value.intervals[estimator]!;
      if (low <= truth && truth <= high) held[estimator]!++;
      squares[estimator]! += (value[estimator]! - truth) ** 2;
    }
  }
  const rounded = (value: number): number => Number(value.toFixed(3));
  const each = (of: (estimator: string) => number): Record<string, number> =>
    Object.fromEntries(TRAJECTORY_ESTIMATORS.map((estimator) => [estimator, rounded(of(estimator))]));
  return {
    candidate: name,
    logs: LOGS,
    judged,
    held_out: EPISODES / 2,
    effective: rounded(effective),
    true_gain: rounded(gain),
    promoted,
    promoted_though_worse: promotedWorse,
    coverage: each((estimator) => held[estimator]! / judged),
    rmse: each((estimator) => Math.sqrt(squares[estimator]! / judged)),
  };
}
