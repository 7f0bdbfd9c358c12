// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * How often the gate errs, in worlds whose values are known: candidates that are worse, equal or better than the active
 * policy by a given amount, holdouts of several sizes, and sequences of challengers that are no better.
 *
 *     deno run --allow-read --allow-env bench/gate.ts [--tries 1000] [--json]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { askAbout } from "../tests/support/gate_trial.ts";
import { LoggedWorld } from "../tests/support/logged_world.ts";

/** Rows that the reward model is fitted to. */
const TRAINING = 500;

const { values: options } = parseArgs({
  args: Deno.args,
  options: { tries: { type: "string", default: "1000" }, json: { type: "boolean" } },
});
const tries = Number(options.tries);

/** Share of each verdict over many worlds. */
interface Outcome {
  readonly truth: string;
  readonly holdout: number;
  readonly promote: number;
  readonly hold: number;
  readonly reject: number;
}

const outcomes: Outcome[] = [];
for (const holdout of [100, 400, 2000]) {
  for (const gain of [-0.05, -0.01, 0, 0.02, 0.05]) outcomes.push(await outcomeOf(gain, holdout));
}
const falseAlarms = await challengers(Math.ceil(tries / 10), 20, 400);
const result = { tries, outcomes, sequences: falseAlarms };
if (options.json) {
  console.log(JSON.stringify(result));
} else {
  console.table(outcomes.map(({ truth, holdout, ...shares }) => ({ "true gain": truth, holdout, ...shares })));
  console.log(
    `20 challengers that are no better, 400 held-out rows: ${falseAlarms.promoted} of ${falseAlarms.sequences} replaced`,
  );
}

async function outcomeOf(gain: number, holdout: number): Promise<Outcome> {
  const counts = { promote: 0, hold: 0, reject: 0 };
  for (let i = 0; i < tries; i++) {
    const world = new LoggedWorld(i);
    const active = world.logging;
    // Where nothing is gained the routing still differs: half of it goes elsewhere.
    const candidate = world.moved(world.exchanged(active, i), gain);
    const episodes = world.log({ size: TRAINING + holdout, seed: 1_000_000 + i });
    const { verdict } = await askAbout(world, episodes, { active, candidate }, { trainingRows: TRAINING });
    counts[verdict]++;
  }
  const share = (count: number): number => count / tries;
  return {
    truth: gain.toFixed(2),
    holdout,
    promote: share(counts.promote),
    hold: share(counts.hold),
    reject: share(counts.reject),
  };
}

/** How often any of a sequence of challengers that are no better replaces the active policy, all on one holdout. */
async function challengers(
  sequences: number,
  length: number,
  holdout: number,
): Promise<{ sequences: number; promoted: number }> {
  let promoted = 0;
  for (let i = 0; i < sequences; i++) {
    const world = new LoggedWorld(i);
    const episodes = world.log({ size: TRAINING + holdout, seed: 2_000_000 + i });
    for (let question = 1; question <= length; question++) {
      const candidate = world.exchanged(world.logging, 1000 * i + question);
      const policies = { active: world.logging, candidate };
      const { verdict } = await askAbout(world, episodes, policies, { trainingRows: TRAINING, question });
      if (verdict !== "promote") continue;
      promoted++;
      break;
    }
  }
  return { sequences, promoted };
}
