/**
 * How policies fare on the held-out episodes.
 *
 * @module
 */
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { estimateValue, loggedValue } from "../evaluate/estimators.ts";
import type { GatingPolicy } from "../policy/gating_policy.ts";
import type { EvaluationReport } from "./report.ts";

/** A policy's routing of the held-out rows. */
export interface Contestant {
  readonly version: string;
  /** [n, E] in the order of the held-out rows. */
  readonly weightsNE: Float32Array;
}

/** Rows routed in one call, so that the copy of their embeddings stays small. */
const CHUNK = 1024;

/** Routes the given rows, [n, E]. */
export async function routeHoldout(
  policy: GatingPolicy,
  episodes: EpisodeSet,
  rows: Uint32Array,
): Promise<Float32Array> {
  const { inputDim, experts, embeddings } = episodes;
  const weightsNE = new Float32Array(rows.length * experts.length);
  for (let start = 0; start < rows.length; start += CHUNK) {
    const chunk = rows.subarray(start, start + CHUNK);
    const inputs = new Float32Array(chunk.length * inputDim);
    for (const [i, row] of chunk.entries()) {
      inputs.set(embeddings.subarray(row * inputDim, (row + 1) * inputDim), i * inputDim);
    }
    weightsNE.set((await policy.forward(inputs)).weights, start * experts.length);
  }
  return weightsNE;
}

/** The estimates of both policies on the same rows. */
export function evaluateOnHoldout(
  episodes: EpisodeSet,
  rows: Uint32Array,
  candidateNE: Float32Array,
  active: Contestant | null,
): EvaluationReport {
  const judged = rows.length > 0;
  return {
    holdout: rows.length,
    logged_value: loggedValue(episodes, rows),
    candidate: judged ? estimateValue(episodes, rows, candidateNE) : null,
    active: judged && active !== null ? estimateValue(episodes, rows, active.weightsNE) : null,
    active_version: active?.version ?? null,
  };
}
