/**
 * A log to measure with, where there is no real one.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import { Community } from "../simulate/community.ts";
import type { IngestRecord, RLCFPersistence } from "../store/persistence.ts";
import { ExecutionTrace } from "../trace/execution_trace.ts";

/** How large a log, and whose. */
export interface SimulatedLogOptions {
  /** Traces, each with one feedback. */
  readonly episodes: number;
  /** Length of an embedding. */
  readonly inputDim: number;
  /** Names of the experts, who are drawn with equal chances. */
  readonly experts: readonly string[];
}

/** Traces stored in one transaction. */
const BATCH = 500;

/** Stores sampled traces of the last hours with their feedback, the same ones each time but for their times. */
export async function storeSimulatedLog(store: RLCFPersistence, options: SimulatedLogOptions): Promise<void> {
  const { episodes, inputDim, experts } = options;
  const community = new Community({ seed: 1, inputDim });
  const random = new Random(2);
  const firstAt = Date.now() - episodes * 1000;
  for (let start = 0; start < episodes; start += BATCH) {
    const records: IngestRecord[] = [];
    for (let i = start; i < Math.min(episodes, start + BATCH); i++) {
      const query = community.query();
      const drawn = random.below(experts.length);
      const createdAt = new Date(firstAt + i * 1000).toISOString();
      const trace = new ExecutionTrace({ queryId: query.queryId, createdAt }).addExpertSelection({
        expertType: experts[drawn]!,
        weight: 1 / experts.length,
        logProb: -Math.log(experts.length),
        metadata: { source: "gating_policy", query_embedding: query.embedding },
      });
      const lawyer = community.lawyer();
      const reward = query.rewards[drawn % query.rewards.length]!;
      records.push({
        trace,
        traceContext: { id: crypto.randomUUID(), policyVersion: "simulated", queryText: query.text },
        feedback: community.judge(query, reward, lawyer, createdAt),
        feedbackContext: { id: crypto.randomUUID(), userAuthority: lawyer.authority, source: "bench" },
      });
    }
    await store.ingest(records);
  }
}
