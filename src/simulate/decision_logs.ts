/**
 * Logs of an agent's episodes and of graph traversals, as a service would store them, with feedback of a few users.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import { MultilevelFeedback } from "../feedback/multilevel_feedback.ts";
import type { ReActPolicy } from "../policy/react_policy.ts";
import type { IngestRecord } from "../store/persistence.ts";
import { ExecutionTrace } from "../trace/execution_trace.ts";
import { play } from "./react_training.ts";
import type { ReActWorld } from "./react_world.ts";

/** How large a log, and when and by whom. */
export interface SimulatedLog {
  /** Traces, each with one feedback. */
  readonly episodes: number;
  /** Same seed, same log but for its times. */
  readonly seed: number;
  /** The version that is said to have acted. */
  readonly policyVersion?: string | undefined;
}

/** People who judge. */
const USERS = 13;
const SECOND_MS = 1000;

/** Episodes that a policy plays in a world, drawing its actions; a second apart, until now. */
export async function agentRecords(
  world: ReActWorld,
  policy: ReActPolicy,
  log: SimulatedLog,
): Promise<IngestRecord[]> {
  const played = await play(world, policy, log.episodes, new Random(log.seed), (i) => emptyTrace(log, i));
  return played.map(({ trace, score }, i) => recordOf(log, trace, score, i));
}

/**
 * Traversals of a graph: one to three relations are weighed for each query, and each is followed with a probability of a
 * half. Half of the relations should be followed where the embedding's first entry is positive, the others where the second
 * is; the score of an answer is the share of right decisions.
 */
export function traversalRecords(
  shape: { readonly inputDim: number; readonly relations: readonly string[] },
  log: SimulatedLog,
): IngestRecord[] {
  const { inputDim, relations } = shape;
  const random = new Random(log.seed);
  return Array.from({ length: log.episodes }, (_, i) => {
    const raw = Float32Array.from({ length: inputDim }, () => random.normal());
    const length = Math.hypot(...raw);
    const embedding = raw.map((x) => x / length);
    const trace = emptyTrace(log, i, { query_embedding: Array.from(embedding) });
    const traversals = 1 + random.below(3);
    let right = 0;
    for (let t = 0; t < traversals; t++) {
      const [r, followed] = [random.below(relations.length), random.uniform() < 0.5];
      if (isWorthFollowing(embedding, r) === followed) right++;
      trace.addGraphTraversal({
        relationType: relations[r]!,
        weight: 0.5,
        logProb: Math.log(0.5),
        sourceNode: `node-${i}`,
        targetNode: `node-${i}-${t}`,
        metadata: { followed },
      });
    }
    return recordOf(log, trace, 0.1 + 0.8 * right / traversals, i);
  });
}

/** Whether relation number r should be followed for a query. */
export function isWorthFollowing(embedding: Float32Array, r: number): boolean {
  return embedding[r % 2 % embedding.length]! > 0;
}

function emptyTrace({ seed, episodes }: SimulatedLog, i: number, metadata = {}): ExecutionTrace {
  const createdAt = new Date(Date.now() - (episodes - i + 1) * SECOND_MS).toISOString();
  return new ExecutionTrace({ queryId: `s${seed}-q${i}`, createdAt, metadata });
}

function recordOf(
  { seed, policyVersion }: SimulatedLog,
  trace: ExecutionTrace,
  score: number,
  i: number,
): IngestRecord {
  const { queryId, createdAt: timestamp } = trace;
  return {
    trace,
    traceContext: { id: uuidOf(seed, i, 1), policyVersion: policyVersion ?? "simulated" },
    feedback: new MultilevelFeedback({ queryId, overallRating: score, timestamp }),
    feedbackContext: {
      id: uuidOf(seed, i, 2),
      userId: `user-${i % USERS}`,
      userAuthority: 0.5 + 0.5 * (i % USERS) / USERS,
      source: "simulated",
    },
  };
}

/** The same id for the same record of the same log. */
function uuidOf(seed: number, i: number, kind: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
  return `${hex(seed, 8)}-0000-4000-8000-${kind}${hex(i, 11)}`;
}
