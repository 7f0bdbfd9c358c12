/**
 * Three workers, many jobs, workers killed at drawn moments: every job is done once in effect. `RLCF_SOAK=1` runs the
 * long form.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { assertOnceInEffect, enqueue, fill, NO_POSTGRES, openQueueSite, ordeal } from "../queue/site.ts";
import { CRASH_SEED } from "./crash_support.ts";

const IS_SOAK = Deno.env.get("RLCF_SOAK") === "1";
const { jobs, kills, epochs, jobMs } = IS_SOAK
  ? { jobs: 50, kills: 30, epochs: 400, jobMs: 2000 }
  : { jobs: 10, kills: 5, epochs: 200, jobMs: 600 };

Deno.test({
  name: `three workers of which ${kills} are killed run each of ${jobs} jobs once in effect${
    NO_POSTGRES === undefined ? "" : ` (${NO_POSTGRES})`
  }`,
  ignore: NO_POSTGRES !== undefined,
  fn: async () => {
    await using site = await openQueueSite(epochs);
    await fill(site, 60);
    const seeds = Array.from({ length: jobs }, (_, seed) => seed).join(",");
    const ids = await enqueue(site, "--sweep", `training.seed=${seeds}`, "--retries", "100");
    const told = await ordeal(site, { slots: 3, kills, random: new Random(CRASH_SEED), jobMs });
    await assertOnceInEffect(site, ids);
    assert.ok(told.killed + told.stopped > 0, "nobody was killed: the jobs are too short");
    if (!IS_SOAK) return;
    const [row] = await site.query(`select count(*)::int as sessions, count(*) filter (where status = 'completed')::int
      as completed, count(*) filter (where status = 'interrupted')::int as interrupted,
      (select sum(retry_count)::int from rlcf_queue.job) as retries,
      (select count(*)::int from policy_checkpoints where version not like '%-ep.%') as versions
      from training_sessions`);
    // deno-lint-ignore no-console -- the figures of the long form are what it is run for
    console.log(JSON.stringify({ jobs, ...told, ...row }));
  },
});
