/**
 * `rlcf serve` as it is started by its users: what it prints, where it listens, what it refuses to start with.
 *
 * @module
 */
import assert from "node:assert/strict";
import { embeddingOf, onlyObject, rlcf, start, Workplace } from "../cli/support.ts";

const TOKEN = "a-token-of-the-tests";

Deno.test("serve prints where it listens as one object, answers with a token from the environment, and ends with 0", async () => {
  using place = new Workplace();
  await place.fill(40);
  assert.equal((await place.run(["train"])).code, 0);
  const child = start(["serve", "--port", "0", "--json", ...place.here], {
    cwd: place.path,
    env: { RLCF_SERVE_TOKENS: TOKEN },
  });
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value: stdout = "" } = await reader.read();
  const printed = onlyObject({ stdout });
  assert.deepEqual(
    [printed.status, printed.host, printed.policy_version, printed.backend, printed.tokens],
    ["serving", "127.0.0.1", "v1.0.0", "cpu", true],
  );
  const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${printed.url}${path}`, { ...init, headers: { ...init.headers, authorization: `Bearer ${TOKEN}` } });
  assert.equal((await (await fetch(`${printed.url}/v1/policy`)).json()).error.code, "unauthorized");
  const response = await ask("/v1/route", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query_id: "q", query_embedding: embeddingOf(1) }),
  });
  const routed = await response.json();
  assert.deepEqual([response.status, routed.policy_version], [200, "v1.0.0"]);
  // The same weights as the command that routes lines.
  const queries = place.write("q.jsonl", `${JSON.stringify({ query_id: "q", query_embedding: embeddingOf(1) })}\n`);
  const { stdout: lines } = await place.run(["route", queries]);
  assert.deepEqual(JSON.parse(lines).weights, routed.weights);
  child.kill("SIGINT");
  assert.equal((await child.status).code, 0);
  assert.equal((await reader.read()).done, true);
  const stderr = await new Response(child.stderr).text();
  assert.match(stderr, /serving on http:\/\/127\.0\.0\.1:\d+ by policy v1\.0\.0, data in sqlite:/);
  assert.doesNotMatch(stderr, new RegExp(TOKEN));
});

Deno.test("serve refuses to start with what it cannot use, and says what is wanted", async () => {
  using place = new Workplace();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const weak = place.write("weak.txt", "short\n");
  const none = place.write("none.txt", "\n");
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [["--port", "65536"], 2, /--port: found "65536", wanted a number from 0 to 65535/],
    [["--port", "x"], 2, /--port: found "x"/],
    [["--max-queue", "1.5"], 2, /wanted a whole number/],
    [["--timeout", "0"], 2, /--timeout: found "0"/],
    [["--port", String(listener.addr.port)], 2, /cannot listen on 127\.0\.0\.1, port \d+: somebody listens there/],
    [["--port", "0", "--host", "192.0.2.1"], 2, /this machine has no such address/],
    [["--port", "0", "--tokens-file", weak], 2, /cannot use token 1 of .*weak\.txt: wanted at least 16/],
    [["--port", "0", "--tokens-file", none], 2, /found no token in it/],
    [["--port", "0", "--tokens-file", `${place.path}/absent`], 2, /cannot read the tokens/],
    [["--port", "0", "--policy-version", "v7.0.0"], 6, /there is no such version/],
  ];
  await Promise.all(cases.map(async ([args, wanted, message]) => {
    const { code, stdout, stderr } = await place.run(["serve", ...args]);
    assert.deepEqual([args, code, stdout], [args, wanted, ""]);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /short/);
  }));
  const database = await rlcf(["serve", "--port", "0", "--database", `sqlite:///${place.path}`], { cwd: place.path });
  assert.equal(database.code, 4);
});
