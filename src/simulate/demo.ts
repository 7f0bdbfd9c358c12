/**
 * The whole loop on a simulated community: queries, routing, traces, feedback, training, and a comparison with the
 * truth that no real community would tell.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { Config } from "../config/schema.ts";
import { GatingPolicy } from "../policy/gating_policy.ts";
import { findStoredPolicy, openPolicy } from "../session/open_policy.ts";
import type { TrainProgress, TrainReport } from "../session/report.ts";
import { GATING, trainSession } from "../session/train_session.ts";
import { createPersistence } from "../store/create.ts";
import type { IngestRecord, RLCFPersistence } from "../store/persistence.ts";
import { ExecutionTrace } from "../trace/execution_trace.ts";
import { Community, COMMUNITY_EXPERTS, type SimulatedQuery, trueValue } from "./community.ts";

/** What the demonstration needs. */
export interface DemoOptions {
  readonly config: Config;
  readonly configJson: JsonObject;
  /** Queries that the community answers. */
  readonly episodes: number;
  /** Fresh queries that the routings are scored on. */
  readonly testQueries: number;
  readonly onProgress?: (progress: TrainProgress) => void;
}

/** A routing and its worth under the truth. */
export interface DemoRow {
  readonly routing: string;
  /** Mean true reward in [0, 1]. */
  readonly value: number;
  /** Share of queries whose most likely expert is the best one; null where it means nothing. */
  readonly accuracy: number | null;
}

/** The result; field names are those of `demo --json`. */
export interface DemoResult {
  readonly active_version: string | null;
  readonly table: readonly DemoRow[];
  readonly report: TrainReport;
}

/** Exploration of the logging policy: enough to learn from, as a careful service would have it. */
const LOGGING_EPSILON = 0.3;
/** Records stored in one transaction. */
const BATCH = 500;

/** Runs the loop on the configured database and tells what every routing is worth. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { config } = options;
  await using store = await createPersistence(config.database.url!);
  const community = new Community({ seed: config.training.seed, inputDim: config.gatingPolicy.inputDim });
  // The service starts with a policy that has learned nothing, and logs what it draws from it.
  await using logging = await GatingPolicy.create({
    inputDim: config.gatingPolicy.inputDim,
    hiddenDim: config.gatingPolicy.hiddenDim,
    experts: COMMUNITY_EXPERTS,
    seed: config.training.seed + 1,
    backend: config.compute.backend,
  });
  await answerQueries(store, community, logging, options.episodes);
  const report = await trainSession({ store, config, configJson: options.configJson, onProgress: options.onProgress });

  const queries = Array.from({ length: options.testQueries }, () => community.query());
  const embeddings = queries.map((query) => query.embedding);
  const active = await store.getActivePolicy(GATING);
  const stored = await findStoredPolicy(store, config.checkpoint.directory, GATING, report.version);
  await using trained = await openPolicy(stored.saved, config.compute.backend);
  const trainedValue = trueValue(queries, (await trained.forward(embeddings)).weights);
  const loggingValue = trueValue(queries, explored((await logging.forward(embeddings)).weights));
  return {
    active_version: active?.version ?? null,
    report,
    table: [
      { routing: "uniform", value: uniformValue(queries), accuracy: null },
      { routing: "logging, as it drew", value: loggingValue.sampled, accuracy: loggingValue.accuracy },
      { routing: `${report.version}, drawn`, value: trainedValue.sampled, accuracy: trainedValue.accuracy },
      { routing: `${report.version}, most likely expert`, value: trainedValue.argmax, accuracy: trainedValue.accuracy },
      { routing: "oracle", value: oracleValue(queries), accuracy: 1 },
    ],
  };
}

/** The community's queries are answered by a drawn expert each, logged with its true probability, and judged. */
async function answerQueries(
  store: RLCFPersistence,
  community: Community,
  policy: GatingPolicy,
  episodes: number,
): Promise<void> {
  const firstDay = Date.now() - 20 * 24 * 60 * 60 * 1000;
  for (let start = 0; start < episodes; start += BATCH) {
    const records: IngestRecord[] = [];
    for (let i = start; i < Math.min(episodes, start + BATCH); i++) {
      const query = community.query();
      const drawn = await policy.sample(query.embedding, { epsilon: LOGGING_EPSILON, seed: community.drawSeed() });
      const createdAt = new Date(firstDay + i * 60_000).toISOString();
      const trace = new ExecutionTrace({ queryId: query.queryId, createdAt }).addExpertSelection({
        expertType: drawn.expert,
        weight: drawn.weight,
        logProb: drawn.logProb,
        metadata: { source: "gating_policy", query_embedding: query.embedding },
      });
      const lawyer = community.lawyer();
      records.push({
        trace,
        traceContext: { id: crypto.randomUUID(), policyVersion: "logging", queryText: query.text },
        feedback: community.judge(query, query.rewards[drawn.index]!, lawyer, createdAt),
        feedbackContext: { id: crypto.randomUUID(), userAuthority: lawyer.authority, source: "demo" },
      });
    }
    await store.ingest(records);
  }
}

function explored(weights: Float32Array): Float32Array {
  return weights.map((weight) => (1 - LOGGING_EPSILON) * weight + LOGGING_EPSILON / COMMUNITY_EXPERTS.length);
}

function uniformValue(queries: readonly SimulatedQuery[]): number {
  const share = 1 / COMMUNITY_EXPERTS.length;
  return trueValue(queries, new Float32Array(queries.length * COMMUNITY_EXPERTS.length).fill(share)).sampled;
}

function oracleValue(queries: readonly SimulatedQuery[]): number {
  return queries.reduce((sum, query) => sum + Math.max(...query.rewards), 0) / queries.length;
}
