/**
 * The files of versions whose row was refused, lost or spared: whoever removes some must not take those of another.
 */
import assert from "node:assert/strict";
import { DISK } from "../../src/checkpoint/files.ts";
import { verifyCheckpoint } from "../../src/checkpoint/load.ts";
import { publishCheckpoint } from "../../src/checkpoint/publish.ts";
import { initialState } from "../../src/engine/network.ts";
import { trainSession } from "../../src/session/train_session.ts";
import { networkToJson, packPolicy } from "../../src/session/saved_policy.ts";
import { type NewVersion, publishVersion, type SessionContext } from "../../src/session/versions.ts";
import { createPersistence, type PersistenceOptions } from "../../src/store/create.ts";
import type { LeaseHolder, RLCFPersistence } from "../../src/store/persistence.ts";
import { drawnRecords, refuses, settings } from "../session/support.ts";
import { testOnEachEmpty } from "../store/databases.ts";
import { postgresForTests, queryPostgres } from "../support/postgres.ts";
import { OwnServer, until } from "./database_support.ts";

/** A lease that ends at once unless it is renewed by hand. */
const SHORT: PersistenceOptions = { lease: { lifetimeSeconds: 0.2, renewalMs: 3_600_000 } };
const SHAPE = { inputDim: 3, hiddenDim: 0, outputs: 2, inputScale: 1 };

/** The same store, but a method does something else as well. */
function around(
  store: RLCFPersistence,
  method: keyof RLCFPersistence,
  work: (call: () => Promise<unknown>, ...args: unknown[]) => Promise<unknown>,
): RLCFPersistence {
  return new Proxy(store, {
    get(target, name): unknown {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name !== method) return value.bind(target);
      return (...args: unknown[]): Promise<unknown> => work(() => value.apply(target, args), ...args);
    },
  });
}

/** A place where a process can be stopped and told to go on. */
class Stop {
  readonly #reached = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();
  readonly reached = this.#reached.promise;

  wait(): Promise<void> {
    this.#reached.resolve();
    return this.#released.promise;
  }

  goOn(): void {
    this.#released.resolve();
  }
}

async function withDirectory(test: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "rlcf-late-files-" });
  try {
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Every row has its own files, and there are no others. */
async function assertWhole(store: RLCFPersistence, root: string): Promise<void> {
  const rows = await store.listPolicyCheckpoints("gating");
  for (const { version, stateDictPath, manifestSha256 } of rows) {
    assert.deepEqual(await verifyCheckpoint(root, stateDictPath!, manifestSha256!), [], version);
  }
  const names = (await Array.fromAsync(Deno.readDir(root), ({ name }) => name)).sort();
  assert.deepEqual(names, rows.map(({ stateDictPath }) => stateDictPath!).sort());
}

function leaseEnds(store: RLCFPersistence): Promise<void> {
  return until("the lease has expired", async () => await store.getLeaseHolder("gating") === null);
}

testOnEachEmpty(
  "a trainer that wakes up late removes nothing of the version its successor has activated under the same name",
  ({ url }) =>
    withDirectory(async (root) => {
      await using healthy = await createPersistence(url);
      await healthy.ingest(drawnRecords(60, 1));
      const set = settings(root, {
        "checkpoint.activate": "always",
        "checkpoint.save_frequency": 16,
        "training.epochs": 3,
      });
      const interrupt = new AbortController();
      const onProgress = (): void => interrupt.abort();
      await refuses(
        trainSession({ store: healthy, ...set, signal: interrupt.signal, onProgress }),
        "interrupted",
        /was interrupted/,
      );

      await using late = await createPersistence(url, SHORT);
      const stop = new Stop();
      const store = around(late, "savePolicyCheckpoint", async (call, row) => {
        if (!(row as { version: string }).version.includes("-ep.")) await stop.wait();
        return await call();
      });
      const stopped = refuses(
        trainSession({ store, ...set, resume: true }),
        "lease_held",
        /cannot go on with training/,
      );
      await stop.reached;
      await leaseEnds(healthy);
      const report = await trainSession({ store: healthy, ...set, resume: true });
      assert.deepEqual([report.version, report.activated], ["v1.0.0", true]);
      stop.goOn();
      await stopped;
      await assertWhole(healthy, root);
    }),
);

/** What a session publishes with. */
function contextOf(
  store: RLCFPersistence,
  root: string,
  fence: LeaseHolder,
  sessionId: string,
  predecessors: readonly string[] = [],
): SessionContext {
  return {
    store,
    root,
    disk: DISK,
    policyType: "gating",
    fence,
    sessionId,
    parentVersion: null,
    config: {},
    predecessors: new Set(predecessors),
  };
}

const TRAINER = { baseline: 0.5, rewardStd: 0.1, rewardWindow: [], numUpdates: 1 };

function savedAt300(): NewVersion {
  return {
    version: "v1.0.0-ep.300",
    snapshot: {
      network: { shape: SHAPE, experts: ["a", "b"] },
      engine: { backend: "cpu", device: "none" },
      state: initialState(SHAPE, 1),
      trainer: TRAINER,
    },
    metrics: {},
    episodes: 300,
    run: {},
  };
}

/** Where a late holder is stopped, who is about to publish the version that a session before it left as well. */
const STOPS = [
  ["its row is stored", "savePolicyCheckpoint", "before"],
  ["the row of its predecessor is removed", "deletePolicyCheckpoints", "after"],
  ["it has found its predecessor's row", "getPolicyCheckpoint", "after"],
] as const;

for (const [where, method, side] of STOPS) {
  testOnEachEmpty(
    `a saved state: a holder that is stopped ${side} ${where} leaves its successor's files alone`,
    ({ url }) =>
      withDirectory(async (root) => {
        await using late = await createPersistence(url, SHORT);
        const first = await late.startTrainingSession("gating");
        const lateLease = await late.acquireLease("gating");
        await publishVersion(contextOf(late, root, lateLease.holder, first), savedAt300());

        const second = await late.startTrainingSession("gating");
        const stop = new Stop();
        const store = around(late, method, async (call) => {
          if (side === "before") await stop.wait();
          const result = await call();
          if (side === "after") await stop.wait();
          return result;
        });
        const stopped = publishVersion(contextOf(store, root, lateLease.holder, second, [first]), savedAt300())
          .then(() => "published", (thrown) => thrown.code);
        await stop.reached;
        await leaseEnds(late);

        await using successor = await createPersistence(url);
        await using lease = await successor.acquireLease("gating");
        const third = await successor.startTrainingSession("gating");
        await publishVersion(contextOf(successor, root, lease.holder, third, [first, second]), savedAt300());
        stop.goOn();
        assert.ok(["lease_held", "checkpoint"].includes(await stopped), String(await stopped));
        await assertWhole(successor, root);
        assert.equal((await successor.getPolicyCheckpoint("v1.0.0-ep.300", "gating"))!.trainingSessionId, third);
      }),
  );
}

testOnEachEmpty(
  "what a late holder leaves under the name of a new session's version gives way to it",
  ({ url }) =>
    withDirectory(async (root) => {
      await using store = await createPersistence(url);
      await store.ingest(drawnRecords(30, 1));
      const dead = await store.startTrainingSession("gating");
      // The new session has chosen its version by now.
      const surprised = around(store, "startTrainingSession", async (call) => {
        await publishCheckpoint(root, {
          policyType: "gating",
          version: "v1.0.0",
          parentVersion: null,
          createdAt: new Date().toISOString(),
          sessionId: dead,
          engine: { backend: "cpu", device: "none" },
          network: networkToJson({ shape: SHAPE, experts: ["a", "b"] }),
          config: {},
          metrics: {},
          ...packPolicy(initialState(SHAPE, 1), TRAINER, {}),
        });
        return await call();
      });
      const report = await trainSession({ store: surprised, ...settings(root) });
      assert.equal(report.version, "v1.0.0");
      await assertWhole(store, root);
    }),
);

testOnEachEmpty(
  "a version that is activated while expired ones are removed keeps its files",
  ({ url }) =>
    withDirectory(async (root) => {
      await using healthy = await createPersistence(url);
      await healthy.ingest(drawnRecords(80, 1));
      let activated: string | undefined;
      // Between retention's look at the registry and its removal.
      const store = around(healthy, "deletePolicyCheckpoints", async (call, _, versions) => {
        const [oldest] = versions as string[];
        if (oldest !== undefined && activated === undefined) {
          activated = oldest;
          await healthy.activatePolicy(oldest, "gating", { by: "operator" });
        }
        return await call();
      });
      const flags = {
        "checkpoint.activate": "never",
        "checkpoint.save_frequency": 20,
        "checkpoint.keep_last_n": 1,
      } as const;
      await trainSession({ store, ...settings(root, flags) });
      assert.equal((await healthy.getActivePolicy("gating"))!.version, activated);
      await assertWhole(healthy, root);
    }),
);

const postgres = await postgresForTests();
const reason = "reason" in postgres ? postgres.reason : undefined;

Deno.test({
  name: "postgres: a version whose row appears after its commit was given up has its files" +
    (reason === undefined ? "" : ` (${reason})`),
  ignore: reason !== undefined,
  fn: () =>
    withDirectory(async (root) => {
      await using server = await OwnServer.start();
      const sql = (text: string): Promise<unknown> => queryPostgres(server.url(), text);
      await using healthy = await createPersistence(server.url());
      await healthy.ingest(drawnRecords(30, 1));
      {
        await using store = await createPersistence(`${server.url()}?query_timeout=500`, { patienceMs: 0 });
        // The synchronous standby goes away when the row is to be committed: it is, and nobody is told.
        const cut = around(store, "savePolicyCheckpoint", async (call) => {
          await sql("alter system set synchronous_standby_names = 'gone'");
          await sql("select pg_reload_conf()");
          await until("the standby is wanted", async () => {
            const [row] = await queryPostgres(server.url(), "show synchronous_standby_names");
            return row!.synchronous_standby_names === "gone";
          });
          return await call();
        });
        await refuses(
          trainSession({ store: cut, ...settings(root) }),
          "database",
          /did not answer a statement in time/,
        );
        assert.deepEqual(await healthy.listPolicyCheckpoints("gating"), []);
        await sql("alter system reset synchronous_standby_names");
        await sql("select pg_reload_conf()");
      }
      await until("the row appears", async () => (await healthy.listPolicyCheckpoints("gating")).length === 1);
      await assertWhole(healthy, root);
    }),
});
