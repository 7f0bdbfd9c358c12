/**
 * A fingerprint of a training set, so that a resumed run can tell whether it sees the same episodes.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { EpisodeSet } from "./episode_set.ts";

/**
 * SHA-256, hexadecimal, of the queries and of what was logged about them. Stored traces never change, so the
 * embeddings, by far the largest part, need not be read again.
 */
export function episodesDigest(episodes: EpisodeSet): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([episodes.experts, episodes.inputDim, episodes.queryIds]));
  for (const column of [episodes.rewards, episodes.sampleWeights, episodes.propensities, episodes.mixtures]) {
    hash.update(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
  }
  return hash.digest("hex");
}
