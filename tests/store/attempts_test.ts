/** Work that is done twice because the answer to its commit was lost: it is stored once, and counted as done. */
import assert from "node:assert/strict";
import type { Kysely, KyselyPlugin } from "kysely";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import type { Database } from "../../src/store/database.ts";
import { DatabasePersistence } from "../../src/store/database_persistence.ts";
import type { StoreEntry } from "../../src/store/entry_records.ts";
import { openPostgres } from "../../src/store/postgres/open.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import type { Tables } from "../../src/store/tables.ts";
import { parseDatabaseUrl } from "../../src/store/url.ts";
import { drawnRecords } from "../session/support.ts";
import { testOnEach, type TestStore } from "./databases.ts";

/** What gets lost: what the database says to a commit, or to a statement outside of a transaction. */
type Lost = "commit" | "statement";

/** A store on the database that loses one answer each time that it is told to. */
class Forgetful implements AsyncDisposable {
  readonly store: DatabasePersistence;
  readonly #database: Database;
  #next: Lost | undefined;

  constructor(url: string) {
    const target = parseDatabaseUrl(url);
    this.#database = target.dialect === "sqlite" ? openSqlite(target) : openPostgres(target, 2);
    const explain: Database["explain"] = (error) =>
      error instanceof LostAnswer
        ? { cause: "the connection was lost", passes: "always" }
        : this.#database.explain(error);
    this.store = new DatabasePersistence({ ...this.#database, db: this.#losing(this.#database.db), explain });
  }

  /** The next answer of this kind does not arrive. */
  lose(what: Lost): void {
    this.#next = what;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    assert.equal(this.#next, undefined, "nothing was lost");
    await this.store.close();
  }

  #losing(db: Kysely<Tables>): Kysely<Tables> {
    const plugin: KyselyPlugin = {
      transformQuery: ({ node }) => node,
      transformResult: ({ result }) => {
        this.#loseNow("statement");
        return Promise.resolve(result);
      },
    };
    return new Proxy(db.withPlugin(plugin), {
      get: (target, name): unknown => {
        if (name === "transaction") {
          return () => ({
            execute: async <T>(work: Parameters<ReturnType<typeof db.transaction>["execute"]>[0]): Promise<T> => {
              const result = await db.transaction().execute(work) as T;
              this.#loseNow("commit");
              return result;
            },
          });
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  #loseNow(what: Lost): void {
    if (this.#next !== what) return;
    this.#next = undefined;
    throw new LostAnswer();
  }
}

class LostAnswer extends Error {}

/** Registers a test for each database, with a store that loses answers beside one that does not. */
function forgetfulTest(name: string, test: (forgetful: Forgetful, on: TestStore) => Promise<void>): void {
  testOnEach(name, async (on) => {
    await using forgetful = new Forgetful(on.url);
    await test(forgetful, on);
  });
}

forgetfulTest("records without ids for their feedback are ingested once though the commit was not heard", async (
  forgetful,
  { store },
) => {
  const records = drawnRecords(10, 1).map(({ trace, traceContext, feedback }) => ({ trace, traceContext, feedback }));
  forgetful.lose("commit");
  assert.deepEqual(await forgetful.store.ingest(records), { traces: 10, feedback: 10, duplicates: 0 });
  const stats = await store.getTrainingStats();
  assert.deepEqual([stats.total_traces, stats.total_feedback, stats.traces_with_feedback], [10, 10, 10]);
});

forgetfulTest(
  "what was stored before stays a duplicate when the commit was not heard",
  async (forgetful, { store }) => {
    const records = drawnRecords(10, 1);
    await store.ingest(records.slice(0, 4));
    forgetful.lose("commit");
    assert.deepEqual(await forgetful.store.ingest(records), { traces: 6, feedback: 6, duplicates: 8 });
  },
);

forgetfulTest("each entry keeps its own outcome when the commit was not heard", async (forgetful, { store }) => {
  const [known, fresh] = drawnRecords(2, 1);
  await store.ingest([known!]);
  const entries: StoreEntry[] = [known!, fresh!, fresh!].map(({ trace, traceContext }) =>
    ({ kind: "trace", trace, context: traceContext }) as const
  );
  const judged = { kind: "feedback", traceId: fresh!.traceContext.id, context: fresh!.feedbackContext! } as const;
  const feedbackOn = (queryId: string): MultilevelFeedback => new MultilevelFeedback({ queryId, overallRating: 0.5 });
  entries.push({ ...judged, feedbackOn }, { ...judged, traceId: crypto.randomUUID(), feedbackOn });
  forgetful.lose("commit");
  assert.deepEqual(
    (await forgetful.store.saveEntries(entries)).map(({ status }) => status),
    ["duplicate", "stored", "duplicate", "stored", "unknown_trace"],
  );
  assert.equal((await store.getTrainingStats()).total_feedback, 2);
});

forgetfulTest("imported rows are counted when the commit was not heard", async (forgetful) => {
  const [{ trace, traceContext, feedback, feedbackContext }] = drawnRecords(1, 1) as [
    ReturnType<typeof drawnRecords>[number],
  ];
  const at = "2026-01-01T00:00:00.000Z";
  const batch = {
    traces: [{ trace, context: traceContext }],
    feedback: [{ traceId: traceContext.id, feedback: feedback!, context: feedbackContext!, score: 0.5, createdAt: at }],
    sessions: [{
      id: crypto.randomUUID(),
      policyType: "gating",
      status: "completed" as const,
      policyVersionFrom: null,
      policyVersionTo: null,
      numTraces: 0,
      numFeedback: 0,
      metrics: {},
      config: {},
      host: null,
      processId: null,
      errorMessage: null,
      startedAt: at,
      endedAt: at,
    }],
  };
  forgetful.lose("commit");
  const counts = { traces: 1, feedback: 1, sessions: 1, checkpoints: 0 };
  assert.deepEqual(await forgetful.store.importBatch(batch), counts);
  assert.deepEqual(await forgetful.store.importBatch(batch), { traces: 0, feedback: 0, sessions: 0, checkpoints: 0 });
});

forgetfulTest("removed checkpoints are named when the commit was not heard", async (forgetful, { store }) => {
  await store.savePolicyCheckpoint({ version: "v1.0.0-ep.1", policyType: "gating" });
  forgetful.lose("commit");
  assert.deepEqual(await forgetful.store.deletePolicyCheckpoints("gating", ["v1.0.0-ep.1"]), ["v1.0.0-ep.1"]);
});

forgetfulTest("a checkpoint gets its files though the answer was not heard, and only once", async (
  forgetful,
  { store },
) => {
  await store.savePolicyCheckpoint({ version: "v1.0.0", policyType: "gating" });
  const files = { stateDictPath: "gating-v1.0.0", manifestSha256: "a".repeat(64) };
  forgetful.lose("statement");
  assert.equal(await forgetful.store.setPolicyFiles("v1.0.0", "gating", files), true);
  assert.equal(await forgetful.store.setPolicyFiles("v1.0.0", "gating", files), false);
  const others = { ...files, manifestSha256: "b".repeat(64) };
  forgetful.lose("statement");
  assert.equal(await forgetful.store.setPolicyFiles("v1.0.0", "gating", others), false);
  assert.equal((await store.getPolicyCheckpoint("v1.0.0", "gating"))?.manifestSha256, files.manifestSha256);
});

forgetfulTest("single rows are stored once, and sessions closed once, though the answer was not heard", async (
  forgetful,
  { store },
) => {
  const [{ trace }] = drawnRecords(1, 1) as [ReturnType<typeof drawnRecords>[number]];
  const feedback = new MultilevelFeedback({ queryId: trace.queryId, overallRating: 0.5 });
  forgetful.lose("statement");
  const traceId = await forgetful.store.saveTrace(trace);
  forgetful.lose("commit");
  await forgetful.store.saveTraces([[trace]]);
  forgetful.lose("commit");
  await forgetful.store.saveFeedback(traceId, feedback);
  forgetful.lose("statement");
  const session = await forgetful.store.startTrainingSession("gating");
  forgetful.lose("statement");
  await forgetful.store.failTrainingSession(session, "it failed");
  forgetful.lose("commit");
  await forgetful.store.savePolicyCheckpoint({ version: "v1.0.0", policyType: "gating" });
  forgetful.lose("commit");
  assert.equal(await forgetful.store.activatePolicy("v1.0.0", "gating"), true);
  const { total_traces, total_feedback } = await store.getTrainingStats();
  const sessions = await store.listTrainingSessions();
  const activations = await store.listActivations("gating");
  assert.deepEqual([total_traces, total_feedback, sessions.length, activations.length], [2, 1, 1, 1]);
});
