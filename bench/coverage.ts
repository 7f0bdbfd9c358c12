// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * Bias and coverage of every estimator's 95% interval, over many logs of worlds whose values are known.
 *
 *     deno run --allow-read --allow-env bench/coverage.ts [--logs 400] [--rows 1000] [--users 60] [--soft] [--json]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { estimateValue, ESTIMATORS } from "../src/evaluate/policy_value.ts";
import { heldOutValues } from "../src/evaluate/reward_values.ts";
import { fitRewardModel } from "../src/train/reward_model.ts";
import { logSupport } from "../src/evaluate/support.ts";
import { LoggedWorld } from "../tests/support/logged_world.ts";

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    logs: { type: "string", default: "400" },
    rows: { type: "string", default: "1000" },
    users: { type: "string", default: "60" },
    soft: { type: "boolean", default: false },
    json: { type: "boolean" },
  },
});
const [logs, rows, users] = [Number(options.logs), Number(options.rows), Number(options.users)];
/** Rows that the reward model is fitted to. */
const TRAINING = 500;

const tally = Object.fromEntries(ESTIMATORS.map((name) => [name, { errors: [] as number[], covered: 0, width: 0 }]));
for (let seed = 0; seed < logs; seed++) {
  const world = new LoggedWorld(seed);
  const policy = world.moved(world.logging, 0.05);
  const truth = world.valueOf(policy);
  const log = { size: TRAINING + rows, seed: 5_000_000 + seed, users };
  const episodes = world.log(options.soft ? { ...log, soft: "random" } : log);
  const all = Uint32Array.from({ length: episodes.size }, (_, i) => i);
  const [training, holdout] = [all.subarray(0, TRAINING), all.subarray(TRAINING)];
  const found = estimateValue(episodes, holdout, world.route(episodes, holdout, policy), {
    support: logSupport(episodes),
    valuesNE: await heldOutValues(episodes, training, holdout, await fitRewardModel(episodes, training, 10)),
    seed,
  });
  for (const name of ESTIMATORS) {
    const [value, interval] = [found[name], found.intervals[name]];
    if (value === null || interval === null) continue;
    tally[name]!.errors.push(value - truth);
    tally[name]!.width += interval[1] - interval[0];
    if (interval[0] <= truth && truth <= interval[1]) tally[name]!.covered++;
  }
}
const table = ESTIMATORS.map((name) => {
  const { errors, covered, width } = tally[name]!;
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  const spread = Math.sqrt(errors.reduce((sum, error) => sum + (error - mean) ** 2, 0) / (errors.length - 1));
  return {
    estimator: name,
    logs: errors.length,
    bias: mean,
    monte_carlo_error: spread / Math.sqrt(errors.length),
    standard_deviation: spread,
    mean_width: width / errors.length,
    coverage: covered / errors.length,
  };
});
if (options.json) console.log(JSON.stringify({ logs, rows, users, soft: options.soft, table }));
else console.table(Object.fromEntries(table.map(({ estimator, ...row }) => [estimator, row])));
