import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import type { EpisodeSet } from "../../src/episodes/episode_set.ts";
import type { EvaluatedRows } from "../../src/evaluate/estimators.ts";
import { normalQuantile, studentQuantile } from "../../src/evaluate/normal.ts";
import { PairedDifferences, pairedDifferences } from "../../src/evaluate/paired.ts";
import { drawnRow, episodesOf } from "../episodes/rows.ts";
import { allRows } from "../train/support.ts";

function near(found: number, wanted: number): void {
  assert.ok(
    Math.abs(found - wanted) < 1e-12 * Math.max(1, Math.abs(wanted)) + 1e-12,
    `found ${found}, wanted ${wanted}`,
  );
}

/** Rows of the given users and weights. */
function judged(users: readonly (string | null)[], weights: readonly number[] = users.map(() => 1)): EpisodeSet {
  return episodesOf(
    users.map((userId, i) => drawnRow({ traceId: `t${i}`, queryId: `q${i}`, userId, userAuthority: weights[i]! })),
  );
}

Deno.test("differences are formed row by row, and vanish where both route alike", () => {
  const common = { rewards: Float64Array.of(0.9, 0.2), sampleWeights: Float64Array.of(1, 1) };
  const mine: EvaluatedRows = {
    ...common,
    rho: Float64Array.of(2, 1),
    routed: Float64Array.of(0.6, 0.5),
    logged: Float64Array.of(0.7, 0.4),
  };
  const theirs: EvaluatedRows = { ...mine, rho: Float64Array.of(0.5, 1), routed: Float64Array.of(0.4, 0.5) };
  const found = pairedDifferences("doubly_robust", mine, theirs);
  near(found[0]!, 0.2 + 1.5 * 0.2);
  near(found[1]!, 0);
  assert.deepEqual(Array.from(pairedDifferences("clipped_ips", mine, theirs)), [0.9 * 1.5, 0]);
  near(pairedDifferences("direct", mine, theirs)[0]!, 0.2);
  // Against the log, what was earned is known.
  near(pairedDifferences("doubly_robust", mine, undefined)[0]!, 0.6 + 2 * 0.2 - 0.9);
});

Deno.test("the mean is weighted, and its error is that of independent rows where everybody judged once", () => {
  const episodes = judged([null, null, null], [1, 0.5, 0.5]);
  const found = new PairedDifferences(episodes, allRows(3), Float64Array.of(0.2, -0.1, 0.4)).compare()!;
  const mean = (0.2 - 0.05 + 0.2) / 2;
  near(found.difference, mean);
  const squares = (0.2 - mean) ** 2 + (0.5 * (-0.1 - mean)) ** 2 + (0.5 * (0.4 - mean)) ** 2;
  near(found.standardError, Math.sqrt(squares * 3 / 2) / 2);
  near(found.margin(0.025), studentQuantile(0.975, 2) * found.standardError);
});

Deno.test("one person's many votes count as one where they agree", () => {
  const users = Array.from({ length: 40 }, (_, i) => `u${i % 4}`);
  const differences = Float64Array.from(users, (_, i) => [0.3, -0.1, 0.2, 0.1][i % 4]!);
  const many = new PairedDifferences(judged(users), allRows(40), differences).compare()!;
  const once = new PairedDifferences(judged(users.slice(0, 4)), allRows(4), differences.subarray(0, 4)).compare()!;
  near(many.difference, once.difference);
  near(many.standardError, once.standardError);
  near(many.margin(0.01), studentQuantile(0.99, 3) * many.standardError);
});

Deno.test("all rows of a single user are judged as rows", () => {
  const found = new PairedDifferences(judged(["u", "u", "u"]), allRows(3), Float64Array.of(0.1, 0.2, 0.3)).compare()!;
  near(found.standardError, 0.1 / Math.sqrt(3));
  near(found.margin(0.025), normalQuantile(0.975) * found.standardError);
});

Deno.test("leaving a user out is the same as never having heard from that user", () => {
  const random = new Random(5);
  const users = Array.from({ length: 60 }, () => random.below(10) === 0 ? null : `u${random.below(6)}`);
  const weights = users.map(() => 0.2 + 0.8 * random.uniform());
  const differences = Float64Array.from(users, () => random.normal());
  const all = new PairedDifferences(judged(users, weights), allRows(60), differences);
  for (const user of all.users) {
    const kept = users.map((_, i) => i).filter((i) => users[i] !== user);
    const alone = new PairedDifferences(
      judged(kept.map((i) => users[i]!), kept.map((i) => weights[i]!)),
      allRows(kept.length),
      Float64Array.from(kept, (i) => differences[i]!),
    ).compare()!;
    const without = all.compare(user)!;
    assert.equal(without.rows, alone.rows);
    near(without.difference, alone.difference);
    near(without.standardError, alone.standardError);
    near(without.margin(0.01), alone.margin(0.01));
  }
});

Deno.test("rows without a number are left out, and fewer than two rows compare nothing", () => {
  const episodes = judged(["u", "v", "w"]);
  const some = new PairedDifferences(episodes, allRows(3), Float64Array.of(0.1, NaN, 0.3)).compare()!;
  assert.equal(some.rows, 2);
  near(some.difference, 0.2);
  assert.equal(new PairedDifferences(episodes, allRows(3), Float64Array.of(NaN, NaN, 0.3)).compare(), null);
  assert.equal(new PairedDifferences(episodes, new Uint32Array(0), new Float64Array(0)).compare(), null);
  assert.equal(new PairedDifferences(judged(["u", "v"]), allRows(2), Float64Array.of(0.1, 0.2)).compare("v"), null);
});
