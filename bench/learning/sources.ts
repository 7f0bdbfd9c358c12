/**
 * Logs whose truth is known, as episode sets: the real texts of ../shared/data and the simulated community.
 *
 * @module
 */
import { join } from "node:path";
import { type EpisodeSet, EpisodeSetBuilder } from "../../src/episodes/episode_set.ts";
import { loadEpisodes } from "../../src/episodes/load_episodes.ts";
import { Community, COMMUNITY_EXPERTS, trueValue } from "../../src/simulate/community.ts";
import { createPersistence } from "../../src/store/create.ts";
import { ingestRecordFromJson } from "../../src/store/ingest_line.ts";

const DATA = new URL("../../../shared/data/", import.meta.url).pathname;
const REAL_EXPERTS = ["literal", "systemic", "principles", "precedent"];
const FRESH_QUERIES = 2000;

/** A log, and queries that are in none of its episodes, with what every expert is worth on them. */
export interface Source {
  readonly episodes: EpisodeSet;
  /** [n, I] embeddings of the test queries. */
  readonly testNI: Float32Array;
  /** True value of the most likely expert under a routing [n, E] of the test queries. */
  value(weightsNE: Float32Array): number;
}

/** A set of ../shared/data by its name, or `drawn1000`, `mixed10000`: so many episodes of the simulated community. */
export async function openSource(name: string, seed: number): Promise<Source> {
  const simulated = /^(drawn|mixed)(\d+)$/.exec(name);
  return simulated === null ? await realSource(name) : communitySource(simulated[1]!, Number(simulated[2]), seed);
}

async function realSource(set: string): Promise<Source> {
  const { dim } = JSON.parse(await Deno.readTextFile(join(DATA, set, "meta.json")));
  const embeddings = new Float32Array((await Deno.readFile(join(DATA, set, "embeddings.f32"))).buffer);
  const vector = (row: number): Float32Array => embeddings.subarray(row * dim, (row + 1) * dim);
  const lines = async (file: string): Promise<Record<string, unknown>[]> =>
    (await Deno.readTextFile(join(DATA, set, file))).split("\n").filter(Boolean).map((line) => JSON.parse(line));

  await using store = await createPersistence(":memory:");
  await store.ingest((await lines("log.jsonl")).map((line) => {
    const { actions } = line.trace as { actions: { metadata: Record<string, unknown> }[] };
    for (const { metadata } of actions) {
      metadata.query_embedding = Array.from(vector(metadata.embedding_row as number));
    }
    return ingestRecordFromJson(line);
  }));
  const window = { since: "2000-01-01T00:00:00Z", until: "2100-01-01T00:00:00Z", maxFeedback: 1_000_000 };
  const episodes = await loadEpisodes(store, window, {
    inputDim: dim,
    experts: REAL_EXPERTS,
    feedbackWeighting: "authority",
    scoring: "given",
  });

  const rowOf = new Map((await lines("eval.jsonl")).map((line) => [line.query_id, line.embedding_row as number]));
  const truths = (await lines("truth.jsonl")).filter(({ split }) => split === "test");
  const testNI = new Float32Array(truths.length * dim);
  const rewards = truths.map((truth, i) => {
    testNI.set(vector(rowOf.get(truth.query_id)!), i * dim);
    const [names, reward] = [truth.experts as string[], truth.reward as number[]];
    return REAL_EXPERTS.map((expert) => reward[names.indexOf(expert)]!);
  });
  return {
    episodes,
    testNI,
    value: (weightsNE) =>
      rewards.reduce((sum, reward, i) => {
        const routed = Array.from(weightsNE.subarray(i * reward.length, (i + 1) * reward.length));
        return sum + reward[routed.indexOf(Math.max(...routed))]!;
      }, 0) / rewards.length,
  };
}

function communitySource(kind: string, size: number, seed: number): Source {
  const community = new Community({ seed });
  const inputDim = 768;
  const builder = new EpisodeSetBuilder(size, {
    inputDim,
    experts: COMMUNITY_EXPERTS,
    feedbackWeighting: "authority",
  });
  for (let i = 0; i < size; i++) {
    const query = community.query();
    const weights = community.randomWeights();
    const lawyer = community.lawyer();
    let rest = (community.drawSeed() + 0.5) / 4294967296;
    const drawn = kind === "drawn" ? weights.findIndex((weight) => (rest -= weight) < 0) : -1;
    const reward = kind === "drawn"
      ? query.rewards[drawn]!
      : weights.reduce((sum, weight, e) => sum + weight * query.rewards[e]!, 0);
    const mixture = COMMUNITY_EXPERTS.map((expert, e) => [expert, weights[e]!] as const);
    builder.add({
      traceId: String(i),
      queryId: query.queryId,
      logKind: kind === "drawn" ? "sampled" : "soft",
      gatingWeights: Object.fromEntries(kind === "drawn" ? [mixture[drawn]!] : mixture),
      gatingLogProb: kind === "drawn" ? Math.log(weights[drawn]!) : null,
      embedding: query.embedding,
      score: community.judge(query, reward, lawyer, "2026-01-01T00:00:00Z").overallScore(),
      levelScores: { retrieval: null, reasoning: null, synthesis: null },
      userAuthority: lawyer.authority,
      userId: lawyer.userId,
    });
  }
  const queries = Array.from({ length: FRESH_QUERIES }, () => community.query());
  const testNI = new Float32Array(queries.length * inputDim);
  for (const [i, query] of queries.entries()) testNI.set(query.embedding, i * inputDim);
  return { episodes: builder.build(), testNI, value: (weightsNE) => trueValue(queries, weightsNE).argmax };
}
