/**
 * Clients that send what they should not: each gets one clear answer, nothing is stored, nothing is told that is not
 * theirs, and the next client is served.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { type Answer, embedding, query, Served, traceJson } from "./support.ts";

const encoder = new TextEncoder();

/** Sends bytes as they are and reads one answer, or until the connection is closed, or for so many milliseconds. */
async function raw(
  port: number,
  parts: readonly (string | Uint8Array | number)[],
  patienceMs = 20_000,
): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  let text = "";
  const reading = (async () => {
    const buffer = new Uint8Array(65_536);
    for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
      text += new TextDecoder().decode(buffer.subarray(0, n));
      if (isWhole(text)) return;
    }
  })().catch(() => {});
  for (const part of parts) {
    if (typeof part === "number") await new Promise((resolve) => setTimeout(resolve, part));
    else await connection.write(typeof part === "string" ? encoder.encode(part) : part).catch(() => {});
  }
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, patienceMs);
  await Promise.race([reading, late.promise]);
  clearTimeout(timer);
  return text;
}

/** Whether an answer has come to its end. */
function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  const length = /content-length: (\d+)/i.exec(text.slice(0, end));
  return end !== -1 && length !== null && text.length >= end + 4 + Number(length[1]);
}

function head(path: string, length: number | string, more = ""): string {
  return `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n` +
    `Connection: close\r\n${more}\r\n`;
}

/** Asserts an error of one form, and that the server still works. */
async function assertRefused(served: Served, answer: Answer, status: number, code: string): Promise<void> {
  assert.deepEqual([answer.status, answer.body.error?.code], [status, code], JSON.stringify(answer.body));
  assert.equal((await served.post("/v1/route", query(0, { trace: "none" }))).status, 200);
}

Deno.test("bodies that are no JSON, no UTF-8, compressed, of another type or absent are refused by their name", async () => {
  await using served = await Served.start(":memory:");
  const send = (body: BodyInit | null, headers: Record<string, string> = {}): Promise<Answer> =>
    served.ask("/v1/traces", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      ...(body === null ? {} : { body }),
    });
  await assertRefused(served, await send(null), 400, "no_body");
  await assertRefused(served, await send("{"), 400, "not_json");
  await assertRefused(served, await send('{"trace": NaN}'), 400, "not_json");
  await assertRefused(served, await send(new Uint8Array([0x22, 0xff, 0xfe, 0x22])), 400, "not_utf8");
  await assertRefused(served, await send("{}", { "content-encoding": "gzip" }), 415, "unsupported_type");
  await assertRefused(served, await send("{}", { "content-type": "application/xml" }), 415, "unsupported_type");
  await assertRefused(
    served,
    await send("{}", { "content-type": "application/json; charset=latin1" }),
    415,
    "unsupported_type",
  );
  for (const body of ["[]", "null", "7", '"x"', "{}"]) await assertRefused(served, await send(body), 422, "invalid");
  assert.equal((await served.store.getTrainingStats()).total_traces, 0);
});

Deno.test("values that no record may have are refused with their place", async () => {
  await using served = await Served.start(":memory:");
  const big = embedding();
  big[0] = 3e38;
  const cases: readonly (readonly [string, unknown, string | undefined])[] = [
    ["/v1/route", query(0, { query_embedding: [1, 2, 3] }), "query_embedding"],
    ["/v1/route", query(0, { query_embedding: embedding().map((_, i) => i === 3 ? 1e300 : 0) }), "query_embedding"],
    ["/v1/route", query(0, { query_embedding: "AAAA" }), "query_embedding"],
    ["/v1/route", query(0, { query_id: "a\0b" }), "query_id"],
    ["/v1/route", query(0, { query_text: "half \ud800" }), "query_text"],
    ["/v1/route", '{"query_id":"a","query_embedding":[1],"__proto__":{"x":1}}', "__proto__"],
    ["/v1/traces", { trace: traceJson("a\0b") }, "trace.query_id"],
    ["/v1/traces", `{"trace":{"query_id":"a","metadata":${"[".repeat(9000)}${"]".repeat(9000)}}}`, undefined],
    ["/v1/traces", { trace: { ...traceJson("a"), created_at: "yesterday" } }, "trace.created_at"],
    ["/v1/feedback", { trace_id: "1; drop table rlcf_traces", feedback: { overall_rating: 1 } }, "trace_id"],
    ["/v1/feedback", { trace_id: crypto.randomUUID(), feedback: { mood: 1 } }, undefined],
  ];
  for (const [path, body, field] of cases) {
    const answer = await served.post(path, body);
    assert.equal(answer.status, 422, `${JSON.stringify(body).slice(0, 80)}: ${JSON.stringify(answer.body)}`);
    if (field !== undefined) assert.equal(answer.body.error.field, field);
    assert.ok(answer.body.error.message.length < 500);
  }
  // So large that the network overflows, though each number is a float32.
  const overflow = await served.post("/v1/route", query(0, { query_embedding: big.map(() => 3.4e38) }));
  assert.ok(overflow.status === 422 || overflow.status === 200, String(overflow.status));
  assert.doesNotMatch(JSON.stringify(overflow.body), /null,|NaN/);
  assert.ok((await served.store.getTrainingStats()).total_traces <= 1);
});

Deno.test("a body is counted while it arrives, whatever its length claims to be", async () => {
  await using served = await Served.start(":memory:", { maxBytes: 2000 });
  assert.match(await raw(served.port, [head("/v1/traces", 10_000_000_000)]), /^HTTP\/1\.1 413 /);
  assert.match(await raw(served.port, [head("/v1/traces", "99999999999999999999999")], 500), /^(HTTP\/1\.1 4|$)/);
  const chunked = "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" +
    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
  const chunk = `3e8\r\n${"x".repeat(1000)}\r\n`;
  assert.match(await raw(served.port, [chunked, chunk, chunk, chunk]), /^HTTP\/1\.1 413 /);
  assert.match(await raw(served.port, [chunked, "zz\r\n"], 500), /^(HTTP\/1\.1 4|$)/);
  assert.equal((await served.post("/v1/traces", "x".repeat(2001))).body.error.code, "too_large");
  // What was held of them is given back.
  await served.until("rlcf_http_body_bytes", 0);
});

Deno.test("a client that sends a byte at a time is left in time, and holds nobody up", async () => {
  await using served = await Served.start(":memory:", { timeoutMs: 200 });
  const slow = Array.from({ length: 20 }, () => raw(served.port, [head("/v1/traces", 100), '{"', 50, "t", 50, "r"]));
  assert.equal((await served.post("/v1/route", query())).status, 200);
  for (const answer of await Promise.all(slow)) assert.match(answer, /^HTTP\/1\.1 408 [^]*"too_slow"/);
  // Gone in the middle of its body.
  await raw(served.port, [head("/v1/traces", 100), '{"tra'], 0);
  await served.until("rlcf_http_body_bytes", 0);
});

Deno.test("no path, method or header gets past the router", async () => {
  await using served = await Served.start(":memory:");
  for (
    const target of [
      "/../../etc/passwd",
      "/v1/%2e%2e/route",
      "/v1/route/",
      "//v1/route",
      "/V1/ROUTE",
      "/v1\\route",
      "*",
    ]
  ) {
    const answer = await raw(served.port, [`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`]);
    assert.match(answer, /^HTTP\/1\.1 4\d\d /, target);
    assert.doesNotMatch(answer, /root:|deno\.json/);
  }
  for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]) {
    const { status, headers } = await served.ask("/v1/route", { method });
    assert.deepEqual([status, headers.get("allow")], [405, "POST"]);
    assert.equal(headers.get("access-control-allow-origin"), null);
  }
  const injected = await raw(served.port, [
    "GET /v1/policy%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: a\r\nX-A: b\r\nConnection: close\r\n\r\n",
  ]);
  assert.match(injected, /^HTTP\/1\.1 404 /);
  assert.doesNotMatch(injected, /set-cookie/i);
  assert.match(await raw(served.port, ["not http at all\r\n\r\n"], 500), /^(HTTP\/1\.1 400|$)/);
  assert.match(
    await raw(served.port, [`GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(1_000_000)}\r\n\r\n`]),
    /^(HTTP\/1\.1 4|$)/,
  );
  // What strangers ask for is one label, and their texts are none.
  const { body } = await served.ask("/metrics");
  assert.match(body, /route="other",method="other",status="404"/);
  assert.doesNotMatch(body, /passwd|ROUTE/);
});

Deno.test("tokens: one of them lets in, nothing else does, and no answer holds one", async () => {
  const tokens = ["first-token-0123456789", "second-token-012345678"];
  await using served = await Served.start(":memory:", { tokens });
  for (const token of tokens) {
    assert.equal((await served.ask("/v1/policy", { headers: { authorization: `bearer ${token}` } })).status, 200);
  }
  const wrong = [
    {},
    ...["Bearer", "Bearer ", `Basic ${tokens[0]}`, `Bearer ${tokens[0]}x`, `Bearer ${tokens.join(" ")}`, tokens[0]!]
      .map((authorization) => ({ authorization })),
  ];
  for (const headers of wrong) {
    for (const path of ["/v1/policy", "/metrics", "/openapi.json", "/nothing"]) {
      const answer = await served.ask(path, { headers });
      assert.deepEqual([answer.status, answer.body.error.code], [401, "unauthorized"]);
      assert.equal(answer.headers.get("www-authenticate"), 'Bearer realm="rlcf"');
      assert.doesNotMatch(JSON.stringify(answer.body), /first-token|second-token/);
    }
  }
  assert.equal((await served.ask("/healthz")).status, 200);
});

Deno.test("a database that fails answers 503 and tells strangers nothing of itself", async () => {
  const failing = (store: RLCFPersistence): RLCFPersistence =>
    new Proxy(store, {
      get(target, name): unknown {
        if (name === "saveEntries" || name === "getLeaseHolder") {
          return () =>
            Promise.reject(new RlcfError("database", "cannot store in postgresql://u:hunter2@db.internal/x"));
        }
        if (name === "getTrace") return () => Promise.reject(new TypeError("hunter2 is a defect"));
        const value = target[name as keyof RLCFPersistence];
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  await using served = await Served.start(":memory:", { seen: failing });
  const answers = [
    await served.post("/v1/traces", { trace: traceJson("a") }),
    await served.post("/v1/route", query()),
    await served.post("/v1/feedback", { trace_id: crypto.randomUUID(), feedback: { overall_rating: 1 } }),
  ];
  for (const { status, headers, body } of answers) {
    assert.deepEqual([status, body.error.code, headers.get("retry-after")], [503, "database_unavailable", "5"]);
    assert.doesNotMatch(JSON.stringify(body), /hunter2|internal/);
  }
  const trace_id = crypto.randomUUID();
  const defect = await served.post("/v1/traces", { trace_id, trace: traceJson("a"), feedback: { overall_rating: 1 } });
  assert.deepEqual([defect.status, defect.body.error.code], [500, "unexpected"]);
  assert.doesNotMatch(JSON.stringify(defect.body), /hunter2|TypeError/);
  const health = await served.ask("/healthz");
  assert.deepEqual([health.status, health.body.database], [503, "unreachable"]);
  // Routing itself needs no database.
  assert.equal((await served.post("/v1/route", query(0, { trace: "none" }))).status, 200);
});

Deno.test("a full queue answers 503 with Retry-After, and what was acknowledged is stored", async () => {
  const gate = Promise.withResolvers<void>();
  const slow = (store: RLCFPersistence): RLCFPersistence =>
    new Proxy(store, {
      get(target, name): unknown {
        if (name === "saveEntries") {
          return async (entries: Parameters<RLCFPersistence["saveEntries"]>[0]) => {
            await gate.promise;
            return await store.saveEntries(entries);
          };
        }
        const value = target[name as keyof RLCFPersistence];
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  await using served = await Served.start(":memory:", { queueLimit: 5, seen: slow });
  const sent = Array.from({ length: 12 }, (_, i) => served.post("/v1/traces", { trace: traceJson(`q${i}`) }));
  while (await served.metric("rlcf_write_queue_records") < 5) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  gate.resolve();
  const answers = await Promise.all(sent);
  const stored = answers.filter(({ status }) => status === 201);
  const refused = answers.filter(({ status }) => status === 503);
  assert.deepEqual([stored.length, refused.length], [5, 7]);
  for (const { body, headers } of refused) {
    assert.deepEqual([body.error.code, headers.get("retry-after")], ["queue_full", "1"]);
  }
  assert.equal((await served.store.getTrainingStats()).total_traces, 5);
});
