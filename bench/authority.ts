// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * What people who answer the opposite of the truth cost a policy: the demonstration's community with a share of
 * contrarians of authority 0.1, weighed by authority and by heads, at the default settings.
 *
 *     deno run --allow-read --allow-write --allow-env --allow-sys=hostname bench/authority.ts \
 *       [--episodes 1000,3000] [--seeds 3] [--contrarians 0.2] [--json]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { resolveConfig } from "../src/config/resolve.ts";
import { findStoredPolicy, openPolicy } from "../src/session/open_policy.ts";
import { GATING, trainSession } from "../src/session/train_session.ts";
import { Community, COMMUNITY_EXPERTS, trueValue } from "../src/simulate/community.ts";
import { createPersistence } from "../src/store/create.ts";
import type { IngestRecord } from "../src/store/persistence.ts";
import { ExecutionTrace } from "../src/trace/execution_trace.ts";

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    episodes: { type: "string", default: "1000,3000" },
    seeds: { type: "string", default: "3" },
    contrarians: { type: "string", default: "0.2" },
    json: { type: "boolean" },
  },
});
const share = Number(options.contrarians);
const table = [];
for (const episodes of options.episodes.split(",").map(Number)) {
  const mean = async (contrarians: number, weighting: string): Promise<number> => {
    let sum = 0;
    for (let seed = 1; seed <= Number(options.seeds); seed++) {
      sum += await valueOf(episodes, contrarians, weighting, seed);
    }
    return sum / Number(options.seeds);
  };
  const [honest, weighed, counted] = [
    await mean(0, "authority"),
    await mean(share, "authority"),
    await mean(share, "none"),
  ];
  table.push({ episodes, honest, by_authority: weighed, by_heads: counted, cost_by_authority: honest - weighed });
}
if (options.json) console.log(JSON.stringify({ contrarians: share, seeds: Number(options.seeds), table }));
else console.table(table);

/** The true value of the likeliest expert on fresh queries. */
async function valueOf(episodes: number, contrarians: number, weighting: string, seed: number): Promise<number> {
  const root = await Deno.makeTempDir({ prefix: "rlcf-authority-" });
  try {
    await using store = await createPersistence(":memory:");
    const community = new Community({ seed, contrarians });
    for (let start = 0; start < episodes; start += 500) {
      await store.ingest(records(community, Math.min(500, episodes - start)));
    }
    const { config } = resolveConfig({
      flags: {
        "checkpoint.directory": root,
        "checkpoint.save_frequency": 1_000_000,
        "training.max_episodes": episodes,
        "training.feedback_weighting": weighting,
      },
    });
    const { version } = await trainSession({ store, config, configJson: {} });
    const { saved } = await findStoredPolicy(store, root, GATING, version);
    await using policy = await openPolicy(saved, "auto");
    const queries = Array.from({ length: 2000 }, () => community.query());
    return trueValue(queries, (await policy.forward(queries.map(({ embedding }) => embedding))).weights).argmax;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Queries answered by random logging, as in the demonstration of large logs. */
function records(community: Community, n: number): IngestRecord[] {
  return Array.from({ length: n }, () => {
    const query = community.query();
    const weights = community.randomWeights();
    let rest = (community.drawSeed() + 0.5) / 4294967296;
    const drawn = weights.findIndex((weight) => (rest -= weight) < 0);
    const lawyer = community.lawyer();
    const createdAt = new Date(Date.now() - 60_000).toISOString();
    return {
      trace: new ExecutionTrace({ queryId: query.queryId, createdAt }).addExpertSelection({
        expertType: COMMUNITY_EXPERTS[drawn]!,
        weight: weights[drawn]!,
        logProb: Math.log(weights[drawn]!),
        metadata: { source: "gating_policy", query_embedding: query.embedding },
      }),
      traceContext: { id: crypto.randomUUID(), policyVersion: "logging" },
      feedback: community.judge(query, query.rewards[drawn]!, lawyer, createdAt),
      feedbackContext: { id: crypto.randomUUID(), userAuthority: lawyer.authority },
    };
  });
}
