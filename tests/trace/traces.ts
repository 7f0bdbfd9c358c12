/**
 * Arbitrary traces, and what hostile senders put in the place of a value.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { ExecutionTrace, type ExecutionTraceJson } from "../../src/trace/execution_trace.ts";

/** A text that a record may hold. */
export const arbitraryText = fc.string({ minLength: 1, maxLength: 40, unit: "binary" }).filter((text) =>
  !text.includes("\0")
);

/** A JSON object. Reads the same after being written: JSON has no -0. */
export const arbitraryObject = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })).map((object) =>
  JSON.parse(JSON.stringify(object)) as Record<string, unknown>
);

/** A date and time in the form that records keep. */
export const arbitraryTime = fc.date({
  min: new Date("1970-01-01T00:00:00Z"),
  max: new Date("9999-12-31T23:59:59Z"),
  noInvalidDate: true,
}).map((date) => date.toISOString());

/** The JSON of a trace; `total_log_prob` is the sum, as it always is. */
export const arbitraryTraceJson: fc.Arbitrary<ExecutionTraceJson> = fc.record({
  query_id: arbitraryText,
  actions: fc.array(
    fc.record({
      action_type: fc.oneof(fc.constantFrom("expert_selection", "graph_traversal", "tool_use"), arbitraryText),
      parameters: arbitraryObject,
      log_prob: fc.double({ min: -1e6, max: 0, noNaN: true }).map((logProb) => logProb + 0),
      timestamp: arbitraryTime,
      metadata: arbitraryObject,
    }, { noNullPrototype: true }),
    { maxLength: 6 },
  ),
  metadata: arbitraryObject,
  reward: fc.option(fc.double({ min: -10, max: 10, noNaN: true }).map((reward) => reward + 0)),
  created_at: arbitraryTime,
}).map((json) => ({ ...json, total_log_prob: json.actions.reduce((sum, { log_prob }) => sum + log_prob, 0) }));

/** A trace with selections by the gating policy; each is an expert and its weight. */
export function selections(
  weights: readonly (readonly [expert: string, weight?: number])[],
  options: { embedding?: unknown; at?: number; source?: unknown; logProb?: number } = {},
): ExecutionTrace {
  const { embedding, at, source, logProb } = {
    embedding: [1, 2],
    at: 0,
    source: "gating_policy",
    logProb: -0.5,
    ...options,
  };
  const trace = new ExecutionTrace({ queryId: "q" });
  for (const [i, [expert, weight]] of weights.entries()) {
    trace.addAction({
      actionType: "expert_selection",
      parameters: { expert_type: expert, ...(weight === undefined ? {} : { weight }) },
      logProb,
      timestamp: "2026-01-01T00:00:00Z",
      metadata: { ...(source === undefined ? {} : { source }), ...(i === at ? { query_embedding: embedding } : {}) },
    });
  }
  return trace;
}

/** Asserts that a value is read, or refused with an error that its sender can mend. */
export function readsOrRefuses(read: () => unknown): void {
  try {
    read();
  } catch (thrown) {
    assert.ok(thrown instanceof RlcfError, `${thrown instanceof Error ? thrown.stack : thrown}`);
    assert.ok(thrown.message.length < 500, `the message has ${thrown.message.length} characters`);
  }
}

/** JSON values that nobody would send by mistake. */
export const HOSTILE: readonly unknown[] = [
  undefined,
  null,
  NaN,
  Infinity,
  -Infinity,
  1e308,
  -1e308,
  "",
  "\0",
  "\ud800",
  "x".repeat(1_000_000),
  [],
  {},
  [null],
  { length: 3 },
  true,
  new Array(100_000).fill(0),
  JSON.parse('{"__proto__": {"weight": 1}, "constructor": null}'),
  JSON.parse("[".repeat(50_000) + "]".repeat(50_000)),
  JSON.parse('{"a":'.repeat(50_000) + "1" + "}".repeat(50_000)),
  () => 1,
  Symbol("s"),
];
