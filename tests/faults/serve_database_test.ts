/**
 * A server whose database goes away and comes back: it says so, goes on routing, and needs no restart.
 *
 * @module
 */
import assert from "node:assert/strict";
import { query, Served, traceJson } from "../serve/support.ts";
import { OwnServer, until } from "./database_support.ts";
import { DIALECTS } from "./crash_support.ts";

const missing = DIALECTS.find(({ dialect }) => dialect === "postgres")!.missing;

Deno.test({
  name: `while PostgreSQL is away routing goes on, writes answer 503, and afterwards all is well${
    missing === undefined ? "" : ` (${missing})`
  }`,
  ignore: missing !== undefined,
  fn: async () => {
    await using database = await OwnServer.start();
    await using served = await Served.start(database.url(), { timeoutMs: 3000, pollMs: 50 });
    const first = await served.post("/v1/traces", { trace: traceJson("before") });
    assert.equal(first.status, 201);
    await database.stop("immediate");
    const [written, judged, health, routed] = await Promise.all([
      served.post("/v1/traces", { trace: traceJson("meanwhile") }),
      served.post("/v1/feedback", { trace_id: first.body.trace_id, feedback: { overall_rating: 1 } }),
      served.ask("/healthz"),
      served.post("/v1/route", query(0, { trace: "none" })),
    ]);
    for (const { status, headers, body } of [written, judged]) {
      assert.equal(status, 503);
      assert.ok(["timeout", "database_unavailable"].includes(body.error.code), body.error.code);
      assert.ok(headers.has("retry-after"));
      assert.doesNotMatch(JSON.stringify(body), /127\.0\.0\.1|postgres/);
    }
    assert.deepEqual([health.status, health.body.database, health.body.policy], [503, "unreachable", "v1.0.1"]);
    assert.equal(routed.status, 200);
    await database.start();
    await until("the server is ready", async () => (await served.ask("/healthz")).status === 200);
    // What was not acknowledged is sent again, and is there once.
    const again = await served.post("/v1/traces", { trace: traceJson("meanwhile") });
    assert.ok(again.status === 200 || again.status === 201, String(again.status));
    assert.equal((await served.store.getTrainingStats()).total_traces, 2);
    await served.add(2);
    await until("the new version is served", async () => (await served.ask("/v1/policy")).body.version === "v1.0.2");
  },
});
