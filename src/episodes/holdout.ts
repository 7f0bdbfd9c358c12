/**
 * The split between what a policy is trained on and what it is judged by.
 *
 * @module
 */
import type { EpisodeSet } from "./episode_set.ts";

/** Rows of an {@link EpisodeSet}, each ascending, disjoint and together complete. */
export interface HoldoutSplit {
  readonly training: Uint32Array;
  readonly holdout: Uint32Array;
}

/**
 * Splits by a hash of the query id, so that all traces of a query lie on one side and the side of a query never
 * changes as the log grows.
 *
 * @param ratio share of the queries held out, in [0, 1)
 * @param minHoldout episodes held out at least, as long as they are no more than half; the queries next in the order
 * of their hash are added
 */
export function splitHoldout(
  episodes: Pick<EpisodeSet, "queryIds" | "size">,
  ratio: number,
  minHoldout: number,
): HoldoutSplit {
  const hashes = Float64Array.from(episodes.queryIds, hashToUnit);
  const byHash = Uint32Array.from(hashes.keys()).sort((a, b) => hashes[a]! - hashes[b]! || a - b);
  const wanted = ratio === 0 ? 0 : minHoldout;
  let count = 0;
  while (count < byHash.length && hashes[byHash[count]!]! < ratio) count++;
  // A query is never cut in two: its traces share a hash and come or stay together.
  while (count < wanted) {
    let end = count + 1;
    while (end < byHash.length && hashes[byHash[end]!] === hashes[byHash[count]!]) end++;
    if (2 * end > episodes.size) break;
    count = end;
  }
  return { holdout: byHash.slice(0, count).sort(), training: byHash.slice(count).sort() };
}

/** A number in [0, 1) that depends on the text alone: FNV-1a with murmur3's finaliser. */
export function hashToUnit(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 4294967296;
}
