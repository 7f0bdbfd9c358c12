/**
 * Lines that nobody meant to write, into a store: each is stored whole or refused with a reason, whatever stands in it,
 * and none takes another with it.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { createPersistence } from "../../src/store/create.ts";
import { ingestRecordFromJson } from "../../src/store/ingest_line.ts";
import { testOnEach, type TestStore } from "../store/databases.ts";
import { recordOf } from "../cli/support.ts";
import { hostileJson, hostileKey, mutatedText, mutation } from "./hostile_values.ts";

/** fast-check prints the seed and the smallest example where a property fails. */
const SEED = 20261122;

/** The line's record; undefined where it is refused in words that fit into one message. Throws on anything else. */
function recordOrRefusal(line: string): ReturnType<typeof ingestRecordFromJson> | undefined {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return undefined;
  }
  try {
    return ingestRecordFromJson(json);
  } catch (thrown) {
    assert.ok(thrown instanceof RlcfError && thrown.code === "usage", `not a refusal: ${thrown}`);
    assert.match(thrown.message, /found .*, wanted |cannot score the feedback/s);
    assert.ok(thrown.message.length < 700, thrown.message);
    return undefined;
  }
}

testOnEach("a record with anything in any place is stored whole or refused", async ({ store }) => {
  let stored = 0;
  const record = fc.tuple(fc.nat(40), fc.array(mutation, { minLength: 1, maxLength: 3 }));
  await fc.assert(
    fc.asyncProperty(record, async ([i, mutations]) => {
      const json = recordOf(i);
      for (const mutate of mutations) mutate(json);
      const found = recordOrRefusal(JSON.stringify(json));
      if (found === undefined) return;
      const { traces, feedback, duplicates } = await store.ingest([found]);
      stored += traces;
      assert.equal(traces + feedback + duplicates, found.feedback === undefined ? 1 : 2);
      const again = await store.getTrace(found.traceContext!.id!);
      assert.equal(again!.queryId, found.trace.queryId);
    }),
    { seed: SEED, numRuns: store.dialect === "sqlite" ? 4000 : 1500 },
  );
  assert.ok(stored > 50, `only ${stored} were stored: the test does not reach that side`);
  await checkConsistent(store);
});

Deno.test("a line with any bytes of its text changed is a record or refused", () => {
  const line = fc.tuple(fc.nat(40), mutatedText).map(([i, change]) => change(JSON.stringify(recordOf(i))));
  fc.assert(fc.property(line, (text) => void recordOrRefusal(text)), { seed: SEED, numRuns: 4000 });
});

Deno.test("any JSON at all is a record or refused", () => {
  const fields = fc.dictionary(hostileKey, hostileJson, { maxKeys: 6 });
  fc.assert(fc.property(fc.oneof(hostileJson, fields), (value) => void recordOrRefusal(JSON.stringify(value))), {
    seed: SEED,
    numRuns: 4000,
  });
});

Deno.test("nesting is refused at any depth and in any field, also in those that nobody reads", () => {
  for (const depth of [60, 80, 2_000, 200_000]) {
    const deep = "[".repeat(depth) + "]".repeat(depth);
    const fields = ['"trace":{"query_id":"q","other":DEEP}', '"trace":{"query_id":"q","metadata":{"a":DEEP}}']
      .concat('"trace":{"query_id":"q"},"feedback":{"overall_rating":1,"other":DEEP}', '"other":DEEP')
      .concat('"trace":{"query_id":"q","actions":DEEP}', '"trace":DEEP', '"feedback":DEEP,"trace":{"query_id":"q"}');
    for (const field of fields) {
      const found = recordOrRefusal(`{${field.replace("DEEP", deep)}}`);
      assert.ok(depth === 60 || found === undefined, `${depth} levels in ${field}`);
    }
  }
});

Deno.test("keys that mean something to JavaScript are kept as data and change no object", async () => {
  const line = '{"trace":{"query_id":"q","metadata":{"__proto__":{"polluted":1},"constructor":{"prototype":2}},' +
    '"actions":[{"action_type":"expert_selection","log_prob":-1,"parameters":{"expert_type":"__proto__"},' +
    '"metadata":{"source":"gating_policy","query_embedding":[1,2]}}]},"__proto__":null}';
  assert.throws(
    () => ingestRecordFromJson(JSON.parse(line)),
    /record\.__proto__: found null, wanted one of the fields/,
  );
  await using store = await createPersistence(":memory:");
  const record = ingestRecordFromJson(JSON.parse(line.replace(/,"__proto__":null}$/, "}")));
  await store.ingest([record]);
  const { metadata, actions } = (await store.getTrace(record.traceContext!.id!))!;
  assert.deepEqual(Object.entries(metadata), [["__proto__", { polluted: 1 }], ["constructor", { prototype: 2 }]]);
  assert.equal(actions[0]!.parameters.expert_type, "__proto__");
  assert.deepEqual((await store.getLogGroups())[0]!.experts, ["__proto__"]);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("the key of a record does not depend on the order of its fields, but on everything else", () => {
  const idOf = (json: unknown): string => ingestRecordFromJson(json).traceContext!.id!;
  const json = recordOf(3) as { trace: Record<string, unknown> };
  const turned = { trace: Object.fromEntries(Object.entries(json.trace).toReversed()) };
  assert.equal(idOf(turned), idOf(json));
  // Fixed, so that a log that was stored by an earlier version is still recognised.
  assert.equal(
    idOf({ trace: { query_id: "q", created_at: "2026-01-01T00:00:00Z", metadata: { b: [1, { z: 1, a: -0 }], 2: 1 } } }),
    "820ec377-d385-8f97-819b-f503df31951c",
  );
  assert.notEqual(idOf({ trace: { ...json.trace, other: 1 } }), idOf(json));
});

/** What the store says of itself still adds up. */
async function checkConsistent(store: TestStore["store"]): Promise<void> {
  const { total_traces, traces_with_feedback, total_feedback } = await store.getTrainingStats();
  assert.ok(traces_with_feedback <= total_traces && traces_with_feedback <= total_feedback);
  const groups = await store.getLogGroups();
  assert.equal(groups.reduce((sum, { traces }) => sum + traces, 0), total_traces);
  for await (
    const page of store.readTrainingRows({ since: null, until: "9999-12-31T23:59:59Z", maxFeedback: Infinity })
  ) {
    for (const { score, userAuthority } of page) assert.ok(score >= 0 && score <= 1 && userAuthority <= 1);
  }
}
