import assert from "node:assert/strict";
import { CRASH_SEED, DIALECTS } from "./crash_support.ts";
import { killIngest, killTrain } from "./crash_trials.ts";

/** Few, because each process takes half a second to start; `deno task soak` makes hundreds. */
const KILLS = 8;

for (const { dialect, missing } of DIALECTS) {
  const because = missing === undefined ? "" : ` (${missing})`;
  for (const [command, series] of Object.entries({ train: killTrain, ingest: killIngest })) {
    Deno.test({
      name: `${dialect}: ${command} killed at ${KILLS} random moments (seed ${CRASH_SEED}) loses nothing and ` +
        `leaves nothing half done${because}`,
      ignore: missing !== undefined,
      fn: async () => {
        const { killed } = await series({ dialect, kills: KILLS, seed: CRASH_SEED });
        assert.equal(killed, KILLS);
      },
    });
  }
}
