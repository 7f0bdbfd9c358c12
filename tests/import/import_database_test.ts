/**
 * The import of whole databases: what the original wrote arrives, once, and nothing of the source changes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { importDatabase, type ImportReport } from "../../src/import/import_database.ts";
import { LegacySource } from "../../src/import/legacy_source.ts";
import { isSameDatabase, openReadOnly } from "../../src/import/read_only.ts";
import { CompiledQuery } from "kysely";
import { createPersistence } from "../../src/store/create.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { parseDatabaseUrl } from "../../src/store/url.ts";
import { testOnEach, testOnEachEmpty } from "../store/databases.ts";
import { hasShared, readShared, sharedUrl } from "../support/shared.ts";
import { fillLegacy, goldenRows, idOf, legacyFeedback, legacyTrace } from "./legacy_database.ts";

interface Expected {
  readonly stats: Readonly<Record<string, { total_traces: number; traces_with_feedback: number; avg_score: number }>>;
  readonly scores_by_feedback_id: Readonly<Record<string, number>>;
  readonly strictly_trainable_trace_ids: { readonly with_feedback: readonly string[] };
  readonly traces_without_feedback_default: readonly string[];
}

/** Imports from a URL. */
async function run(url: string, store: RLCFPersistence, rejects: string[] = []): Promise<ImportReport> {
  await using source = await LegacySource.open(url);
  return await importDatabase(source, store, { onReject: ({ reason }) => rejects.push(reason) });
}

/** What the golden database must look like after its import. */
async function checkGolden(store: RLCFPersistence): Promise<void> {
  const expected = await readShared<Expected>("golden/merlt_legacy.expected.json");
  const stats = await store.getTrainingStats();
  const { total_traces, traces_with_feedback, avg_score } = expected.stats.None!;
  assert.deepEqual([stats.total_traces, stats.traces_with_feedback, stats.total_feedback], [60, 48, 63]);
  assert.deepEqual([total_traces, traces_with_feedback], [60, 48]);
  assert.ok(Math.abs(stats.avg_score! - avg_score) < 1e-12);
  for (const version of ["v1.0.0", "v1.0.1"]) {
    const { total_traces, traces_with_feedback } = await store.getTrainingStats(version);
    const wanted = expected.stats[version]!;
    assert.deepEqual({ total_traces, traces_with_feedback }, {
      total_traces: wanted.total_traces,
      traces_with_feedback: wanted.traces_with_feedback,
    });
  }
  const waiting = (await store.getTracesWithoutFeedback()).map(([id]) => id);
  assert.deepEqual(waiting, expected.traces_without_feedback_default);
  const { with_feedback } = expected.strictly_trainable_trace_ids;
  const trainable = new Set<string>();
  const scores: number[] = [];
  const window = { since: null, until: "2026-06-01T00:00:00Z", maxFeedback: 1000 };
  for await (const page of store.readTrainingRows(window)) {
    for (const row of page) {
      scores.push(row.score);
      if (row.logKind === "soft" && row.embedding?.length === 768 && Object.keys(row.gatingWeights).length === 4) {
        trainable.add(row.traceId);
      }
    }
  }
  assert.deepEqual([...trainable].toSorted(), with_feedback.toSorted());
  assert.deepEqual(scores.toSorted(), Object.values(expected.scores_by_feedback_id).toSorted());
}

if (hasShared) {
  testOnEach("the original's database arrives with its ids, scores, versions and sessions", async ({ store }) => {
    const url = `sqlite:///${sharedUrl("golden/merlt_legacy.db").pathname}`;
    const report = await run(url, store);
    assert.deepEqual(report.traces, { read: 60, stored: 60, known: 0, rejected: 0 });
    assert.deepEqual(report.feedback, { read: 63, stored: 63, known: 0, rejected: 0 });
    assert.deepEqual([report.rejected, report.repaired], [{}, {}]);
    assert.deepEqual(report.was_active, [
      { policy_type: "gating", version: "v1.0.1", path: "models/policies/gating_v1.0.1.pt" },
    ]);
    await checkGolden(store);
    const sessions = await store.listTrainingSessions();
    assert.deepEqual(sessions.map(({ status, errorMessage }) => [status, errorMessage]), [
      ["failed", "No multi-step trajectories: stato «vuoto»"],
      ["completed", null],
    ]);
    assert.equal((sessions[1]!.metrics.trace_ids as string[]).length, 24);
    const versions = await store.listPolicyCheckpoints();
    assert.deepEqual(versions.map(({ version, isActive, trainingEpisodes }) => [version, isActive, trainingEpisodes]), [
      ["v0.1.0-react", false, 0],
      ["v1.0.1", false, 24],
      ["v1.0.0", false, 0],
    ]);
    assert.equal(versions[1]!.trainingSessionId, sessions[1]!.id);
    assert.equal(versions[1]!.activatedAt, "2025-12-07T08:00:01.000Z");
    // A second run finds everything there.
    const again = await run(url, store);
    assert.deepEqual([again.traces.known, again.feedback.known, again.traces.stored, again.feedback.stored], [
      60,
      63,
      0,
      0,
    ]);
    await checkGolden(store);
  });

  testOnEachEmpty("the same content with the original's types on this database arrives alike", async (on) => {
    await fillLegacy(on, goldenRows());
    await using store = await createPersistence("sqlite://");
    const report = await run(on.url, store);
    assert.deepEqual([report.rejected, report.repaired], [{}, {}]);
    await checkGolden(store);
  });
} else {
  Deno.test.ignore(
    "the original's database arrives with its ids, scores, versions and sessions (no ../shared)",
    () => {},
  );
}

testOnEachEmpty("dates, scores, users and embeddings are kept; the embedding is stored once as float32", async (on) => {
  await fillLegacy(on, { rlcf_traces: [legacyTrace(1)], rlcf_feedback: [legacyFeedback(1)] });
  await using store = await createPersistence("sqlite://");
  await run(on.url, store);
  const trace = (await store.getTrace(idOf(1, 1)))!;
  assert.equal(trace.createdAt, "2025-12-01T08:00:00.123Z");
  assert.deepEqual(trace.actions[0]!.metadata.query_embedding, [0.5, 0.125]);
  const rows = await Array.fromAsync(
    store.readTrainingRows({ since: "2025-12-01T09:00:00Z", until: "2025-12-01T09:00:00Z", maxFeedback: 9 }, {
      withFeedback: true,
    }),
  );
  const [row] = rows.flat();
  // The original's F1 of 0.8 and 0.4, not our mean of the three numbers.
  assert.equal(row!.score, 0.5333333333333333);
  assert.deepEqual([row!.userId, row!.userAuthority], ["user_1", 0.8]);
  assert.equal(row!.feedback!.timestamp, "2025-12-01T10:00:00.000Z");
});

testOnEachEmpty("the source cannot be written to through the connection that reads it", async (on) => {
  await fillLegacy(on, { rlcf_traces: [legacyTrace(1)] });
  const { db } = openReadOnly(parseDatabaseUrl(on.url));
  try {
    const remove = CompiledQuery.raw("delete from rlcf_traces");
    await assert.rejects(db.executeQuery(remove), /read-?only/);
    await assert.rejects(db.transaction().execute((transaction) => transaction.executeQuery(remove)), /read-?only/);
  } finally {
    await db.destroy();
  }
  assert.equal((await on.query("select id from rlcf_traces")).length, 1);
});

testOnEachEmpty("pages are bounded, whatever the number of rows and of feedback on one trace", async (on) => {
  const traces = Array.from({ length: 450 }, (_, i) => legacyTrace(i));
  const many = Array.from({ length: 1100 }, (_, i) => legacyFeedback(7, { id: idOf(3, i) }));
  await fillLegacy(on, { rlcf_traces: traces, rlcf_feedback: many });
  await using source = await LegacySource.open(on.url);
  const sizes = (await Array.fromAsync(source.pages("rlcf_traces"))).map((page) => page.length);
  assert.deepEqual(sizes, [200, 200, 50]);
  const pages = await Array.fromAsync(source.feedbackOn(traces.map(({ id }) => String(id))));
  assert.deepEqual(pages.map((page) => page.length), [500, 500, 100]);
  await using store = await createPersistence("sqlite://");
  const report = await importDatabase(source, store);
  assert.deepEqual([report.traces.stored, report.feedback.stored], [450, 1100]);
  // All but one said that they had feedback.
  assert.equal(report.repaired.has_feedback_corrected, 449);
  assert.equal((await store.getTrainingStats()).traces_with_feedback, 1);
});

testOnEachEmpty("a run that was stopped anywhere is finished by the next one", async (on) => {
  const traces = Array.from({ length: 450 }, (_, i) => legacyTrace(i));
  await fillLegacy(on, { rlcf_traces: traces, rlcf_feedback: traces.map((_, i) => legacyFeedback(i)) });
  for (const stopAt of [0, 1, 2]) {
    await using store = await createPersistence("sqlite://");
    let batches = 0;
    const stopping = new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        if (name !== "importBatch") return value.bind(target);
        return (batch: never) => {
          if (batches++ === stopAt) throw new RlcfError("database", "killed");
          return target.importBatch(batch);
        };
      },
    });
    await assert.rejects(run(on.url, stopping), /killed/);
    const report = await run(on.url, store);
    assert.equal(report.traces.stored + report.traces.known, 450);
    assert.equal(report.feedback.stored + report.feedback.known, 450);
    assert.equal(report.traces.known, 200 * stopAt);
    assert.equal((await store.getTrainingStats()).traces_with_feedback, 450);
  }
});

Deno.test("what is no database of the original is refused", async () => {
  for (const url of ["sqlite://", "sqlite:////nowhere/legacy.db", "mysql://x"]) {
    await assert.rejects(LegacySource.open(url), (thrown: unknown) => {
      assert.ok(thrown instanceof RlcfError);
      assert.equal(thrown.code, "usage");
      return true;
    });
  }
});

testOnEach("a database of rlcf itself is told as such", async ({ url }) => {
  await assert.rejects(LegacySource.open(url), /found a database of rlcf itself, wanted one that MERL-T wrote/);
});

testOnEachEmpty("an empty database is told by the table that it lacks", async ({ url, query }) => {
  await query("create table other (id integer)");
  await assert.rejects(LegacySource.open(url), /found no rlcf_traces\.id/);
  assert.ok(isSameDatabase(url, url));
  assert.ok(!isSameDatabase(url, "sqlite://"));
});
