/**
 * A fingerprint of a training set, so that a resumed run can tell whether it sees the same episodes.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { EpisodeSet } from "./episode_set.ts";
import type { TrajectorySet } from "./trajectory_set.ts";

/**
 * SHA-256, hexadecimal, of the queries and of what was logged about them. Stored traces never change, so the
 * embeddings, by far the largest part, need not be read again.
 */
export function episodesDigest(episodes: EpisodeSet): string {
  return digestOf(
    [episodes.experts, episodes.inputDim, episodes.queryIds],
    [episodes.rewards, episodes.sampleWeights, episodes.propensities, episodes.mixtures],
  );
}

/** The same of an agent's episodes: their queries and steps, without the states. */
export function trajectoriesDigest(set: TrajectorySet): string {
  return digestOf(
    [set.actionNames, set.stateDim, set.queryIds],
    [set.offsets, set.actions, set.oldLogProbs, set.values, set.rewards, set.sampleWeights],
  );
}

function digestOf(facts: unknown, columns: readonly (Float32Array | Float64Array | Uint32Array)[]): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(facts));
  for (const column of columns) hash.update(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
  return hash.digest("hex");
}
