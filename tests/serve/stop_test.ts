/**
 * A server that ends: what was asked is answered, and nobody can hold it up for long.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { Served, traceJson } from "./support.ts";

Deno.test("what is under way when the server stops is answered and stored", async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const slow = (store: RLCFPersistence): RLCFPersistence =>
    new Proxy(store, {
      get(target, name): unknown {
        if (name === "saveEntries") {
          return async (entries: Parameters<RLCFPersistence["saveEntries"]>[0]) => {
            begun.resolve();
            await gate.promise;
            return await store.saveEntries(entries);
          };
        }
        const value = target[name as keyof RLCFPersistence];
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  await using served = await Served.start(":memory:", { seen: slow });
  const asked = served.post("/v1/traces", { trace: traceJson("a") });
  await begun.promise;
  const stopping = served.server.stop();
  gate.resolve();
  assert.equal((await asked).status, 201);
  await stopping;
  assert.equal((await served.store.getTrainingStats()).total_traces, 1);
  await assert.rejects(served.ask("/healthz"), TypeError);
});

Deno.test("what was too late to be acknowledged is stored before the database closes", async () => {
  const gate = Promise.withResolvers<void>();
  let isWritten = false;
  const slow = (store: RLCFPersistence): RLCFPersistence =>
    new Proxy(store, {
      get(target, name): unknown {
        if (name === "saveEntries") {
          return async (entries: Parameters<RLCFPersistence["saveEntries"]>[0]) => {
            await gate.promise;
            const outcomes = await store.saveEntries(entries);
            isWritten = true;
            return outcomes;
          };
        }
        const value = target[name as keyof RLCFPersistence];
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  await using served = await Served.start(":memory:", { seen: slow, timeoutMs: 50 });
  const late = await served.post("/v1/traces", { trace: traceJson("a") });
  assert.deepEqual([late.status, late.body.error.code], [503, "timeout"]);
  setTimeout(gate.resolve, 50);
  await served.server.stop();
  assert.ok(isWritten);
});

Deno.test("clients that neither send nor leave do not keep the server from its end", async () => {
  await using served = await Served.start(":memory:", { timeoutMs: 100 });
  const beginnings = [
    "",
    "GET /healthz HTTP/1.1\r\nHost:",
    "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    "GET /healthz/live HTTP/1.1\r\nHost: a\r\n\r\n",
  ];
  const connections = await Promise.all(beginnings.map(async (beginning) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: served.port });
    await connection.write(new TextEncoder().encode(beginning));
    return connection;
  }));
  try {
    await served.until('rlcf_http_requests_total{route="/v1/traces",method="POST",status="408"}', 1);
    await served.server.stop();
  } finally {
    for (const connection of connections) connection.close();
  }
});
