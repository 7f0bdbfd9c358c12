/**
 * The whole loop of the ReActPolicy in a simulated world: act, log, judge, learn, again and again. Episodes go through
 * the records that a service would log, so what is measured is what a service would get.
 *
 * @module
 */
import { TrajectorySetBuilder } from "../episodes/trajectory_set.ts";
import { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ReActPolicy } from "../policy/react_policy.ts";
import type { PpoConfig } from "../train/ppo_config.ts";
import { PpoTrainer } from "../train/ppo_trainer.ts";
import { ExecutionTrace } from "../trace/execution_trace.ts";
import { reactEpisode } from "../trace/react_episode.ts";
import { Random } from "../base/random.ts";
import type { ReActSituation, ReActWorld } from "./react_world.ts";

/** One round of acting and learning. */
export interface ReActRound {
  /** From 1. */
  readonly round: number;
  /** Episodes played so far. */
  readonly episodes: number;
  /** Mean return of this round's episodes as the policy drew them, step penalties included. */
  readonly drawn: number;
  /** Estimate of how far the update moved the policy, in nats. */
  readonly kl: number;
  /** Mean entropy of the policy in nats. */
  readonly entropy: number;
  /** Share of the returns' variance that the critic explains. */
  readonly explainedVariance: number;
}

/** What is learned, how long, from what. */
export interface ReActTraining {
  /** The world to act in. */
  readonly world: ReActWorld;
  /** The policy to train. */
  readonly policy: ReActPolicy;
  /** How it is trained. */
  readonly config: PpoConfig;
  /** Rounds of acting and learning. */
  readonly rounds: number;
  /** Episodes played in a round. */
  readonly episodesPerRound: number;
  /** Seed of the draws. */
  readonly seed: number;
  /** Hears of every round. */
  readonly onRound?: ((round: ReActRound) => void) | undefined;
}

/** Plays and learns; the policy ends trained. */
export async function trainInWorld(training: ReActTraining): Promise<ReActRound[]> {
  const { world, policy, config, rounds, episodesPerRound } = training;
  const trainer = new PpoTrainer({ policy, config });
  const random = new Random(training.seed);
  const done: ReActRound[] = [];
  for (let round = 1; round <= rounds; round++) {
    const played = await play(world, policy, episodesPerRound, random);
    const builder = new TrajectorySetBuilder({
      stateDim: world.stateDim,
      actionNames: policy.actions,
      feedbackWeighting: "none",
    });
    for (const { trace, score } of played) {
      const feedback = new MultilevelFeedback({ queryId: trace.queryId, overallRating: score });
      builder.add({
        traceId: trace.queryId,
        queryId: trace.queryId,
        ...reactEpisode(trace),
        score: feedback.overallScore(),
        userAuthority: 1,
        userId: null,
      });
    }
    const metrics = await trainer.update(builder.build());
    const drawn = mean(played.map(({ trace, score }) => score + config.stepPenalty * (trace.numActions - 1)));
    const { klDivergence: kl, entropy, explainedVariance } = metrics;
    done.push({ round, episodes: round * episodesPerRound, drawn, kl, entropy, explainedVariance });
    training.onRound?.(done.at(-1)!);
  }
  return done;
}

/** Mean return of the policy's most probable actions over fresh episodes, step penalties included. */
export async function greedyReturn(
  world: ReActWorld,
  policy: ReActPolicy,
  episodes: number,
  stepPenalty: number,
): Promise<number> {
  const played = await play(world, policy, episodes, undefined);
  return mean(played.map(({ trace, score }) => score + stepPenalty * (trace.numActions - 1)));
}

/**
 * Plays episodes side by side, so that each step is one forward pass.
 *
 * @param random draws the actions; without it the most probable ones are taken
 * @param traceOf the empty trace of each episode; with the query id `q0`, `q1`, ... by default
 */
export async function play(
  world: ReActWorld,
  policy: ReActPolicy,
  episodes: number,
  random: Random | undefined,
  traceOf: (i: number) => ExecutionTrace = (i) => new ExecutionTrace({ queryId: `q${i}` }),
): Promise<{ readonly trace: ExecutionTrace; readonly score: number }[]> {
  const all = Array.from({ length: episodes }, (_, i) => ({
    trace: traceOf(i),
    situation: world.begin() as ReActSituation,
    score: 0,
  }));
  for (let running = all; running.length > 0;) {
    const states = running.map(({ situation }) => world.observe(situation));
    const { probs, logProbs, values } = await policy.forward(states);
    const going: typeof all = [];
    for (const [i, episode] of running.entries()) {
      const row = i * policy.numActions;
      const probsE = probs.subarray(row, row + policy.numActions);
      const action = random?.categorical(probsE) ?? probsE.indexOf(Math.max(...probsE));
      const { situation, done, reward } = world.step(episode.situation, action);
      episode.trace.addReActStep({
        state: states[i]!,
        action: policy.actions[action]!,
        logProb: random === undefined ? 0 : Math.min(0, logProbs[row + action]!),
        value: values[i]!,
        done,
      });
      [episode.situation, episode.score] = [situation, reward];
      if (!done) going.push(episode);
    }
    running = going;
  }
  return all;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
