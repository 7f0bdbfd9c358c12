// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * Whether PPO with the shipped configuration finds the best policy of a simulated task whose optimum is known, and how
 * many episodes it takes.
 *
 *     deno task bench:react [--rounds 120] [--episodes 64] [--seed 0] [--backend simd] [--json]
 *
 * The curve of the committed run is `bench/react.json`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { loadConfig } from "../src/config/load.ts";
import type { BackendName } from "../src/engine/engine.ts";
import { ReActPolicy } from "../src/policy/react_policy.ts";
import { greedyReturn, trainInWorld } from "../src/simulate/react_training.ts";
import { ReActWorld } from "../src/simulate/react_world.ts";
import { ppoConfigOf } from "../src/train/ppo_config.ts";

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    rounds: { type: "string", default: "120" },
    episodes: { type: "string", default: "64" },
    seed: { type: "string", default: "0" },
    backend: { type: "string", default: "simd" },
    json: { type: "boolean" },
  },
});
const [rounds, episodesPerRound, seed] = [options.rounds, options.episodes, options.seed].map(Number) as [
  number,
  number,
  number,
];

const path = `${import.meta.dirname}/../config/rlcf_training.yaml`;
const { config } = await loadConfig({ path, flags: { "training.seed": seed } });
const { stateDim, hiddenDim, actions, inputScale, stepPenalty } = config.reactPolicy;
await using policy = await ReActPolicy.create({
  stateDim,
  hiddenDim,
  actions,
  inputScale: inputScale === "auto" ? undefined : inputScale,
  seed,
  backend: options.backend as BackendName,
});
const world = new ReActWorld({ seed: seed + 1, stateDim });
const fresh = new ReActWorld({ seed: seed + 1, stateDim });
const optimum = world.optimum(stepPenalty);
const before = await greedyReturn(fresh, policy, 500, stepPenalty);
const startedAt = performance.now();
const curve = await trainInWorld({
  world,
  policy,
  config: ppoConfigOf(config),
  rounds,
  episodesPerRound,
  seed: seed + 2,
  onRound: ({ round, drawn, kl, entropy, explainedVariance }) => {
    if (round % 10 !== 0 || options.json) return;
    const numbers = { drawn, of_optimum: drawn / optimum, kl, entropy, explained: explainedVariance };
    const shown = Object.entries(numbers).map(([name, value]) => `${name} ${value.toFixed(3)}`);
    console.log(`round ${round}: ${shown.join(", ")}`);
  },
});
const seconds = (performance.now() - startedAt) / 1000;
const greedy = await greedyReturn(fresh, policy, 500, stepPenalty);
const drawn = curve.slice(-5).reduce((sum, round) => sum + round.drawn, 0) / Math.min(5, curve.length);
const rounded = (value: number): number => Number(value.toPrecision(4));
const result = {
  seed,
  backend: policy.actor.backend,
  episodes: rounds * episodesPerRound,
  optimum: rounded(optimum),
  fresh: rounded(before),
  drawn: rounded(drawn),
  greedy: rounded(greedy),
  share_of_optimum: rounded(greedy / optimum),
  episodes_to_95_percent: curve.find((round) => round.drawn >= 0.95 * optimum)?.episodes ?? null,
  seconds: rounded(seconds),
  curve: curve.filter(({ round }) => round % 5 === 0 || round === 1).map((round) => ({
    episodes: round.episodes,
    drawn: rounded(round.drawn),
    entropy: rounded(round.entropy),
    kl: rounded(round.kl),
  })),
};
console.log(options.json ? JSON.stringify(result) : result);
