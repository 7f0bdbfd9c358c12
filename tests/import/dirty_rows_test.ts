/**
 * Rows that are not as they should be: each is left out or put right by its rule, and counted.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { importDatabase, type ImportReport } from "../../src/import/import_database.ts";
import { LegacySource } from "../../src/import/legacy_source.ts";
import { createPersistence } from "../../src/store/create.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { testOnEach, testOnEachEmpty } from "../store/databases.ts";
import { fillLegacy, idOf, legacyFeedback, legacyTrace, type LegacyValues } from "./legacy_database.ts";

/** Imports from a URL. */
async function run(url: string, store: RLCFPersistence, rejects: string[] = []): Promise<ImportReport> {
  await using source = await LegacySource.open(url);
  return await importDatabase(source, store, { onReject: ({ reason }) => rejects.push(reason) });
}

const dirtyFeedback = (changes: Record<string, unknown>): string =>
  JSON.stringify({ ...JSON.parse(String(legacyFeedback(0).feedback_json)) as object, ...changes });
const dirtyAction = (changes: Record<string, unknown>): string => {
  const [action] = JSON.parse(String(legacyTrace(0).actions_json)) as Record<string, unknown>[];
  return JSON.stringify([{ ...action, ...changes }]);
};

testOnEachEmpty("a dirty row is left out or put right by its rule, and counted", async (on) => {
  const traces: [LegacyValues, string?][] = [
    [legacyTrace(0)],
    [legacyTrace(1, { id: "row-1" }), "bad_id"],
    [legacyTrace(2, { actions_json: dirtyAction({ log_prob: 0.1 }) }), "positive_log_prob"],
    [legacyTrace(3, { actions_json: dirtyAction({ log_prob: 1e-8 }), total_log_prob: 1e-8 })],
    [legacyTrace(4, { created_at: null })],
    [legacyTrace(5, { created_at: null, actions_json: "[]" }), "no_date"],
    [legacyTrace(6, { actions_json: '{"a": 1}' }), "bad_record"],
    [legacyTrace(7, { total_log_prob: -9 })],
    [legacyTrace(8, { has_feedback: 0 })],
    [legacyTrace(9, { policy_version: "", expert_type: null, has_feedback: null })],
  ];
  const feedback: [LegacyValues, string?][] = [
    [legacyFeedback(0)],
    [legacyFeedback(2), "trace_rejected"],
    [legacyFeedback(99), "unknown_trace"],
    [legacyFeedback(3, { user_authority: 7 }), "out_of_range"],
    [legacyFeedback(4, { overall_score: 3.5 }), "out_of_range"],
    [legacyFeedback(7, { overall_score: null, user_authority: null })],
    [legacyFeedback(8, { created_at: null })],
    [legacyFeedback(0, { id: idOf(4, 1), feedback_json: dirtyFeedback({ query_id: "other" }) }), "other_query"],
    [
      legacyFeedback(0, { id: idOf(4, 2), feedback_json: dirtyFeedback({ retrieval_feedback: null }) }),
      "nothing_given",
    ],
    [legacyFeedback(0, { id: idOf(4, 3), feedback_json: dirtyFeedback({ overall_rating: 1.5 }) }), "out_of_range"],
    [legacyFeedback(0, { id: "x" }), "bad_id"],
  ];
  await fillLegacy(on, { rlcf_traces: traces.map(([row]) => row), rlcf_feedback: feedback.map(([row]) => row) });
  await using store = await createPersistence("sqlite://");
  const rejects: string[] = [];
  const report = await run(on.url, store, rejects);
  const wanted: Record<string, number> = {};
  for (const [, reason] of [...traces, ...feedback]) {
    if (reason !== undefined) wanted[reason] = (wanted[reason] ?? 0) + 1;
  }
  assert.deepEqual(report.rejected, wanted);
  assert.equal(rejects.length, Object.values(wanted).reduce((sum, n) => sum + n, 0));
  assert.ok(
    rejects.some((reason) => reason.startsWith("out_of_range: user_authority: found 7, wanted a number from 0")),
  );
  assert.deepEqual(report.repaired, {
    log_prob_rounded_to_0: 1,
    totals_recomputed: 1,
    // Rows 8 has feedback and said no; 9 has none and said nothing, which is no.
    has_feedback_corrected: 1,
    date_from_json: 2,
    score_recomputed: 1,
    default_authority: 1,
  });
  assert.equal((await store.getTrace(idOf(1, 3)))!.actions[0]!.logProb, 0);
  // Whatever was rejected is rejected again, and nothing is stored twice.
  const again = await run(on.url, store);
  assert.deepEqual(again.rejected, wanted);
  assert.deepEqual([again.traces.stored, again.feedback.stored, again.repaired], [0, 0, {}]);
});

Deno.test("sqlite: Python's bare NaN is told from broken JSON", async () => {
  const directory = await Deno.makeTempDir({ prefix: "rlcf-import-" });
  try {
    const url = `sqlite:///${directory}/legacy.db`;
    const query = (text: string): Promise<unknown> => {
      using database = new DatabaseSync(`${directory}/legacy.db`);
      return Promise.resolve(database.prepare(text).all());
    };
    await fillLegacy({ url, query }, {
      rlcf_traces: [
        legacyTrace(0, { actions_json: dirtyAction({ log_prob: -1 }).replace("-1", "NaN") }),
        legacyTrace(1, { metadata_json: '{"a": -Infinity}' }),
        legacyTrace(2, { actions_json: "[{" }),
        legacyTrace(3, { metadata_json: '{"note": "NaN, \\"Infinity\\""}' }),
      ],
      rlcf_training_sessions: [{
        id: idOf(5, 1),
        policy_type: "gating",
        status: "running",
        started_at: "2025-12-01 08:00:00",
        metrics_json: '{"loss": NaN}',
      }],
      rlcf_policy_checkpoints: [1, 2].map((i) => ({
        id: idOf(6, i),
        version: `v1.0.${i}`,
        policy_type: "gating",
        training_metrics: '{"loss": Infinity}',
        training_session_id: i === 1 ? idOf(5, 1) : idOf(5, 9),
        is_active: 1,
        created_at: "2025-12-01 08:00:00",
      })),
    });
    await using store = await createPersistence("sqlite://");
    const report = await run(url, store);
    assert.deepEqual(report.rejected, { not_finite: 2, not_json: 1 });
    assert.equal((await store.getTrace(idOf(1, 3)))!.metadata.note, 'NaN, "Infinity"');
    assert.deepEqual(report.repaired, {
      not_finite_to_null: 3,
      session_closed: 1,
      unknown_session_dropped: 1,
      several_active: 1,
      has_feedback_corrected: 1,
    });
    const [session] = await store.listTrainingSessions();
    assert.deepEqual([session!.status, session!.endedAt, session!.metrics], [
      "interrupted",
      "2025-12-01T08:00:00.000Z",
      { loss: null },
    ]);
    assert.equal(await store.getActivePolicy("gating"), null);
    assert.equal(report.was_active.length, 2);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

testOnEach("a version that the target has already is not overwritten", async ({ store }) => {
  const directory = await Deno.makeTempDir({ prefix: "rlcf-import-" });
  try {
    const query = (text: string): Promise<unknown> => {
      using database = new DatabaseSync(`${directory}/legacy.db`);
      return Promise.resolve(database.prepare(text).all());
    };
    const row = { id: idOf(6, 1), version: "v1.0.0", policy_type: "gating", created_at: "2025-12-01 08:00:00" };
    await fillLegacy({ url: "sqlite://", query }, { rlcf_policy_checkpoints: [row] });
    const own = await store.savePolicyCheckpoint({ version: "v1.0.0", policyType: "gating", trainingEpisodes: 7 });
    const report = await run(`sqlite:///${directory}/legacy.db`, store);
    assert.deepEqual(report.rejected, { version_taken: 1 });
    const kept = (await store.getPolicyCheckpoint("v1.0.0", "gating"))!;
    assert.deepEqual([kept.id, kept.trainingEpisodes], [own, 7]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
