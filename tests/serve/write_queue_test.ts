/**
 * The queue before the database: bounded, in order, shared commits, and every caller told the truth.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { HttpError } from "../../src/serve/errors.ts";
import { Metrics } from "../../src/serve/metrics.ts";
import { WriteQueue } from "../../src/serve/write_queue.ts";
import type { EntryOutcome, StoreEntry } from "../../src/store/persistence.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";

function entry(queryId: string): StoreEntry {
  return { kind: "trace", trace: new ExecutionTrace({ queryId }), context: { id: crypto.randomUUID() } };
}

/** A store that notes its transactions, and fails as told. */
class NotedStore {
  readonly transactions: string[][] = [];
  gate: Promise<void> = Promise.resolve();
  isDown = false;

  async saveEntries(entries: readonly StoreEntry[]): Promise<EntryOutcome[]> {
    await this.gate;
    const names = entries.map((one) => one.kind === "trace" ? one.trace.queryId : "feedback");
    this.transactions.push(names);
    if (this.isDown || names.includes("poison")) throw new RlcfError("database", "cannot store records");
    return names.map(() => ({ status: "stored" }));
  }

  getLeaseHolder(): Promise<null> {
    return this.isDown ? Promise.reject(new RlcfError("database", "away")) : Promise.resolve(null);
  }
}

Deno.test("what comes while a transaction is under way goes into the next one, together and in order", async () => {
  const store = new NotedStore();
  const gate = Promise.withResolvers<void>();
  store.gate = gate.promise;
  const queue = new WriteQueue(store, 100, new Metrics());
  const first = queue.submit([entry("a")]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const rest = ["b", "c", "d"].map((name) => queue.submit([entry(name), entry(`${name}2`)]));
  assert.equal(queue.depth, 7);
  gate.resolve();
  assert.deepEqual(await first, [{ status: "stored" }]);
  for (const outcomes of await Promise.all(rest)) assert.equal(outcomes.length, 2);
  assert.deepEqual(store.transactions, [["a"], ["b", "b2", "c", "c2", "d", "d2"]]);
  assert.equal(queue.depth, 0);
});

Deno.test("a full queue refuses with 503 and takes again when there is room", async () => {
  const store = new NotedStore();
  const gate = Promise.withResolvers<void>();
  store.gate = gate.promise;
  const queue = new WriteQueue(store, 2, new Metrics());
  const held = queue.submit([entry("a"), entry("b")]);
  await assert.rejects(queue.submit([entry("c")]), (thrown: HttpError) => {
    assert.deepEqual([thrown.status, thrown.code, thrown.headers["retry-after"]], [503, "queue_full", "1"]);
    return true;
  });
  gate.resolve();
  await held;
  assert.deepEqual(await queue.submit([entry("c")]), [{ status: "stored" }]);
});

Deno.test("a request with more records than may wait is taken when nothing waits", async () => {
  const queue = new WriteQueue(new NotedStore(), 2, new Metrics());
  const long = queue.submit(["a", "b", "c"].map(entry));
  await assert.rejects(queue.submit([entry("d")]), { code: "queue_full" });
  assert.equal((await long).length, 3);
});

Deno.test("an entry that the database refuses fails alone", async () => {
  const store = new NotedStore();
  const queue = new WriteQueue(store, 100, new Metrics());
  const names = ["a", "b", "poison", "c", "d", "e"];
  const results = await Promise.allSettled(names.map((name) => queue.submit([entry(name)])));
  assert.deepEqual(
    results.map(({ status }) => status),
    names.map((name) => name === "poison" ? "rejected" : "fulfilled"),
  );
  assert.equal(queue.depth, 0);
});

Deno.test("a database that is away is asked once for all, and nobody is told that it worked", async () => {
  const store = new NotedStore();
  store.isDown = true;
  const queue = new WriteQueue(store, 100, new Metrics());
  const results = await Promise.allSettled(["a", "b", "c"].map((name) => queue.submit([entry(name)])));
  assert.deepEqual(results.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
  assert.equal(store.transactions.length, 1);
  store.isDown = false;
  assert.deepEqual(await queue.submit([entry("d")]), [{ status: "stored" }]);
  await queue.drained();
});
