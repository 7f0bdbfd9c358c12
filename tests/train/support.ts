/**
 * Traces, episodes and policies for the trainer's tests.
 *
 * @module
 */
import { Random } from "../../src/base/random.ts";
import { listBackends } from "../../src/engine/create.ts";
import type { BackendName } from "../../src/engine/engine.ts";
import { type EpisodeSet, EpisodeSetBuilder } from "../../src/episodes/episode_set.ts";
import { feedbackFromRating } from "../../src/feedback/factories.ts";
import type { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import { DEFAULT_EXPERTS } from "../../src/policy/gating_policy.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";

/** A trace in which one expert was drawn. */
export function drawnTrace(
  embedding: ArrayLike<number>,
  expertType: string,
  logProb: number,
  weight = Math.exp(logProb),
): ExecutionTrace {
  return new ExecutionTrace({ queryId: "q" }).addExpertSelection({
    expertType,
    weight,
    logProb,
    metadata: { source: "gating_policy", query_embedding: Array.from(embedding) },
  });
}

/** A trace in which the four experts were mixed; the embedding stands on the first selection, as in the original. */
export function mixedTrace(embedding: ArrayLike<number>, weights: ArrayLike<number>): ExecutionTrace {
  const trace = new ExecutionTrace({ queryId: "q" });
  for (const [e, expertType] of DEFAULT_EXPERTS.entries()) {
    const first = e === 0 ? { query_embedding: Array.from(embedding) } : {};
    const metadata = { source: "gating_policy", ...first };
    trace.addExpertSelection({ expertType, weight: weights[e]!, logProb: -0.7, metadata });
  }
  return trace;
}

/** Feedback of one number. */
export function rated(reward: number): MultilevelFeedback {
  return feedbackFromRating("q", reward);
}

/** How {@link syntheticEpisodes} are made. */
export interface SyntheticOptions {
  readonly size: number;
  readonly inputDim?: number;
  readonly seed?: number;
  /** Mixed instead of drawn experts. */
  readonly soft?: boolean;
  /** Standard deviation of the rewards around their truth; 0 by default. */
  readonly noise?: number;
}

/** A log whose rewards are linear in the embedding, with the coefficients [E, I + 1] of each expert. */
export function syntheticEpisodes(options: SyntheticOptions): { episodes: EpisodeSet; truth: Float64Array } {
  const { size, inputDim = 6, seed = 1, soft = false, noise = 0 } = options;
  const random = new Random(seed);
  const experts = DEFAULT_EXPERTS;
  const truth = Float64Array.from({ length: experts.length * (inputDim + 1) }, (_, i) => {
    return (i + 1) % (inputDim + 1) === 0 ? 0.5 : 0.1 * random.normal();
  });
  const builder = new EpisodeSetBuilder(size, { inputDim, experts, feedbackWeighting: "authority" });
  for (let n = 0; n < size; n++) {
    const embedding = Float32Array.from({ length: inputDim }, () => random.normal() / Math.sqrt(inputDim));
    const drawn = random.below(experts.length);
    const weights = experts.map((_, e) => soft ? random.uniform() : e === drawn ? 1 : 0);
    const mass = weights.reduce((sum, weight) => sum + weight, 0);
    let score = noise * random.normal();
    for (const [e, weight] of weights.entries()) {
      const start = e * (inputDim + 1);
      let value = truth[start + inputDim]!;
      for (let i = 0; i < inputDim; i++) value += truth[start + i]! * embedding[i]!;
      score += weight / mass * value;
    }
    builder.add({
      traceId: `t${n}`,
      queryId: `q${n}`,
      logKind: soft ? "soft" : "sampled",
      gatingWeights: soft
        ? Object.fromEntries(experts.map((expert, e) => [expert, weights[e]!]))
        : { [experts[drawn]!]: 1 },
      gatingLogProb: soft ? null : Math.log(1 / experts.length),
      embedding,
      score,
      levelScores: { retrieval: null, reasoning: null, synthesis: null },
      userAuthority: 0.25 + 0.75 * random.uniform(),
      userId: null,
    });
  }
  return { episodes: builder.build(), truth };
}

/** Whether a test runs on a backend, and the reason if not. */
export interface TestBackend {
  readonly name: BackendName;
  readonly ignore: boolean;
  /** What a test's name says of the backend. */
  readonly label: string;
}

/** Every backend of this build; those that are not available here are ignored with the reason. */
export async function testBackends(): Promise<TestBackend[]> {
  return (await listBackends()).map(({ name, available, device }) => ({
    name,
    ignore: !available,
    label: available ? name : `${name}: ${device}`,
  }));
}

/** Rows 0 .. n-1. */
export function allRows(n: number): Uint32Array {
  return Uint32Array.from({ length: n }, (_, i) => i);
}
