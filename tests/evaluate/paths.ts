/**
 * A tree of decisions small enough to be walked completely: what any policy earns in it is known exactly.
 *
 * @module
 */
import { Random } from "../../src/base/random.ts";
import { type TrajectorySet, TrajectorySetBuilder } from "../../src/episodes/trajectory_set.ts";

/** Actions; the last one ends an episode. */
export const PATH_ACTIONS = ["left", "right", "stop"];
/** Steps after which an episode ends by itself. */
const DEPTH = 3;

/** A policy: probabilities after each history of actions. */
export type Tabular = (history: string) => readonly number[];

/** One way through the tree. */
export interface Path {
  /** The actions taken. */
  readonly actions: readonly number[];
  /** What each step earned. */
  readonly rewards: readonly number[];
}

/** A policy of random probabilities, none below a tenth; the same seed gives the same one. */
export function randomPolicy(seed: number): Tabular {
  const known = new Map<string, readonly number[]>();
  return (history) => {
    const found = known.get(history);
    if (found !== undefined) return found;
    const random = new Random(seed + 31 * [...history].reduce((hash, c) => 7 * hash + Number(c) + 1, 1));
    const raw = PATH_ACTIONS.map(() => 0.3 + random.uniform());
    const total = raw.reduce((sum, p) => sum + p, 0);
    const probabilities = raw.map((p) => p / total);
    known.set(history, probabilities);
    return probabilities;
  };
}

/** What a step earns: something on the way, more at the end. */
function rewardOf(history: string, ends: boolean): number {
  const random = new Random([...history].reduce((hash, c) => 13 * hash + Number(c) + 1, 5));
  return ends ? random.uniform() : 0.2 * (random.uniform() - 0.5);
}

/** Every path with its probability under a policy. */
export function allPaths(policy: Tabular): { readonly path: Path; readonly probability: number }[] {
  const walk = (actions: number[], rewards: number[], probability: number): ReturnType<typeof allPaths> =>
    PATH_ACTIONS.flatMap((_, action) => {
      const taken = [...actions, action];
      const ends = action === PATH_ACTIONS.length - 1 || taken.length === DEPTH;
      const earned = [...rewards, rewardOf(taken.join(""), ends)];
      const own = probability * policy(actions.join(""))[action]!;
      return ends ? [{ path: { actions: taken, rewards: earned }, probability: own }] : walk(taken, earned, own);
    });
  return walk([], [], 1);
}

/** What a policy earns: the mean return. */
export function trueReturn(policy: Tabular, stepPenalty = 0): number {
  return allPaths(policy).reduce((sum, { path: { rewards }, probability }) => {
    return sum + probability * (rewards.reduce((a, b) => a + b, 0) + stepPenalty * (rewards.length - 1));
  }, 0);
}

/** A path drawn by a policy. */
export function drawPath(policy: Tabular, random: Random): Path {
  const [actions, rewards]: [number[], number[]] = [[], []];
  for (let ended = false; !ended;) {
    const action = random.categorical(Float32Array.from(policy(actions.join(""))));
    actions.push(action);
    ended = action === PATH_ACTIONS.length - 1 || actions.length === DEPTH;
    rewards.push(rewardOf(actions.join(""), ended));
  }
  return { actions, rewards };
}

/**
 * Paths as a log that `logging` wrote, each judged by one user.
 *
 * @param weights authority of the feedback on each path
 * @param criticOf what the critic said after a history
 */
export function setOf(
  paths: readonly Path[],
  logging: Tabular,
  { weights, criticOf = () => 0, users = 10 }: {
    readonly weights?: readonly number[];
    readonly criticOf?: (history: string) => number;
    readonly users?: number;
  } = {},
): TrajectorySet {
  const builder = new TrajectorySetBuilder({ stateDim: 1, actionNames: PATH_ACTIONS, feedbackWeighting: "authority" });
  for (const [i, { actions, rewards }] of paths.entries()) {
    builder.add({
      traceId: String(i),
      queryId: `q${i}`,
      steps: actions.map((action, t) => {
        const history = actions.slice(0, t).join("");
        return {
          action: PATH_ACTIONS[action]!,
          logProb: Math.log(logging(history)[action]!),
          value: criticOf(history),
          reward: rewards[t]!,
          done: t === actions.length - 1,
        };
      }),
      states: new Float32Array(actions.length),
      score: 0.5,
      userAuthority: weights?.[i] ?? 1,
      userId: `u${i % users}`,
    });
  }
  return builder.build();
}

/** [M, A] what a policy would do at every step of the paths. */
export function probsOf(paths: readonly Path[], policy: Tabular): Float32Array {
  return Float32Array.from(
    paths.flatMap(({ actions }) => actions.flatMap((_, t) => policy(actions.slice(0, t).join("")))),
  );
}
