/**
 * Feedback weighs by earned authority: what a few people who answer the opposite of the truth can do to a policy.
 *
 * @module
 */
import assert from "node:assert/strict";
import { findStoredPolicy, openPolicy } from "../../src/session/open_policy.ts";
import { Community, trueValue } from "../../src/simulate/community.ts";
import { drawnRecords, INPUT_DIM, Workplace } from "./support.ts";

/** Enough that what honest feedback is lost is not what is measured. */
const EPISODES = 2000;

/** The true value of the most likely expert, after training on feedback of which a share is contrary. */
async function valueAfter(contrarians: number, feedbackWeighting: "authority" | "none", seed: number): Promise<number> {
  await using work = await Workplace.open(0);
  await work.store.ingest(drawnRecords(EPISODES, seed, { contrarians }));
  const { version } = await work.train({
    "compute.backend": "auto",
    "training.max_episodes": EPISODES,
    "training.epochs": 10,
    "training.feedback_weighting": feedbackWeighting,
  });
  const { saved } = await findStoredPolicy(work.store, work.root, "gating", version);
  await using policy = await openPolicy(saved, "cpu");
  const community = new Community({ seed, inputDim: INPUT_DIM });
  const queries = Array.from({ length: EPISODES + 1000 }, () => community.query()).slice(EPISODES);
  return trueValue(queries, (await policy.forward(queries.map(({ embedding }) => embedding))).weights).argmax;
}

Deno.test("a fifth of contrarians with little authority costs at most 0.02; with equal votes it costs more", async () => {
  const seeds = [1, 2];
  const mean = async (contrarians: number, weighting: "authority" | "none"): Promise<number> => {
    let sum = 0;
    for (const seed of seeds) sum += await valueAfter(contrarians, weighting, seed) / seeds.length;
    return sum;
  };
  const honest = await mean(0, "authority");
  const weighed = await mean(0.2, "authority");
  const counted = await mean(0.2, "none");
  assert.ok(honest - weighed <= 0.02, `honest ${honest}, with contrarians ${weighed}`);
  assert.ok(counted < weighed, `by authority ${weighed}, by heads ${counted}`);
});
