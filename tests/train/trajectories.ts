/**
 * Trajectories for the tests of PPO: everything follows from a seed.
 *
 * @module
 */
import { Random } from "../../src/base/random.ts";
import type { TrajectorySet } from "../../src/episodes/trajectory_set.ts";

/** Random trajectories of 1 to 5 steps with the given actions. */
export function randomTrajectories(
  options: { readonly seed: number; readonly size: number; readonly stateDim: number; readonly actions: string[] },
): TrajectorySet {
  const { seed, size, stateDim, actions: actionNames } = options;
  const random = new Random(seed);
  const offsets = new Uint32Array(size + 1);
  for (let n = 0; n < size; n++) offsets[n + 1] = offsets[n]! + 1 + random.below(5);
  const steps = offsets[size]!;
  const normals = (length: number): number[] => Array.from({ length }, () => random.normal());
  const dones = new Uint8Array(steps);
  for (let n = 1; n <= size; n++) dones[offsets[n]! - 1] = 1;
  return {
    size,
    steps,
    stateDim,
    actionNames,
    offsets,
    states: Float32Array.from(normals(steps * stateDim)),
    actions: Uint32Array.from({ length: steps }, () => random.below(actionNames.length)),
    oldLogProbs: Float32Array.from(normals(steps), (x) => Math.min(0, 0.2 * x - Math.log(actionNames.length))),
    values: Float32Array.from(normals(steps)),
    rewards: Float64Array.from(normals(steps)),
    dones,
    sampleWeights: Float64Array.from(normals(size), Math.abs),
    scores: Float64Array.from({ length: size }, () => random.uniform()),
    queryIds: Array.from({ length: size }, (_, n) => `q${n}`),
    userIds: Array.from({ length: size }, () => null),
    feedbackRows: size,
    skipped: {},
  };
}
