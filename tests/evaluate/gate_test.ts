import assert from "node:assert/strict";
import {
  alphaOf,
  decide,
  GATE_ALPHA,
  type GateEvidence,
  type GateReport,
  type GateVerdict,
  judge,
  rowsToSee,
} from "../../src/evaluate/gate.ts";
import { normalQuantile } from "../../src/evaluate/normal.ts";
import { type Comparison, PairedDifferences } from "../../src/evaluate/paired.ts";
import { drawnRow, episodesOf } from "../episodes/rows.ts";
import { LoggedWorld } from "../support/logged_world.ts";
import { askAbout } from "../support/gate_trial.ts";
import { allRows } from "../train/support.ts";

/** n rows, by default of as many users, whose differences are `mean` give or take `spread`. */
function differences(
  mean: number,
  spread: number,
  n = 100,
  userOf = (i: number): string => `u${i}`,
): PairedDifferences {
  const rows = Array.from({ length: n }, (_, i) => drawnRow({ traceId: `t${i}`, queryId: `q${i}`, userId: userOf(i) }));
  const values = Float64Array.from(rows, (_, i) => mean + (i % 2 === 0 ? spread : -spread));
  return new PairedDifferences(episodesOf(rows), allRows(n), values);
}

const LEVELS_FLAT = { retrieval: null, reasoning: null, synthesis: null };

/** Evidence against the active v1.0.0. */
function evidence(change: Partial<GateEvidence> = {}): GateEvidence {
  return {
    activeVersion: "v1.0.0",
    incomparable: null,
    notIdentified: [],
    total: differences(0.1, 0.1),
    method: "doubly_robust",
    levels: LEVELS_FLAT,
    candidate: 0.8,
    rival: 0.7,
    effectiveRows: 60,
    question: 1,
    levelMargin: 0.05,
    feedbackPerRow: 5,
    ...change,
  };
}

function level(mean: number): Comparison {
  return differences(mean, 0.01).compare()!;
}

const FIRST = { activeVersion: null };

/** Evidence, the verdict, and what `gated` says of it. */
const table: [string, Partial<GateEvidence>, GateVerdict, RegExp][] = [
  [
    "better beyond chance",
    {},
    "promote",
    /^activated: estimated value 0\.800 against 0\.700 of the active v1\.0\.0 on 100 held-out episodes, a gain of at least 0\.07\d beyond chance$/,
  ],
  [
    "better, but maybe by chance",
    { total: differences(0.01, 0.2), candidate: 0.71 },
    "hold",
    /^not activated, v1\.0\.0 stays: estimated value 0\.710 against .*: the difference, -0\.0\d\d to \+0\.0\d\d, can be chance; about [\d,]+ more feedbacks would show a gain of 0\.02$/,
  ],
  ["the same routing", { total: differences(0, 0) }, "hold", /can be chance; a gain of 0\.02 would have shown$/],
  [
    "worse beyond chance",
    { total: differences(-0.1, 0.1), candidate: 0.6 },
    "reject",
    /^not activated, v1\.0\.0 stays: .*, worse by at least 0\.07\d beyond chance$/,
  ],
  [
    "better beyond chance on rows that hardly weigh",
    { effectiveRows: 12.7 },
    "hold",
    /they weigh as much as 12, and 30 are wanted; /,
  ],
  ["better beyond chance on few rows", { total: differences(0.1, 0.01, 20) }, "hold", /weigh as much as 20/],
  [
    "better in total while a level falls",
    { levels: { ...LEVELS_FLAT, retrieval: level(0.2), synthesis: level(-0.06) } },
    "reject",
    /^not activated, .*, but synthesis falls by 0\.060, more than 0\.05$/,
  ],
  [
    "better in total while a level falls within the margin",
    { levels: { ...LEVELS_FLAT, reasoning: level(-0.04) } },
    "promote",
    /^activated/,
  ],
  [
    "a level falls, and the total is not shown to rise",
    { total: differences(0.01, 0.2), levels: { ...LEVELS_FLAT, reasoning: level(-0.3) } },
    "hold",
    /can be chance/,
  ],
  [
    "better by the model alone, on a log that cannot confirm it",
    { notIdentified: ["the mixtures follow from the query"], method: "direct", effectiveRows: 0 },
    "hold",
    /v1\.0\.0 stays: .*: the log cannot confirm it \(the mixtures follow from the query\)$/,
  ],
  [
    "nothing held out, with one active",
    { total: null, candidate: null, rival: null },
    "hold",
    /^not activated, v1\.0\.0 stays: nothing was held out to judge it by$/,
  ],
  [
    "an active policy that cannot be compared",
    { incomparable: "knows other inputs or experts" },
    "promote",
    /of the logged routing on 100 held-out episodes; v1\.0\.0 knows other inputs or experts$/,
  ],
  [
    "a first version above the log, however little",
    { ...FIRST, total: differences(0.001, 0.5, 6), effectiveRows: 2 },
    "promote",
    /^activated: estimated value 0\.800 against 0\.700 of the logged routing on 6 held-out episodes$/,
  ],
  [
    "a first version below the log",
    { ...FIRST, total: differences(-0.1, 0.1), candidate: 0.6 },
    "hold",
    /^not activated: estimated value 0\.600 against 0\.700 of the logged routing/,
  ],
  [
    "a first version with nothing held out",
    { ...FIRST, total: null, candidate: null, rival: null },
    "promote",
    /^activated: it is the first version, although nothing was held out to judge it by$/,
  ],
  [
    "a first version of which the log says nothing",
    { ...FIRST, total: null, candidate: null, notIdentified: ["systemic was never used"] },
    "promote",
    /^activated: it is the first version, although the holdout says nothing about it \(systemic was never used\)$/,
  ],
  [
    "a first version that a few episodes speak for, where these can carry all the weight",
    { ...FIRST, plainNeedsRows: true, effectiveRows: 29, logName: "what was logged" },
    "hold",
    /^not activated: estimated value 0\.800 against 0\.700 of what was logged on 100 held-out episodes, but they weigh as much as 29, and 30 are wanted$/,
  ],
  [
    "a first version that enough episodes speak for",
    { ...FIRST, plainNeedsRows: true, effectiveRows: 30 },
    "promote",
    /^activated: estimated value 0\.800 against 0\.700 of the logged routing on 100 held-out episodes$/,
  ],
  [
    "a first version of which the log says nothing, where that matters",
    { ...FIRST, plainNeedsRows: true, total: null, candidate: null, notIdentified: ["stop was never taken"] },
    "hold",
    /^not activated: the holdout says nothing about it \(stop was never taken\)$/,
  ],
  [
    "a first version with nothing held out, where rows matter",
    { ...FIRST, plainNeedsRows: true, total: null, candidate: null, rival: null },
    "promote",
    /^activated: it is the first version, although nothing was held out to judge it by$/,
  ],
];

for (const [name, change, verdict, reason] of table) {
  Deno.test(`the gate's verdict is ${verdict}: ${name}`, () => {
    const gate = judge(evidence(change));
    assert.equal(gate.verdict, verdict, gate.reason);
    const gated = decide("gated", gate);
    assert.equal(gated.activate, verdict === "promote");
    assert.match(gated.reason, reason);
    assert.deepEqual(JSON.parse(JSON.stringify(gate)), gate);
  });
}

Deno.test("always activates and never does not, whatever the verdict", () => {
  for (const [, change] of table) {
    const gate = judge(evidence(change));
    const [always, never] = [decide("always", gate), decide("never", gate)];
    assert.deepEqual([always.activate, never.activate], [true, false]);
    assert.match(always.reason, /^activated without asking: checkpoint\.activate is always$/);
    assert.match(never.reason, /^not activated: asked not to/);
  }
});

Deno.test("each further challenger of an active policy may spend less, and all together spend 2.5%", () => {
  let spent = 0;
  for (let question = 1; question <= 100_000; question++) {
    spent += alphaOf(question);
    assert.ok(alphaOf(question + 1) < alphaOf(question));
  }
  assert.ok(spent < GATE_ALPHA && spent > 0.9999 * GATE_ALPHA);
  // What is beyond chance for the first challenger need not be for the thirtieth.
  const total = differences(0.03, 0.12);
  assert.equal(judge(evidence({ total })).verdict, "promote");
  assert.equal(judge(evidence({ total, question: 30 })).verdict, "hold");
});

Deno.test("the number of rows that would show a gain is that of the textbook", () => {
  const comparison = differences(0, 0.5, 1000).compare()!;
  const wanted = (0.5 * (normalQuantile(0.975) + normalQuantile(0.8)) / 0.02) ** 2;
  assert.ok(Math.abs(rowsToSee(comparison, 0.025) / wanted - 1) < 0.002);
  // Reported as feedback beyond what is there, for the next question.
  const gate = judge(evidence({ total: differences(0.001, 0.5, 1000) }));
  assert.equal(gate.feedback_needed, (rowsToSee(gate2Comparison(gate), alphaOf(2)) - 1000) * 5);
});

/** A comparison with the numbers of a report. */
function gate2Comparison({ total }: GateReport): Comparison {
  return { difference: total!.difference, standardError: total!.standard_error, rows: total!.rows, margin: () => NaN };
}

Deno.test("users without whom the verdict would be another are named", () => {
  // One of 50 users stands behind half of the rows, and alone sees a gain.
  const rows = 100;
  const userOf = (i: number): string => i < 50 ? "enthusiast" : `u${i}`;
  const logged = Array.from(
    { length: rows },
    (_, i) => drawnRow({ traceId: `t${i}`, queryId: `q${i}`, userId: userOf(i) }),
  );
  const values = (gain: number): Float64Array =>
    Float64Array.from(logged, (_, i) => (i < 50 ? gain : 0) + (i % 2 === 0 ? 0.01 : -0.01));
  const total = (gain: number): PairedDifferences =>
    new PairedDifferences(episodesOf(logged), allRows(rows), values(gain));
  assert.deepEqual(judge(evidence({ ...FIRST, total: total(0.1) })).decisive_users, []);
  const spoiled = values(0.1).map((value, i) => i < 50 ? value : value - 0.02);
  const gate = judge(evidence({
    ...FIRST,
    total: new PairedDifferences(episodesOf(logged), allRows(rows), spoiled),
  }));
  assert.deepEqual([gate.verdict, gate.decisive_users], ["promote", ["enthusiast"]]);
  // Against an active policy one such user is not enough: the bound over users is wide.
  assert.equal(judge(evidence({ total: total(0.1) })).verdict, "hold");
  // Where everybody sees the gain, nobody decides.
  assert.deepEqual(judge(evidence()).decisive_users, []);
});

Deno.test("in known worlds a clearly better candidate is promoted and one that is no better is not", async () => {
  const verdicts = { better: 0, worse: 0, same: 0 };
  const tries = 25;
  for (let seed = 0; seed < tries; seed++) {
    const world = new LoggedWorld(seed);
    const episodes = world.log({ size: 2500, seed: 4000 + seed });
    const asked = async (gain: number): Promise<GateVerdict> => {
      const candidate = world.moved(world.exchanged(world.logging, seed), gain);
      const policies = { active: world.logging, candidate };
      return (await askAbout(world, episodes, policies, { trainingRows: 500 })).verdict;
    };
    if (await asked(0.05) === "promote") verdicts.better++;
    if (await asked(-0.02) === "promote") verdicts.worse++;
    if (await asked(0) === "promote") verdicts.same++;
  }
  // bench/gate.ts asks a thousand times.
  assert.ok(verdicts.better >= 24, `better: ${verdicts.better}`);
  assert.equal(verdicts.worse, 0);
  assert.ok(verdicts.same <= 2, `same: ${verdicts.same}`);
});

Deno.test("a candidate that gains in total by giving up a level is stopped", async () => {
  const world = new LoggedWorld(3);
  // The best expert of each kind earns more, but the second expert's syntheses are poor.
  const episodes = world.log({ size: 3000, seed: 1, synthesisShift: [0, -0.3, 0, 0] });
  const candidate = world.moved(world.logging, 0.04).map((p, k) => k % 4 === 1 ? 0.6 + 0.4 * p : 0.4 * p);
  const gain = world.valueOf(candidate) - world.valueOf(world.logging);
  const better = world.moved(candidate, 0.03 - gain);
  const gate = await askAbout(world, episodes, { active: world.logging, candidate: better }, { trainingRows: 500 });
  assert.ok(gate.total!.lower > 0, gate.reason);
  assert.deepEqual([gate.verdict, gate.falling_levels], ["reject", ["synthesis"]]);
  const lenient = await askAbout(world, episodes, { active: world.logging, candidate: better }, {
    trainingRows: 500,
    levelMargin: 0.5,
  });
  assert.equal(lenient.verdict, "promote");
});

Deno.test("a soft log of random mixtures is judged; one whose mixtures follow from the query holds, by name", async () => {
  const world = new LoggedWorld(8);
  const policies = { active: world.logging, candidate: world.moved(world.logging, 0.08) };
  const random = world.log({ size: 3000, seed: 8, soft: "random" });
  const judged = await askAbout(world, random, policies, { trainingRows: 500 });
  assert.deepEqual([judged.verdict, judged.method], ["promote", "doubly_robust"], judged.reason);
  const followed = world.log({ size: 1500, seed: 8, soft: "policy" });
  const held = await askAbout(world, followed, policies, { trainingRows: 500 });
  assert.deepEqual([held.verdict, held.method, held.feedback_needed], ["hold", "direct", null]);
  assert.match(held.reason, /the log cannot confirm it \(the mixtures follow from the query/);
  // A first version has nothing to lose: the model's word is enough.
  const first = await askAbout(world, followed, { ...policies, active: null }, { trainingRows: 500 });
  assert.deepEqual([first.rule, first.method], ["plain", "direct"]);
});
