/**
 * Which version is served: the active one, from a moment after its activation, and never at the price of a request.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { query, Served } from "./support.ts";

Deno.test("a version that is activated takes over while requests are answered, and none is dropped", async () => {
  await using served = await Served.start(":memory:", { pollMs: 20 });
  const versions = new Set<string>();
  let isDone = false;
  let answered = 0;
  const client = async (i: number): Promise<void> => {
    while (!isDone) {
      const { status, body } = await served.post("/v1/route", query(i, { trace: "none" }));
      assert.equal(status, 200);
      versions.add(body.policy_version);
      answered++;
    }
  };
  const clients = Array.from({ length: 8 }, (_, i) => client(i));
  for (const seed of [2, 3, 4]) {
    const version = await served.add(seed);
    while (!versions.has(version)) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  isDone = true;
  await Promise.all(clients);
  assert.deepEqual([...versions].sort(), ["v1.0.1", "v1.0.2", "v1.0.3", "v1.0.4"]);
  assert.equal(await served.metric("rlcf_policy_swaps_total"), 3);
  assert.equal(await served.metric('rlcf_http_requests_total{route="/v1/route",method="POST",status="200"}'), answered);
});

Deno.test("a version whose files are broken is reported, and the old one goes on", async () => {
  await using served = await Served.start(":memory:");
  const broken = await served.add(2);
  await Deno.writeTextFile(join(served.root, `gating-${broken}`, "policy.safetensors"), "broken");
  await served.refresh();
  await served.refresh();
  const { status, body } = await served.ask("/v1/policy");
  assert.deepEqual([status, body.version, body.problem.version], [200, "v1.0.1", "v1.0.2"]);
  assert.match(body.problem.message, /cannot load policy checkpoint gating-v1\.0\.2: policy\.safetensors has 6 bytes/);
  assert.equal((await served.post("/v1/route", query())).body.policy_version, "v1.0.1");
  assert.equal((await served.ask("/healthz")).status, 200);
  assert.equal(await served.metric("rlcf_policy_problem"), 1);
  // Activating the old one again ends the report.
  await served.store.activatePolicy("v1.0.1", "gating", {});
  await served.refresh();
  assert.equal((await served.ask("/v1/policy")).body.problem, null);
});

Deno.test("without an active policy routing says so, and traces are stored; the first version is served at once", async () => {
  await using served = await Served.start(":memory:", { first: null });
  const refused = await served.post("/v1/route", query());
  assert.deepEqual([refused.status, refused.body.error.code], [503, "no_policy"]);
  assert.match(refused.body.error.message, /no gating policy is active/);
  assert.equal(refused.headers.get("retry-after"), "5");
  assert.equal((await served.post("/v1/traces", { trace: { query_id: "a" } })).status, 201);
  const health = await served.ask("/healthz");
  assert.deepEqual([health.status, health.body], [503, {
    live: true,
    ready: false,
    database: "reachable",
    policy: null,
  }]);
  assert.equal((await served.ask("/healthz/live")).status, 200);
  await served.add(1);
  await served.refresh();
  assert.equal((await served.ask("/healthz")).status, 200);
  assert.equal((await served.post("/v1/route", query())).status, 200);
});

Deno.test("a pinned version stays, whatever is activated, and must be there", async () => {
  await using served = await Served.start(":memory:", { pinned: "v1.0.1", pollMs: 10 });
  await served.add(2);
  await served.refresh();
  const { body } = await served.ask("/v1/policy");
  assert.deepEqual([body.version, body.pinned, body.problem], ["v1.0.1", true, null]);
  await assert.rejects(Served.start(":memory:", { pinned: "v9.9.9" }), {
    code: "checkpoint",
    message: /v9\.9\.9|no such version/,
  });
});

Deno.test("requests that come together are computed together, each with its own answer", async () => {
  await using served = await Served.start(":memory:");
  const before = await served.metric("rlcf_forward_calls_total");
  const alone = await served.post("/v1/route", query(9, { trace: "none", draw: false }));
  const many = await Promise.all(
    Array.from({ length: 64 }, (_, i) => served.post("/v1/route", query(i, { trace: "none", draw: false }))),
  );
  assert.deepEqual(many[9]!.body, alone.body);
  assert.equal(new Set(many.map(({ body }) => JSON.stringify(body.weights))).size, 64);
  const calls = await served.metric("rlcf_forward_calls_total") - before;
  assert.ok(calls < 65, `${calls} calls for 65 requests`);
});
