import assert from "node:assert/strict";
import fc from "fast-check";
import type { TrainingSegment, TrainingState } from "../../src/engine/engine.ts";
import type { EpisodeSet } from "../../src/episodes/episode_set.ts";
import { GatingPolicy } from "../../src/policy/gating_policy.ts";
import type { Objective } from "../../src/train/objective.ts";
import { SingleStepTrainer, type TrainerState } from "../../src/train/single_step_trainer.ts";
import { epochsFor, type RunCursor, TrainingRun } from "../../src/train/training_run.ts";
import { allRows, syntheticEpisodes, testBackends } from "./support.ts";

const { episodes: DRAWN } = syntheticEpisodes({ size: 50, noise: 0.1 });
const { episodes: MIXED } = syntheticEpisodes({ size: 50, noise: 0.1, soft: true });
/** Some rows are held out. */
const ROWS = allRows(50).filter((row) => row % 7 !== 0);

interface RunOptions {
  readonly episodes?: EpisodeSet;
  readonly objective?: Objective;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly seed?: number;
  /** Rows that each call of advance() is asked for; the last is repeated. */
  readonly portions?: readonly number[];
}

interface Outcome {
  readonly engine: TrainingState;
  readonly trainer: TrainerState;
  /** Loss of every step. */
  readonly losses: readonly number[];
  /** Rows in the order of their visits. */
  readonly visits: readonly number[];
}

/** A trainer of a fresh policy that notes the rows it visits. */
async function watchedTrainer(
  state?: TrainerState,
): Promise<{ trainer: SingleStepTrainer; segments: TrainingSegment[] }> {
  const policy = await GatingPolicy.create({ inputDim: 6, hiddenDim: 4, seed: 1, backend: "cpu" });
  const segments: TrainingSegment[] = [];
  const train = policy.engine.train.bind(policy.engine);
  policy.engine.train = (segment) => {
    segments.push(segment);
    return train(segment);
  };
  return { trainer: new SingleStepTrainer({ policy, ...(state === undefined ? {} : { state }) }), segments };
}

function start(trainer: SingleStepTrainer, options: RunOptions, cursor?: RunCursor): Promise<TrainingRun> {
  const { episodes = DRAWN, objective = "reinforce", epochs = 3, batchSize = 8, seed = 7 } = options;
  return TrainingRun.start({ trainer, episodes, trainingRows: ROWS, objective, epochs, batchSize, seed, cursor });
}

async function runWhole(options: RunOptions = {}): Promise<Outcome> {
  const { trainer, segments } = await watchedTrainer();
  await using policy = trainer.policy;
  const run = await start(trainer, options);
  const losses: number[] = [];
  const portions = options.portions ?? [1e9];
  for (let i = 0; !run.done; i++) {
    losses.push(...(await run.advance(portions[Math.min(i, portions.length - 1)]!)).loss);
  }
  const visits = segments.flatMap(({ rows }) => [...rows]);
  return { engine: await policy.engine.read(), trainer: trainer.state, losses, visits };
}

Deno.test("every pass visits every training row once, and no other", async () => {
  const { visits } = await runWhole();
  assert.equal(visits.length, 3 * ROWS.length);
  for (let pass = 0; pass < 3; pass++) {
    const visited = visits.slice(pass * ROWS.length, (pass + 1) * ROWS.length);
    assert.deepEqual(visited.toSorted((a, b) => a - b), [...ROWS]);
  }
});

Deno.test("every pass has an order of its own, which comes from the seed alone", async () => {
  const [first, again, other] = [await runWhole(), await runWhole({ objective: "soft" }), await runWhole({ seed: 8 })];
  assert.deepEqual(first.visits, again.visits);
  assert.notDeepEqual(first.visits, other.visits);
  assert.notDeepEqual(first.visits.slice(0, ROWS.length), first.visits.slice(ROWS.length, 2 * ROWS.length));
  // The order of a pass does not depend on how many passes there are.
  const shorter = await runWhole({ epochs: 2 });
  assert.deepEqual(shorter.visits, first.visits.slice(0, 2 * ROWS.length));
});

for (const objective of ["reinforce", "direct", "doubly_robust", "soft"] as const) {
  const episodes = objective === "direct" ? MIXED : DRAWN;
  Deno.test(`cutting a run into portions changes no bit of the result (${objective})`, async () => {
    const whole = await runWhole({ objective, episodes });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: 0.5, max: 60, noNaN: true }), { minLength: 1 }), async (portions) => {
        assert.deepEqual(await runWhole({ objective, episodes, portions }), { ...whole });
      }),
      { seed: 1, numRuns: 8 },
    );
  });

  Deno.test(`a run taken up from its cursor and its states ends in the same bits (${objective})`, async () => {
    const whole = await runWhole({ objective, episodes });
    for (const stopAfter of [1, 4, 6, 11, 16]) {
      const { trainer } = await watchedTrainer();
      await using policy = trainer.policy;
      const run = await start(trainer, { objective, episodes });
      for (let i = 0; i < stopAfter; i++) await run.advance(8);
      const saved = JSON.parse(JSON.stringify({ cursor: run.cursor, trainer: trainer.state }));
      const visitedBefore = run.visited;

      const { trainer: second } = await watchedTrainer(saved.trainer);
      await using other = second.policy;
      await other.engine.load(await policy.engine.read());
      const resumed = await start(second, { objective, episodes }, saved.cursor);
      assert.equal(resumed.visited, visitedBefore);
      while (!resumed.done) await resumed.advance(20);
      assert.deepEqual(await other.engine.read(), whole.engine, `stopped after ${stopAfter} steps`);
      assert.deepEqual(second.state, whole.trainer);
    }
  });
}

Deno.test("a run counts what it visited and knows when it is done", async () => {
  const { trainer } = await watchedTrainer();
  await using _policy = trainer.policy;
  const run = await start(trainer, { epochs: 2 });
  assert.deepEqual([run.visited, run.total, run.done], [0, 2 * ROWS.length, false]);
  await run.advance(9);
  assert.deepEqual([run.visited, run.cursor], [16, { epoch: 0, position: 16 }]);
  await run.advance(1000);
  assert.deepEqual([run.visited, run.cursor], [ROWS.length, { epoch: 1, position: 0 }]);
  await run.advance(1000);
  assert.deepEqual([run.visited, run.total, run.done], [2 * ROWS.length, 2 * ROWS.length, true]);
});

Deno.test("sample weights reach the engine with a mean of 1 over the training rows", async () => {
  const { trainer, segments } = await watchedTrainer();
  await using _policy = trainer.policy;
  const run = await start(trainer, {});
  await run.advance(1000);
  const { rows, sampleWeights } = segments[0]!;
  const mean = sampleWeights.reduce((sum, weight) => sum + weight, 0) / rows.length;
  assert.ok(Math.abs(mean - 1) < 1e-6, `mean ${mean}`);
  const [a, b] = [rows[0]!, rows[1]!];
  const wanted = DRAWN.sampleWeights[a]! / DRAWN.sampleWeights[b]!;
  assert.ok(Math.abs(sampleWeights[0]! / sampleWeights[1]! - wanted) < 1e-6);
});

for (const backend of await testBackends()) {
  // The software GPU needs seconds for what the others do in milliseconds.
  Deno.test(`the same run twice gives the same bits (${backend.label})`, { ignore: backend.ignore }, async () => {
    const once = async (): Promise<TrainingState> => {
      await using policy = await GatingPolicy.create({ inputDim: 6, hiddenDim: 4, seed: 1, backend: backend.name });
      const run = await start(new SingleStepTrainer({ policy }), { epochs: 1 });
      while (!run.done) await run.advance(20);
      return await policy.engine.read();
    };
    assert.deepEqual(await once(), await once());
  });
}

Deno.test("auto makes the passes that 900 steps need, 3000 for a linear policy, and never fewer than three", () => {
  const sizes = { batchSize: 32, hiddenDim: 256 };
  assert.equal(epochsFor(7, 1000, sizes), 7);
  // 32 steps a pass.
  assert.equal(epochsFor("auto", 1000, sizes), 29);
  assert.equal(epochsFor("auto", 1000, { ...sizes, hiddenDim: 0 }), 94);
  assert.equal(epochsFor("auto", 1, sizes), 900);
  assert.equal(epochsFor("auto", 1_000_000, sizes), 3);
});
